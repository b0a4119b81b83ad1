// What wheel and pointer do on a pane: scroll, zoom, pan, window; or the app's own tool.

/** Wheel, drag and hover on one pane of a slice canvas. */
export function pointerOn(owner, view) {
  const { canvas } = view;
  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) {
      owner.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, view, pointOf(event));
      return;
    }
    owner.wheel = (owner.wheel ?? 0) + (event.deltaMode === 1 ? event.deltaY * 40 : event.deltaY);
    const steps = Math.trunc(owner.wheel / 40);
    if (!steps) return;
    owner.wheel -= steps * 40;
    owner.setSlice(view.look.slice - steps, { soon: true, look: view.look });
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    owner.root.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    const [x, y] = pointOf(event);
    const tool = owner.toolFor(event, view);
    owner.drag = { tool, view, x, y };
    if (tool === "own") owner.pressOn(view, ...view.voxelAt(x, y), event);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = pointOf(event);
    owner.hover = { view, x, y };
    if (!owner.drag || owner.drag.view !== view) {
      owner.hoverOn(view, ...view.voxelAt(x, y));
      owner.tellStatus();
      return;
    }
    const [dx, dy] = [x - owner.drag.x, y - owner.drag.y];
    if (owner.drag.tool === "own") owner.dragOn(view, ...view.voxelAt(x, y), event);
    else if (owner.drag.tool === "pan") owner.pan(-dx, -dy, view);
    else {
      const width = Math.max(10, view.look.upper - view.look.lower + dx * 3);
      const level = (view.look.upper + view.look.lower) / 2 + dy * 2;
      for (const look of owner.looks)
        [look.lower, look.upper] = [Math.round(level - width / 2), Math.round(level + width / 2)];
      owner.drawSoon();
    }
    if (owner.drag) [owner.drag.x, owner.drag.y] = [x, y];
  });
  const release = (event) => {
    const drag = owner.drag;
    owner.drag = null;
    if (drag?.tool === "own") owner.releaseOn(view, event);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => {
    owner.hover = null;
    owner.hoverOn(null);
    owner.tellStatus();
  });
}
