// One pane: a slice of a volume with its overlays, drawn from memory; it knows no keys and no labels.

/** Okabe and Ito's palette, which colour-blind readers tell apart, as [r, g, b]. */
export const COLOURS = {
  orange: [230, 159, 0], sky: [86, 180, 233], green: [0, 158, 115], yellow: [240, 228, 66],
  blue: [0, 114, 178], vermilion: [213, 94, 0], purple: [204, 121, 167], grey: [150, 150, 150],
};

const packed = ([r, g, b], alpha = 255) => ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** 65,536 colours for the 65,536 values of an int16, grey between `lower` and `upper` HU. */
export function greyTable(lower, upper, table = new Uint32Array(65536)) {
  const span = Math.max(1, upper - lower);
  for (let i = 0; i < 65536; i++) {
    const grey = Math.max(0, Math.min(255, Math.round(((i - 32768 - lower) / span) * 255)));
    table[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
  return table;
}

/** Colour and share of 256 that a map value covers the image with: 0 below 1 HU, full at `full` HU. */
function heatOf(hu, full) {
  const t = Math.min(1, hu / full);
  return [[255, Math.round(60 + 170 * t), Math.round(60 * (1 - t))], Math.round(110 + 130 * t)];
}

/**
 * A stack of slices on one grid, as the kernel sends it: `images` by name (Int16Array in HU),
 * `layers` by name ({array, kind: "labels" | "map", colours, full, opacity, on}).
 */
export class Stack {
  constructor(said, arrays) {
    Object.assign(this, said); // name, shape, spacing_mm, first, whole_shape
    [this.depth, this.height, this.width] = said.shape;
    this.area = this.height * this.width;
    this.images = {};
    for (const [name, index] of Object.entries(said.images)) this.images[name] = arrays[index];
    this.layers = {};
    for (const [name, layer] of Object.entries(said.layers ?? {}))
      this.layers[name] = { opacity: 0.55, on: true, full: 400, ...layer, array: arrays[layer.array] };
  }

  /** Visit the sent part of a slice: index in a layer, index in the whole slice. */
  eachPixel(z, visit) {
    for (let y = 0; y < this.height; y++) {
      let here = z * this.area + y * this.width;
      let whole = (y + this.first[1]) * this.whole_shape[2] + this.first[2];
      for (let x = 0; x < this.width; x++) visit(here++, whole++);
    }
  }

  hu(image, z, y, x) {
    return this.images[image][z * this.area + y * this.width + x];
  }
}

/** What panes that move together share: slice, window, zoom, centre (in voxels). */
export class Look {
  constructor(stack) {
    this.slice = 0;
    this.lower = -50;
    this.upper = 950;
    this.zoom = 1;
    this.reset(stack);
  }

  reset(stack) {
    this.zoom = 1;
    this.x = stack.width / 2;
    this.y = stack.height / 2;
  }
}

export class SliceView {
  /** @param {{stack: Stack, look: Look, image: string, layers: string[], title: string}} pane */
  constructor(pane) {
    Object.assign(this, pane);
    this.canvas = document.createElement("canvas");
    this.canvas.className = "cacnb-slice";
    this.context = this.canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.back = document.createElement("canvas");
    this.back.width = this.stack.width;
    this.back.height = this.stack.height;
    this.backContext = this.back.getContext("2d", { alpha: false });
    this.pixels = this.backContext.createImageData(this.back.width, this.back.height);
    this.colours = new Uint32Array(this.pixels.data.buffer);
    this.table = null;
    this.marks = []; // functions (context, view) that draw on top, in CSS pixels
  }

  /** CSS pixels a millimetre: the slice fits the pane at zoom 1. */
  scale() {
    const [, sy, sx] = this.stack.spacing_mm;
    const fit = Math.min(this.cssWidth / (this.stack.width * sx), this.cssHeight / (this.stack.height * sy));
    return fit * this.look.zoom;
  }

  /** Voxel (fractional x, y) under a point in CSS pixels of the canvas. */
  voxelAt(px, py) {
    const [, sy, sx] = this.stack.spacing_mm;
    const scale = this.scale();
    return [
      this.look.x + (px - this.cssWidth / 2) / (scale * sx),
      this.look.y + (py - this.cssHeight / 2) / (scale * sy),
    ];
  }

  /** Point in CSS pixels of a voxel's centre; `x` and `y` are indices. */
  pointOf(x, y) {
    const [, sy, sx] = this.stack.spacing_mm;
    const scale = this.scale();
    return [
      this.cssWidth / 2 + (x + 0.5 - this.look.x) * scale * sx,
      this.cssHeight / 2 + (y + 0.5 - this.look.y) * scale * sy,
    ];
  }

  resize(width, height) {
    const dense = window.devicePixelRatio || 1;
    this.cssWidth = Math.max(1, width);
    this.cssHeight = Math.max(1, height);
    const [w, h] = [Math.round(this.cssWidth * dense), Math.round(this.cssHeight * dense)];
    if (this.canvas.width !== w || this.canvas.height !== h) {
      this.canvas.width = w;
      this.canvas.height = h;
    }
  }

  draw() {
    const { stack, look } = this;
    if (!this.cssWidth) return;
    if (!this.table || this.lower !== look.lower || this.upper !== look.upper) {
      this.table = greyTable(look.lower, look.upper, this.table ?? undefined);
      [this.lower, this.upper] = [look.lower, look.upper];
    }
    const from = look.slice * stack.area;
    const { colours, table } = this;
    const image = stack.images[this.image];
    for (let i = 0; i < stack.area; i++) colours[i] = table[image[from + i] + 32768];
    for (const name of this.layers) {
      const layer = stack.layers[name];
      if (layer?.on) this.blend(layer, from);
    }
    this.backContext.putImageData(this.pixels, 0, 0);
    const context = this.context;
    const dense = this.canvas.width / this.cssWidth;
    const [, sy, sx] = stack.spacing_mm;
    const scale = this.scale() * dense;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = look.zoom < 3;
    context.setTransform(
      scale * sx, 0, 0, scale * sy,
      this.canvas.width / 2 - look.x * scale * sx, this.canvas.height / 2 - look.y * scale * sy,
    );
    context.drawImage(this.back, 0, 0);
    context.setTransform(dense, 0, 0, dense, 0, 0);
    for (const mark of this.marks) mark(context, this);
  }

  /** Lay one layer over the colours of a slice; labels with a darker rim, so that shape tells too. */
  blend(layer, from) {
    const { colours, stack } = this;
    const { array } = layer;
    const mixed = (under, [r, g, b], share) => {
      const keep = 256 - share;
      return packed([
        ((under & 255) * keep + r * share) >> 8,
        (((under >> 8) & 255) * keep + g * share) >> 8,
        (((under >> 16) & 255) * keep + b * share) >> 8,
      ]);
    };
    if (layer.kind === "map") {
      for (let i = 0; i < stack.area; i++) {
        const hu = array[from + i];
        if (hu < 1) continue;
        const [colour, share] = heatOf(hu, layer.full);
        colours[i] = mixed(colours[i], colour, share);
      }
      return;
    }
    const width = stack.width;
    const inside = Math.round(256 * layer.opacity * 0.6);
    const rim = Math.round(256 * Math.min(1, layer.opacity * 1.5));
    for (let i = 0; i < stack.area; i++) {
      const label = array[from + i];
      if (!label) continue;
      const colour = layer.colours[label];
      if (!colour) continue;
      const edge =
        array[from + i - 1] !== label || array[from + i + 1] !== label ||
        array[from + i - width] !== label || array[from + i + width] !== label;
      colours[i] = mixed(colours[i], colour, edge ? rim : inside);
    }
  }
}
