// Paint lesion regions (Figure 3B): a 1 cm brush without threshold, one colour an artery.
import { BRUSH_MM, Brush, brushCommands, resizeBrush } from "./brush.js";
import { ReadingRoom } from "./reading_room.js";
import { decodeRuns, encodeRuns } from "./runs.js";
import { element } from "./element.js";
import { widget } from "./slice_canvas.js";

/** Labels as in a study's lesion_regions/; the left main counts as LAD. */
export const ARTERIES = [
  { name: "LAD", says: "LAD (and left main)", label: 1, colour: "#e69f00", key: "1" },
  { name: "LCX", says: "LCX", label: 2, colour: "#56b4e9", key: "2" },
  { name: "RCA", says: "RCA", label: 3, colour: "#009e73", key: "3" },
];

const ERASER = { name: "eraser", label: 0, colour: "#ffffff" };

export class RegionPainter extends ReadingRoom {
  build(el) {
    super.build(el);
    this.brush = new Brush();
    this.tool = ARTERIES[0];
    this.legend = element("div", "cacnb-counts");
    this.panel.append(this.legend);
  }

  commands() {
    return [
      ...ARTERIES.map((artery) => ({ name: artery.name, keys: [artery.key], says: `Brush: ${artery.says}`, run: () => this.choose(artery), button: artery.name })),
      { name: "eraser", keys: ["e"], says: "Eraser", run: () => this.choose(ERASER), button: "Eraser" },
      { name: "copy region", keys: ["r"], says: "Copy the regions of the slice above or below that has any", run: () => this.copyNear(), button: "Copy from next to" },
      { name: "clear", keys: ["Backspace", "Delete"], says: "Clear this slice", run: () => this.clearSlice(), button: "Clear slice" },
      ...brushCommands(this),
      { name: "one centimetre", keys: ["b"], says: "The brush of 1 cm again", run: () => resizeBrush(this, BRUSH_MM / this.brush.diameter_mm) },
      { name: "dab", keys: ["Enter"], says: "Paint where the brush is", run: () => this.dabHere() },
      { name: "next region", keys: [" "], says: "Next slice with a region", run: () => this.toRegion() },
      this.doneCommand("painted"),
      ...super.commands(),
    ];
  }

  onScan() {
    this.brush.at = null;
  }

  showPicture(said, buffers) {
    super.showPicture(said, buffers);
    const view = this.views[0];
    view.marks.push((context) => this.brush.draw(context, view, this.tool.colour));
    this.regions = this.stack.layers.regions.array;
    const [, height, width] = this.stack.whole_shape;
    this.wholeSlice = new Uint8Array(height * width);
    this.fillFromLabels();
    this.draw();
  }

  // ---- labels and pixels

  fillFromLabels(slices = null) {
    const [z0] = this.stack.first;
    for (let z = 0; z < this.stack.depth; z++) {
      if (slices && !slices.has(z + z0)) continue;
      this.regions.fill(0, z * this.stack.area, (z + 1) * this.stack.area);
      for (const { name, label } of ARTERIES) {
        const runs = this.reading.get("region", z + z0, name);
        if (!runs) continue;
        decodeRuns(runs, this.wholeSlice);
        this.stack.eachPixel(z, (here, whole) => {
          if (this.wholeSlice[whole]) this.regions[here] = label;
        });
      }
    }
  }

  /** Changes that make the labels of slices what the layer shows; what was not sent stays. */
  changesOf(slices) {
    const wanted = [];
    for (const slice of slices)
      for (const { name, label } of ARTERIES) {
        const before = this.reading.get("region", slice, name);
        decodeRuns(before, this.wholeSlice);
        this.stack.eachPixel(slice - this.stack.first[0], (here, whole) => {
          this.wholeSlice[whole] = this.regions[here] === label ? 1 : 0;
        });
        wanted.push({ subject: "region", slice, item: name, value: encodeRuns(this.wholeSlice) || null });
      }
    return wanted;
  }

  // ---- tools

  choose(tool) {
    this.tool = tool;
    this.say(tool.name);
    this.afterChange();
  }

  leftTool() {
    return "own";
  }

  pressOn(view, x, y) {
    this.brush.last = null;
    this.touched_slices = new Set();
    this.dragOn(view, x, y);
  }

  dragOn(view, x, y) {
    if (!this.reading) return;
    this.brush.at = [x, y];
    if (!this.touched_slices.has(this.currentSlice)) this.brush.last = null;
    this.touched_slices.add(this.currentSlice);
    this.brush.stroke(this.stack, this.regions, this.look.slice, x, y, this.tool.label);
    this.drawSoon();
  }

  releaseOn() {
    if (this.touched_slices?.size) this.give(this.changesOf(this.touched_slices));
    this.touched_slices = null;
  }

  /** A pressed brush goes on painting where a reader scrolls. */
  onSlice() {
    if (this.drag?.tool === "own" && this.brush.at) this.dragOn(this.drag.view, ...this.brush.at);
  }

  hoverOn(view, x, y) {
    this.brush.at = view ? [x, y] : null;
    this.drawSoon();
  }

  dabHere() {
    const [x, y] = this.brush.at ?? [this.look.x, this.look.y];
    this.pressOn(this.views[0], x, y);
    this.releaseOn();
  }

  clearSlice() {
    this.regions.fill(0, this.look.slice * this.stack.area, (this.look.slice + 1) * this.stack.area);
    this.give(this.changesOf([this.currentSlice]));
  }

  copyNear() {
    const { area, depth } = this.stack;
    const here = this.look.slice;
    const painted = (z) => z >= 0 && z < depth && this.regions.subarray(z * area, (z + 1) * area).some(Boolean);
    const from = [here + 1, here - 1].find(painted);
    if (from === undefined) return this.say("no region on the slice above or below");
    this.regions.copyWithin(here * area, from * area, (from + 1) * area);
    return this.give(this.changesOf([this.currentSlice]));
  }

  toRegion() {
    const slices = [...new Set(this.reading.of("region").map(([slice]) => slice))].sort((a, b) => b - a);
    if (!slices.length) return this.say("no region on this scan");
    const to = slices.find((slice) => slice < this.currentSlice) ?? slices[0];
    return this.setSlice(to - this.stack.first[0]);
  }

  // ---- what is told

  afterChange(parts = []) {
    const slices = new Set(parts.filter((part) => part.subject === "region").map((part) => part.slice));
    if (slices.size) this.fillFromLabels(slices);
    this.legend.replaceChildren(
      ...ARTERIES.map(({ name, says, colour }) => {
        const slicesOf = this.reading?.of("region").filter(([, item]) => item === name).length ?? 0;
        const row = element("div", "", `${this.tool.name === name ? "▶" : " "} ${says}: ${slicesOf} ${slicesOf === 1 ? "slice" : "slices"}`);
        row.style.color = colour;
        return row;
      }),
      element("div", "", `${this.tool === ERASER ? "▶" : " "} eraser`),
      element("p", "", `Brush ${this.brush.diameter_mm} mm wide`),
    );
    this.pressed([this.tool.name]);
    super.afterChange();
  }

  stripColour(z) {
    const slice = z + this.stack.first[0];
    const artery = ARTERIES.find(({ name }) => this.reading?.get("region", slice, name));
    return artery?.colour ?? "#3a4048";
  }

  progressOf() {
    return this.done ? "done" : "not done";
  }
}

export default widget(RegionPainter);
