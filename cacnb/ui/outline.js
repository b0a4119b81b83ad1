// Borders and hatching of a slice's pixels, drawn over a pane at the screen's own sharpness.

/** Visit the pixels of a box [left, top, right, bottom] for which `inside(index)` holds, with their corner. */
function eachPixelOf(view, inside, [left, top, right, bottom], visit) {
  const from = view.look.slice * view.stack.area;
  const [x0, y0] = view.pointOf(-0.5, -0.5);
  const [x1, y1] = view.pointOf(0.5, 0.5);
  for (let y = top; y <= bottom; y++)
    for (let x = left; x <= right; x++) {
      const index = from + y * view.stack.width + x;
      if (inside(index)) visit(x0 + x * (x1 - x0), y0 + y * (y1 - y0), x1 - x0, y1 - y0, index, x);
    }
}

/** Stroke the border of the pixels for which `inside(index)` holds. */
export function strokeBorder(context, view, inside, box, colour, width = 1.5) {
  const { stack } = view;
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  eachPixelOf(view, inside, box, (x, y, w, h, index, column) => {
    const edge = (open, ax, ay, bx, by) => {
      if (!open) return;
      context.moveTo(ax, ay);
      context.lineTo(bx, by);
    };
    edge(column === 0 || !inside(index - 1), x, y, x, y + h);
    edge(column === stack.width - 1 || !inside(index + 1), x + w, y, x + w, y + h);
    edge(!inside(index - stack.width), x, y, x + w, y);
    edge(!inside(index + stack.width), x, y + h, x + w, y + h);
  });
  context.stroke();
}

/** Hatch the pixels for which `inside(index)` holds. */
export function hatch(context, view, inside, box, colour) {
  const [x0, y0] = view.pointOf(box[0] - 0.5, box[1] - 0.5);
  const [x1, y1] = view.pointOf(box[2] + 0.5, box[3] + 0.5);
  context.save();
  context.beginPath();
  eachPixelOf(view, inside, box, (x, y, w, h) => context.rect(x, y, w, h));
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1;
  context.beginPath();
  for (let x = x0 - (y1 - y0); x < x1; x += 5) {
    context.moveTo(x, y1);
    context.lineTo(x + (y1 - y0), y0);
  }
  context.stroke();
  context.restore();
}
