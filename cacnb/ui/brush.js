// A round brush in true millimetres over one layer of a stack; it records nothing.

/** The paper's brush is 1 cm wide (section 2). */
export const BRUSH_MM = 10;

export class Brush {
  constructor() {
    this.diameter_mm = BRUSH_MM;
    this.at = null; // voxel (x, y) under the brush
    this.last = null;
  }

  grow(factor) {
    this.diameter_mm = Math.max(1, Math.min(30, Math.round(this.diameter_mm * factor * 2) / 2));
  }

  /** Write `label` into a slice of a layer wherever the brush passes from its last place to (x, y). */
  stroke(stack, array, z, x, y, label) {
    const [, sy, sx] = stack.spacing_mm;
    const [x0, y0] = this.last ?? [x, y];
    const far = Math.hypot((x - x0) * sx, (y - y0) * sy);
    const dabs = Math.max(1, Math.ceil(far / (this.diameter_mm / 6)));
    for (let i = 1; i <= dabs; i++)
      this.dab(stack, array, z, x0 + ((x - x0) * i) / dabs, y0 + ((y - y0) * i) / dabs, label);
    this.last = [x, y];
  }

  /** A voxel is in where its centre lies within the circle; coordinates are those of `voxelAt`. */
  dab(stack, array, z, x, y, label) {
    const [, sy, sx] = stack.spacing_mm;
    const r = this.diameter_mm / 2;
    const from = z * stack.area;
    const [top, bottom] = [Math.max(0, Math.floor(y - r / sy)), Math.min(stack.height - 1, Math.ceil(y + r / sy))];
    const [left, right] = [Math.max(0, Math.floor(x - r / sx)), Math.min(stack.width - 1, Math.ceil(x + r / sx))];
    for (let j = top; j <= bottom; j++)
      for (let i = left; i <= right; i++)
        if (((i + 0.5 - x) * sx) ** 2 + ((j + 0.5 - y) * sy) ** 2 <= r * r) array[from + j * stack.width + i] = label;
  }

  /** The brush's rim on a pane. */
  draw(context, view, colour) {
    if (!this.at) return;
    const [x, y] = view.pointOf(this.at[0] - 0.5, this.at[1] - 0.5);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x, y, (this.diameter_mm / 2) * view.scale(), 0, 2 * Math.PI);
    context.stroke();
  }
}

/** Another width, for a canvas with a brush. */
export function resizeBrush(canvas, factor) {
  canvas.brush.grow(factor);
  canvas.say(`brush ${canvas.brush.diameter_mm} millimetres`);
  canvas.afterChange();
}

/** Commands of a canvas with a brush: its width, and its place without a mouse. */
export function brushCommands(canvas) {
  const move = (name, key, dx_mm, dy_mm) => ({
    name: `brush ${name}`, keys: [`ctrl+${key}`], says: `Move the brush ${name} by 2 mm`, repeats: true,
    run: () => {
      const [, sy, sx] = canvas.stack.spacing_mm;
      const [x, y] = canvas.brush.at ?? [canvas.look.x, canvas.look.y];
      canvas.brush.at = [x + dx_mm / sx, y + dy_mm / sy];
      canvas.draw();
    },
  });
  return [
    { name: "smaller", keys: [","], says: "Smaller brush", run: () => resizeBrush(canvas, 0.8) },
    { name: "larger", keys: ["."], says: "Larger brush", run: () => resizeBrush(canvas, 1.25) },
    move("left", "ArrowLeft", -2, 0), move("right", "ArrowRight", 2, 0), move("up", "ArrowUp", 0, -2), move("down", "ArrowDown", 0, 2),
  ];
}
