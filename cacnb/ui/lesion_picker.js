// Score clinically: bright voxels are shown, a click gives a lesion its place, scores follow.
import { ReadingRoom } from "./reading_room.js";
import { element } from "./element.js";
import { widget } from "./slice_canvas.js";

/** Places in the order of PLACES in cacnb/scoring/picks.py; coronary ones are scored. */
export const PLACES = [
  { name: "LAD", says: "LAD", key: "1", colour: "#e69f00" },
  { name: "LCX", says: "LCX", key: "2", colour: "#56b4e9" },
  { name: "RCA", says: "RCA", key: "3", colour: "#009e73" },
  { name: "LM", says: "left main", key: "4", colour: "#f0e442" },
  { name: "aorta", says: "aorta", key: "q", colour: "#cc79a7" },
  { name: "valve", says: "valve", key: "w", colour: "#cc79a7" },
  { name: "bone", says: "bone", key: "e", colour: "#969696" },
  { name: "metal", says: "metal", key: "t", colour: "#969696" },
  { name: "not_coronary", says: "not coronary", key: "n", colour: "#969696" },
];
const CORONARY = PLACES.slice(0, 4);

const rounded = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));

export class LesionPicker extends ReadingRoom {
  build(el) {
    super.build(el);
    this.place = PLACES[0];
    this.radius_mm = 5;
    this.limited = false;
    this.scores = element("div", "cacnb-scores");
    this.scores.setAttribute("aria-live", "polite");
    this.panel.append(this.scores);
  }

  commands() {
    return [
      ...PLACES.map((place) => ({ name: place.name, keys: [place.key], says: `Give to: ${place.says}`, run: () => this.choose(place), button: place.says })),
      { name: "limit", keys: ["s"], says: "Pick only what lies within a sphere, or the whole lesion", run: () => this.limit(), button: "Sphere" },
      { name: "smaller", keys: [","], says: "Smaller sphere", run: () => this.resize(-1) },
      { name: "larger", keys: ["."], says: "Larger sphere", run: () => this.resize(1) },
      { name: "next candidate", keys: [" "], says: "Next bright spot in the heart", run: () => this.toStop() },
      { name: "give", keys: ["Enter"], says: "Give the lesion at the cross", run: () => this.pick(this.cross) },
      { name: "withdraw", keys: ["Backspace", "Delete"], says: "Take back the lesion at the cross", run: () => this.pick(this.cross, null) },
      this.doneCommand("scored"),
      ...super.commands(),
    ];
  }

  showPicture(said, buffers) {
    super.showPicture(said, buffers);
    const view = this.views[0];
    this.cross = null;
    view.marks.push((context) => this.drawCross(context, view));
    this.draw();
  }

  choose(place) {
    this.place = place;
    this.say(`give to ${place.says}`);
    this.afterChange();
  }

  limit() {
    this.limited = !this.limited;
    this.say(this.limited ? `within ${this.radius_mm} millimetres` : "whole lesion");
    this.afterChange();
  }

  resize(by) {
    this.radius_mm = Math.max(1, Math.min(30, this.radius_mm + by));
    this.say(`sphere of ${this.radius_mm} millimetres`);
    this.afterChange();
  }

  leftTool() {
    return "own";
  }

  pressOn(view, x, y) {
    this.cross = [this.currentSlice, Math.floor(y) + this.stack.first[1], Math.floor(x) + this.stack.first[2]];
    this.pick(this.cross);
    this.draw();
  }

  /** Ask which lesion is there; the kernel knows what is connected in 3-D. */
  pick(at, place = this.place.name) {
    if (!at) return this.say("no lesion is meant: click on one, or press the space bar");
    return this.outbox.post({ type: "pick", at, place, radius_mm: this.limited ? this.radius_mm : null });
  }

  hear(message, buffers) {
    if (message.type !== "picked") return super.hear(message, buffers);
    this.outbox.hear(message);
    if (message.key === null) return this.say("no bright voxel is near");
    this.give([{ subject: "lesion", item: message.key, value: message.place }]);
    return this.say(message.place ? `given to ${message.place}` : "taken back");
  }

  showTold(message, buffers) {
    if (message.layer) {
      const { array } = this.stack.layers[message.layer];
      array.fill(0);
      const where = new Int32Array(buffers[0].buffer.slice(buffers[0].byteOffset, buffers[0].byteOffset + buffers[0].byteLength));
      const values = new Uint8Array(buffers[1].buffer, buffers[1].byteOffset, buffers[1].byteLength);
      where.forEach((voxel, i) => (array[voxel] = values[i]));
    }
    super.showTold(message);
  }

  toStop() {
    const stops = this.told.stops ?? [];
    if (!stops.length) return this.say("no bright spot in the heart");
    this.stop = ((this.stop ?? -1) + 1) % stops.length;
    this.cross = stops[this.stop];
    this.say(`spot ${this.stop + 1} of ${stops.length}`);
    return this.setSlice(this.cross[0] - this.stack.first[0]);
  }

  onScan() {
    this.stop = -1;
  }

  drawCross(context, view) {
    if (!this.cross || this.cross[0] !== this.currentSlice) return;
    const [px, py] = view.pointOf(this.cross[2] - this.stack.first[2], this.cross[1] - this.stack.first[1]);
    context.strokeStyle = this.place.colour;
    context.lineWidth = 1.5;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(px + dx * 8, py + dy * 8);
      context.lineTo(px + dx * 18, py + dy * 18);
    }
    if (this.limited) {
      context.moveTo(px + this.radius_mm * view.scale(), py);
      context.arc(px, py, this.radius_mm * view.scale(), 0, 2 * Math.PI);
    }
    context.stroke();
  }

  afterChange(parts) {
    super.afterChange(parts);
    this.tellScores();
    this.pressed([this.place.name, this.limited ? "limit" : ""]);
  }

  tellScores() {
    const { scores } = this.told ?? {};
    if (!scores) return;
    const table = element("table");
    const row = (cells, kind = "td") => {
      const made = element("tr");
      for (const cell of cells) made.append(element(kind, "", cell));
      return made;
    };
    table.append(row(["", "Agatston", "mm³", "HU·mm³"], "th"));
    for (const { name, says, colour } of CORONARY) {
      const part = scores.arteries[name];
      const made = row([says, rounded(part.agatston), rounded(part.volume_mm3), rounded(part.pseudo_mass_hu_mm3, 0)]);
      made.firstChild.style.color = colour;
      table.append(made);
    }
    const total = row(["all", rounded(scores.agatston), rounded(scores.volume_mm3), rounded(scores.pseudo_mass_hu_mm3, 0)]);
    total.className = "cacnb-total";
    table.append(total);
    const risk = element("p", "cacnb-risk", scores.risk_category ? `Risk category ${scores.risk_category}` : "no risk category by this convention");
    const how = element("p", "cacnb-faint", `Convention ${scores.convention}, ${this.told.threshold}. ${this.limited ? `Sphere of ${this.radius_mm} mm.` : "Whole lesions."}`);
    this.scores.replaceChildren(table, risk, how);
    this.root.dataset.agatston = String(scores.agatston);
  }

  progressOf() {
    const lesions = this.reading.of("lesion").length;
    return `${lesions} lesions given${this.done ? ", done" : ""}`;
  }
}

export default widget(LesionPicker);
