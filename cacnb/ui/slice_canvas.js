// The workstation around the panes: scroll, window, zoom, pan, keys, help; it records nothing.
import { element } from "./element.js";
import { KeyMap } from "./keys.js";
import { pointerOn } from "./pointer.js";
import { Look, SliceView, Stack } from "./slice_view.js";

/** Window presets as [lower, upper] in HU; the first is what the networks see (section 2). */
export const PRESETS = {
  network: [-50, 950], "soft tissue": [-160, 240], bone: [-500, 1300], lung: [-1350, 150],
};

export class SliceCanvas {
  constructor({ model, el }) {
    this.model = model;
    this.views = [];
    this.stacks = [];
    this.linked = true;
    this.build(el);
    this.commandList = this.commands();
    this.keys = new KeyMap(this.root, this.commandList);
    this.buildButtons();
    this.hears = (message, buffers) => this.hear(message, buffers);
    model.on("msg:custom", this.hears);
    this.watcher = new ResizeObserver(() => this.fit());
    this.watcher.observe(this.panes);
    // A page that is nothing but this app takes keys wherever the focus is.
    this.pageKeys = (event) => {
      if (this.root.contains(document.activeElement)) return;
      if (document.activeElement === document.body) this.keys.press(event);
    };
    document.addEventListener("keydown", this.pageKeys);
  }

  close() {
    this.model.off("msg:custom", this.hears);
    document.removeEventListener("keydown", this.pageKeys);
    this.watcher.disconnect();
  }

  // ---- what it is made of

  build(el) {
    this.root = element("div", "cacnb");
    this.root.tabIndex = 0;
    this.root.setAttribute("role", "application");
    this.root.setAttribute("aria-label", this.model.get("title") || "Slice canvas");
    this.root.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the keys to us
    this.head = element("header", "cacnb-head");
    this.alert = element("div", "cacnb-alert");
    this.alert.setAttribute("role", "alert");
    this.alert.hidden = true;
    this.main = element("div", "cacnb-main");
    this.screen = element("div", "cacnb-view"); // the panes, and what stands over them
    this.panes = element("div", "cacnb-panes");
    this.strip = element("canvas", "cacnb-strip");
    this.strip.setAttribute("aria-hidden", "true");
    this.side = element("aside", "cacnb-side");
    this.status = element("output", "cacnb-status");
    this.screen.append(this.panes, this.status);
    this.main.append(this.screen, this.strip, this.side);
    this.foot = element("footer", "cacnb-foot");
    this.buttons = element("div", "cacnb-buttons");
    this.foot.append(this.buttons);
    this.live = element("div", "cacnb-live");
    this.live.setAttribute("aria-live", "polite");
    this.root.append(this.head, this.alert, this.main, this.foot, this.live);
    this.title = element("strong", "cacnb-title", this.model.get("title") || "");
    this.notice = element("span", "cacnb-notice", this.model.get("notice") || "");
    this.head.append(this.title, this.notice);
    el.replaceChildren(this.root);
    this.root.addEventListener("keydown", (event) => this.keys.press(event));
    this.strip.addEventListener("pointerdown", (event) => this.jump(event));
    this.strip.addEventListener("pointermove", (event) => event.buttons && this.jump(event));
    this.root.focus({ preventScroll: true });
  }

  /** Every command: its name, its keys, what it does in a reader's words; a button where `button`. */
  commands() {
    const window = (name, key) => ({
      name: `window ${name}`, keys: [key], says: `Window: ${name} (${PRESETS[name].join(" to ")} HU)`,
      run: () => this.setWindow(...PRESETS[name]),
    });
    return [
      { name: "next slice", keys: ["ArrowDown", "j"], says: "Next slice", run: () => this.step(1), repeats: true },
      { name: "previous slice", keys: ["ArrowUp", "k"], says: "Previous slice", run: () => this.step(-1), repeats: true },
      { name: "ten on", keys: ["PageDown"], says: "Ten slices on", run: () => this.step(10), repeats: true },
      { name: "ten back", keys: ["PageUp"], says: "Ten slices back", run: () => this.step(-10), repeats: true },
      { name: "first slice", keys: ["Home"], says: "First slice", run: () => this.setSlice(Infinity) },
      { name: "last slice", keys: ["End"], says: "Last slice", run: () => this.setSlice(0) },
      window("network", "5"), window("soft tissue", "6"), window("bone", "7"), window("lung", "8"),
      { name: "brighter", keys: ["shift+ArrowUp"], says: "Window level down: brighter", run: () => this.shiftWindow(-20, 0), repeats: true },
      { name: "darker", keys: ["shift+ArrowDown"], says: "Window level up: darker", run: () => this.shiftWindow(20, 0), repeats: true },
      { name: "narrower", keys: ["shift+ArrowLeft"], says: "Window narrower: more contrast", run: () => this.shiftWindow(0, -40), repeats: true },
      { name: "wider", keys: ["shift+ArrowRight"], says: "Window wider: less contrast", run: () => this.shiftWindow(0, 40), repeats: true },
      { name: "zoom in", keys: ["+", "="], says: "Zoom in", run: () => this.zoom(1.25), repeats: true },
      { name: "zoom out", keys: ["-"], says: "Zoom out", run: () => this.zoom(0.8), repeats: true },
      { name: "pan left", keys: ["alt+ArrowLeft"], says: "Pan left", run: () => this.pan(-24, 0), repeats: true },
      { name: "pan right", keys: ["alt+ArrowRight"], says: "Pan right", run: () => this.pan(24, 0), repeats: true },
      { name: "pan up", keys: ["alt+ArrowUp"], says: "Pan up", run: () => this.pan(0, -24), repeats: true },
      { name: "pan down", keys: ["alt+ArrowDown"], says: "Pan down", run: () => this.pan(0, 24), repeats: true },
      { name: "reset view", keys: ["0"], says: "Whole slice", run: () => this.resetView() },
      { name: "overlay", keys: ["o"], says: "Overlay on or off", run: () => this.toggleOverlay() },
      { name: "help", keys: ["?", "h"], says: "Keys", run: () => this.keys.help(), button: "Keys ?" },
    ];
  }

  buildButtons() {
    for (const command of this.commandList.filter((c) => c.button)) {
      const button = element("button", "cacnb-button", command.button);
      button.type = "button";
      button.title = `${command.says} (${this.keys.of(command).join(", ")})`;
      button.dataset.command = command.name;
      button.addEventListener("click", () => {
        command.run();
        this.root.focus({ preventScroll: true });
      });
      this.buttons.append(button);
    }
  }

  // ---- what is shown

  hear(message, buffers) {
    if (message.type === "picture") this.showPicture(message, buffers);
  }

  /** Show the stacks and panes of a picture: {stacks, panes, arrays} and one buffer an array. */
  showPicture(said, buffers) {
    const arrays = buffers.map((buffer, i) => arrayOf(buffer, said.arrays[i]));
    this.stacks = said.stacks.map((stack) => new Stack(stack, arrays));
    const looks = this.stacks.map((stack) => new Look(stack));
    const before = this.views[0]?.look;
    const opened = before ? [before.lower, before.upper] : said.window;
    if (opened) for (const look of looks) [look.lower, look.upper] = opened;
    this.views = said.panes.map(
      (pane) => new SliceView({ ...pane, stack: this.stacks[pane.stack], look: looks[pane.stack] }),
    );
    this.stack = this.stacks[0];
    this.look = looks[0];
    this.looks = looks;
    this.panes.replaceChildren();
    for (const view of this.views) {
      const box = element("figure", "cacnb-pane");
      if (view.title) box.append(element("figcaption", "", view.title));
      box.append(view.canvas);
      view.box = box;
      this.panes.append(box);
      pointerOn(this, view);
      view.marks.push((context) => this.drawScaleBar(context, view));
    }
    this.fit();
    this.setSlice(said.slice ?? 0);
    this.root.dataset.shown = String((Number(this.root.dataset.shown) || 0) + 1);
  }

  fit() {
    for (const view of this.views) {
      const box = view.canvas.parentElement.getBoundingClientRect();
      const caption = view.title ? 22 : 0;
      view.resize(box.width, box.height - caption);
    }
    this.strip.width = 14 * (window.devicePixelRatio || 1);
    this.strip.height = Math.max(1, this.panes.clientHeight) * (window.devicePixelRatio || 1);
    this.draw();
  }

  draw() {
    for (const view of this.views) view.draw();
    this.drawStrip();
    this.tellStatus();
  }

  /** Draw once at the next frame, for what comes faster than frames: wheel and drag. */
  drawSoon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  // ---- moving

  /** Slices run from the head down, as on any workstation; z runs up. */
  step(by) {
    this.setSlice(this.look.slice - by);
  }

  setSlice(index, { soon = false, look = this.look } = {}) {
    if (!this.stack) return;
    const stack = this.stacks[this.looks.indexOf(look)];
    const to = Math.max(0, Math.min(stack.depth - 1, Math.round(Math.min(index, stack.depth - 1))));
    const mm = (to - look.slice) * stack.spacing_mm[0];
    look.slice = to;
    if (this.linked)
      this.looks.forEach((other, i) => {
        if (other === look) return;
        const { depth, spacing_mm } = this.stacks[i];
        other.exact = (other.exact ?? other.slice) + mm / spacing_mm[0];
        other.slice = Math.max(0, Math.min(depth - 1, Math.round(other.exact)));
      });
    this.onSlice();
    if (soon) this.drawSoon();
    else this.draw();
  }

  onSlice() {}

  setWindow(lower, upper) {
    for (const look of this.looks ?? []) [look.lower, look.upper] = [lower, upper];
    this.draw();
  }

  shiftWindow(level, width) {
    if (!this.look) return;
    const lower = this.look.lower + level - width / 2;
    const upper = this.look.upper + level + width / 2;
    if (upper - lower >= 10) this.setWindow(Math.round(lower), Math.round(upper));
  }

  zoom(factor, view = this.views[0], point = null) {
    if (!view) return;
    const [px, py] = point ?? [view.cssWidth / 2, view.cssHeight / 2];
    const [x, y] = view.voxelAt(px, py);
    for (const look of this.looks) look.zoom = Math.max(0.5, Math.min(20, look.zoom * factor));
    const [nowX, nowY] = view.voxelAt(px, py);
    this.pan(((x - nowX) * view.stack.spacing_mm[2]) * view.scale(), ((y - nowY) * view.stack.spacing_mm[1]) * view.scale(), view);
  }

  /** Move the centre by CSS pixels of a pane; linked stacks by the same millimetres. */
  pan(dx, dy, view = this.views[0]) {
    if (!view) return;
    const scale = view.scale();
    this.looks.forEach((look, i) => {
      const [, sy, sx] = this.stacks[i].spacing_mm;
      look.x += dx / scale / sx;
      look.y += dy / scale / sy;
    });
    this.drawSoon();
  }

  resetView() {
    this.looks?.forEach((look, i) => look.reset(this.stacks[i]));
    this.draw();
  }

  toggleOverlay() {
    const layers = this.stacks.flatMap((stack) => Object.values(stack.layers));
    const on = !layers.some((layer) => layer.on);
    for (const layer of layers) layer.on = on;
    this.say(on ? "overlay on" : "overlay off");
    this.draw();
  }

  // ---- pointer

  /** What a drag does: "window", "pan", or "own" where the app draws or picks. */
  toolFor(event) {
    if (event.shiftKey || event.button === 1) return "pan";
    if (event.button === 2) return "window";
    return this.leftTool();
  }

  leftTool() {
    return "window";
  }

  pressOn() {}

  dragOn() {}

  releaseOn() {}

  hoverOn() {}

  jump(event) {
    const box = this.strip.getBoundingClientRect();
    const down = Math.floor(((event.clientY - box.top) / box.height) * this.stack.depth);
    this.setSlice(this.stack.depth - 1 - down, { soon: true });
    this.root.focus({ preventScroll: true });
  }

  // ---- what is told

  /** The bar beside the panes: where the slice is, and what `stripColour` says of each. */
  drawStrip() {
    const context = this.strip.getContext("2d");
    const { width, height } = this.strip;
    context.fillStyle = "#15181c";
    context.fillRect(0, 0, width, height);
    if (!this.stack) return;
    const { depth } = this.stack;
    const tall = height / depth;
    for (let z = 0; z < depth; z++) {
      const colour = this.stripColour(z);
      if (!colour) continue;
      context.fillStyle = colour;
      context.fillRect(0, (depth - 1 - z) * tall, width, Math.max(1, tall - (tall > 4 ? 1 : 0)));
    }
    context.fillStyle = "#fff";
    context.fillRect(0, (depth - 0.5 - this.look.slice) * tall - 1.5, width, 3);
  }

  stripColour() {
    return null;
  }

  drawScaleBar(context, view) {
    const long = 20 * view.scale();
    context.strokeStyle = "#fff";
    context.lineWidth = 2;
    context.beginPath();
    context.moveTo(12, view.cssHeight - 12);
    context.lineTo(12 + long, view.cssHeight - 12);
    context.stroke();
    context.fillStyle = "#fff";
    context.font = "12px system-ui, sans-serif";
    context.fillText("2 cm", 14, view.cssHeight - 18);
  }

  tellStatus() {
    if (!this.look) return;
    const { lower, upper } = this.look;
    const parts = [
      `slice ${this.stack.depth - this.look.slice} of ${this.stack.depth}`,
      `window ${upper - lower}, level ${Math.round((upper + lower) / 2)} HU`,
    ];
    if (this.hover) {
      const { view, x, y } = this.hover;
      const [vx, vy] = view.voxelAt(x, y).map(Math.floor);
      if (vx >= 0 && vy >= 0 && vx < view.stack.width && vy < view.stack.height)
        parts.push(`${view.stack.hu(view.image, view.look.slice, vy, vx)} HU at ${vx}, ${vy}`);
    }
    this.status.textContent = parts.join("  ·  ");
    this.root.dataset.slice = String(this.look.slice);
  }

  /** A short word for the screen reader. */
  say(text) {
    this.live.textContent = text;
  }

  warn(text) {
    if (this.alert.textContent !== text) this.alert.textContent = text;
    this.alert.hidden = !text;
  }
}

const ARRAYS = { int16: Int16Array, uint8: Uint8Array, uint16: Uint16Array };

function arrayOf(view, kind) {
  const bytes = view.buffer ? view : new DataView(view);
  const Kind = ARRAYS[kind];
  const { byteOffset, byteLength } = bytes;
  if (byteOffset % Kind.BYTES_PER_ELEMENT === 0)
    return new Kind(bytes.buffer, byteOffset, byteLength / Kind.BYTES_PER_ELEMENT);
  return new Kind(bytes.buffer.slice(byteOffset, byteOffset + byteLength));
}

/** A widget that anywidget can render, from a class built like SliceCanvas. */
export const widget = (Kind) => ({
  render(context) {
    const made = new Kind(context);
    context.el.cacnb = made;
    context.model.send({ type: "ready" });
    return () => made.close();
  },
});

export default widget(SliceCanvas);
