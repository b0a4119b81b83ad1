// Review maps: scan, CAC map and healthy image side by side; lesions are judged, scores follow.
import { Brush, brushCommands } from "./brush.js";
import { hatch, strokeBorder } from "./outline.js";
import { ReadingRoom } from "./reading_room.js";
import { decodeRuns, encodeRuns } from "./runs.js";
import { element } from "./element.js";
import { widget } from "./slice_canvas.js";

const ARTERIES = [
  { name: "LAD", says: "LAD", key: "1", colour: "#e69f00" },
  { name: "LCX", says: "LCX", key: "2", colour: "#56b4e9" },
  { name: "RCA", says: "RCA", key: "3", colour: "#009e73" },
  { name: "LM", says: "left main", key: "4", colour: "#f0e442" },
];
const GREY = "#a8b0b8";
const colourOf = (artery) => ARTERIES.find(({ name }) => name === artery)?.colour ?? GREY;

/** Each verdict with its sign: colour alone never tells. */
const VERDICTS = { accept: "✓ accepted", reject: "✗ rejected" };

/** Noise is drawn out with less than the paper's brush, which is for whole regions. */
const ERASER_MM = 4;
const FLY_ZOOM = 3;
/** A map value of this much is fully coloured, in HU. */
const FULL_MAP_HU = 150;

const rounded = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const signed = (value, digits = 1) => (value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`);

const row = (cells, kind = "td") => {
  const made = element("tr");
  for (const cell of cells) made.append(element(kind, "", cell));
  return made;
};

export class MapReview extends ReadingRoom {
  build(el) {
    super.build(el);
    this.brush = new Brush();
    this.brush.diameter_mm = ERASER_MM;
    this.tool = null; // "erase" | "restore"
    this.selected = 0; // a lesion's number, from 1
    this.root.classList.add("cacnb-review");
    const pictures = element("div", "cacnb-pictures");
    const slices = element("div", "cacnb-slices");
    slices.append(this.screen, this.strip);
    this.table = element("div", "cacnb-lesions");
    pictures.append(slices, this.table);
    this.main.prepend(pictures);
    this.buttons.append(this.status); // over the panes it would lie on a scale bar
    this.scores = element("div", "cacnb-scores");
    this.scores.setAttribute("aria-live", "polite");
    this.panel.append(this.scores);
  }

  commands() {
    const inherited = super.commands();
    inherited.find(({ name }) => name === "whole scan").keys = ["w"];
    return [
      { name: "next lesion", keys: ["n"], says: "Fly to the next lesion", run: () => this.toLesion(1), button: "Next lesion" },
      { name: "previous lesion", keys: ["p"], says: "Fly to the previous lesion", run: () => this.toLesion(-1) },
      { name: "next open", keys: [" "], says: "Fly to the next lesion without a verdict", run: () => this.toOpen() },
      { name: "accept", keys: ["a"], says: "Accept the lesion", run: () => this.judge("accept"), button: "✓ Accept" },
      { name: "reject", keys: ["r"], says: "Reject the lesion: it is not scored", run: () => this.judge("reject"), button: "✗ Reject" },
      { name: "no verdict", keys: ["Backspace", "Delete"], says: "Take the verdict back", run: () => this.judge(null) },
      ...ARTERIES.map((artery) => ({ name: artery.name, keys: [artery.key], says: `The lesion is the ${artery.says}'s`, run: () => this.assign(artery.name), button: artery.name })),
      { name: "erase", keys: ["e"], says: "Draw out noise with the brush", run: () => this.choose("erase"), button: "Erase" },
      { name: "restore", keys: ["u"], says: "Put back with the brush what was drawn out", run: () => this.choose("restore"), button: "Put back" },
      ...brushCommands(this),
      { name: "dab", keys: ["Enter"], says: "Use the brush where it is", run: () => this.dabHere() },
      { name: "compare", keys: ["c"], says: "The rescan beside this scan, or this scan alone", run: () => this.compare(), button: "Rescan" },
      { name: "clinical", keys: ["b"], says: "Voxels that clinical scoring counts, on or off", run: () => this.toggleClinical() },
      { name: "view 3d", keys: ["g"], says: "Heart and map in three dimensions", run: () => this.toggle3d(), button: "3-D" },
      { name: "put down", keys: ["Escape"], says: "Put the brush down, close the 3-D view", run: () => (this.stage ? this.close3d() : this.choose(this.tool)) },
      this.doneCommand("reviewed"),
      ...inherited,
    ];
  }

  onScan() {
    this.close3d();
    const shown = `${this.context.scan}/${this.context.reading}`;
    this.isNew = shown !== this.shown;
    this.shown = shown;
    this.brush.at = null;
  }

  showPicture(said, buffers) {
    super.showPicture(said, buffers);
    const { lesions, map } = this.stack.layers;
    for (const stack of this.stacks) stack.layers.map.full = FULL_MAP_HU;
    this.lesions = lesions.array;
    this.foundMap = map.array.slice();
    this.noise = new Uint8Array(this.foundMap.length);
    this.wholeSlice = new Uint8Array(this.stack.whole_shape[1] * this.stack.whole_shape[2]);
    this.survey();
    this.panes.classList.toggle("cacnb-two-rows", this.stacks.length > 1);
    for (const view of this.views) {
      const own = view.stack === this.stack;
      if (own) view.marks.push((context) => this.drawMarks(context, view));
      view.canvas.dataset.pane = view.title;
    }
    this.fit();
    this.fillNoise();
    if (this.isNew) this.begin();
    this.align();
    this.draw();
  }

  /** A scan opens at its first lesion without a verdict, all of the heart in view. */
  begin() {
    const open = this.list.findIndex((lesion) => !this.verdictOf(lesion)) + 1;
    this.selected = open || (this.list.length ? 1 : 0);
    if (this.places[this.selected]) this.setSlice(this.places[this.selected].slice);
  }

  /** Where each lesion lies: slices, box, centre and reach, so that flying asks nobody. */
  survey() {
    const { width, area, spacing_mm: [, sy, sx], depth } = this.stack;
    this.where = [];
    this.places = [];
    this.onSliceLesions = Array.from({ length: depth }, () => new Set());
    for (let i = 0; i < this.lesions.length; i++) {
      const number = this.lesions[i];
      if (!number) continue;
      this.where.push(i);
      const [z, y, x] = [Math.floor(i / area), Math.floor((i % area) / width), i % width];
      const place = (this.places[number] ??= { box: [x, y, x, y], mass: new Map() });
      place.box = [Math.min(place.box[0], x), Math.min(place.box[1], y), Math.max(place.box[2], x), Math.max(place.box[3], y)];
      place.mass.set(z, (place.mass.get(z) ?? 0) + this.foundMap[i]);
      this.onSliceLesions[z].add(number);
    }
    for (const place of this.places) {
      if (!place) continue;
      const [left, top, right, bottom] = place.box;
      [place.x, place.y] = [(left + right) / 2, (top + bottom) / 2];
      place.radius_mm = Math.hypot((right - left + 1) * sx, (bottom - top + 1) * sy) / 2 + 3;
      [place.slice] = [...place.mass].reduce((best, one) => (one[1] > best[1] ? one : best));
    }
  }

  // ---- lesions

  get list() {
    return this.told?.lesions ?? [];
  }

  lesion(number = this.selected) {
    return this.list[number - 1];
  }

  verdictOf(lesion) {
    return this.reading?.get("verdict", null, lesion.key) ?? null;
  }

  arteryOf(lesion) {
    return this.reading?.get("lesion", null, lesion.key) ?? lesion.artery_found;
  }

  toLesion(by) {
    if (!this.list.length) return this.say("this map shows no lesion");
    const n = this.list.length;
    return this.fly(this.selected ? ((this.selected - 1 + by + n) % n) + 1 : by > 0 ? 1 : n);
  }

  toOpen() {
    const n = this.list.length;
    const numbers = Array.from({ length: n }, (_, i) => ((this.selected + i) % n) + 1);
    const open = numbers.find((number) => !this.verdictOf(this.lesion(number)));
    if (open) this.fly(open);
    else this.say("every lesion has its verdict");
  }

  fly(number) {
    const place = this.places[number];
    this.select(number);
    if (!place) return this.say("this lesion lies outside what is shown: press W for all slices");
    const look = this.look;
    look.zoom = Math.max(FLY_ZOOM, look.zoom);
    [look.x, look.y] = [place.x + 0.5, place.y + 0.5];
    this.setSlice(place.slice);
    this.align();
    return this.draw();
  }

  select(number) {
    this.selected = number;
    const lesion = this.lesion();
    if (lesion) this.say(`lesion ${number}, ${this.arteryOf(lesion) ?? "no artery"}, ${VERDICTS[this.verdictOf(lesion)] ?? "no verdict"}`);
    this.tellLesions();
    this.table.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }

  /** Give what is said to the chosen lesion; the first press chooses one where none is. */
  ofSelected(wanted) {
    const lesion = this.lesion();
    if (!lesion) return this.say("choose a lesion first: N flies to the next one");
    return this.give([{ item: lesion.key, ...wanted }]);
  }

  judge(verdict) {
    this.ofSelected({ subject: "verdict", value: verdict });
    if (this.lesion()) this.say(`lesion ${this.selected} ${verdict ? VERDICTS[verdict] : "without verdict"}`);
  }

  assign(artery) {
    const lesion = this.lesion();
    // The method's own answer given again is no change.
    this.ofSelected({ subject: "lesion", value: lesion?.artery_found === artery ? null : artery });
    if (lesion) this.say(`lesion ${this.selected} ${artery}`);
  }

  // ---- noise

  /** What was drawn out, from the labels; of one slice or of all. */
  fillNoise(slices = null) {
    const [z0] = this.stack.first;
    for (let z = 0; z < this.stack.depth; z++) {
      if (slices && !slices.has(z + z0)) continue;
      decodeRuns(this.reading.get("noise", z + z0, this.told.map), this.wholeSlice);
      this.stack.eachPixel(z, (here, whole) => (this.noise[here] = this.wholeSlice[whole]));
    }
    this.fillMap();
  }

  /** The map as the review leaves it: what is rejected or drawn out is gone. */
  fillMap() {
    const { array } = this.stack.layers.map;
    const out = [false, ...this.list.map((lesion) => this.verdictOf(lesion) === "reject" || lesion.too_small)];
    for (const i of this.where) array[i] = this.noise[i] || out[this.lesions[i]] ? 0 : this.foundMap[i];
  }

  changesOf(slices) {
    return [...slices].map((slice) => {
      const item = this.told.map;
      decodeRuns(this.reading.get("noise", slice, item), this.wholeSlice);
      this.stack.eachPixel(slice - this.stack.first[0], (here, whole) => (this.wholeSlice[whole] = this.noise[here]));
      return { subject: "noise", slice, item, value: encodeRuns(this.wholeSlice) || null };
    });
  }

  choose(tool) {
    this.tool = this.tool === tool ? null : tool;
    this.say({ erase: "eraser", restore: "put back" }[this.tool] ?? "no brush");
    this.afterChange();
  }

  toolFor(event, view) {
    const tool = super.toolFor(event, view);
    if (tool !== "window" || event.button === 2 || view.stack !== this.stack) return tool;
    return this.tool || this.lesionAt(view, ...view.voxelAt(event.offsetX, event.offsetY)) ? "own" : tool;
  }

  lesionAt(view, x, y) {
    const [i, j] = [Math.floor(x), Math.floor(y)];
    if (i < 0 || j < 0 || i >= view.stack.width || j >= view.stack.height) return 0;
    return this.lesions[view.look.slice * view.stack.area + j * view.stack.width + i];
  }

  pressOn(view, x, y) {
    if (!this.tool) {
      this.select(this.lesionAt(view, x, y));
      this.draw();
      return;
    }
    this.brush.last = null;
    this.touchedSlices = new Set();
    this.dragOn(view, x, y);
  }

  dragOn(view, x, y) {
    if (!this.tool || !this.touchedSlices) return;
    this.brush.at = [x, y];
    if (!this.touchedSlices.has(this.currentSlice)) this.brush.last = null;
    this.touchedSlices.add(this.currentSlice);
    this.brush.stroke(this.stack, this.noise, this.look.slice, x, y, this.tool === "erase" ? 1 : 0);
    // Only what the map shows can be drawn out of it.
    const [from, to] = [this.look.slice * this.stack.area, (this.look.slice + 1) * this.stack.area];
    for (let i = from; i < to; i++) if (!this.lesions[i]) this.noise[i] = 0;
    this.fillMap();
    this.drawSoon();
  }

  releaseOn() {
    if (this.touchedSlices?.size) this.give(this.changesOf(this.touchedSlices));
    this.touchedSlices = null;
  }

  hoverOn(view, x, y) {
    if (!this.tool && !this.brush.at) return;
    this.brush.at = this.tool && view?.stack === this.stack ? [x, y] : null;
    this.drawSoon();
  }

  dabHere() {
    if (!this.tool) return this.say("take a brush first: E draws out, U puts back");
    this.pressOn(this.views[0], ...(this.brush.at ?? [this.look.x, this.look.y]));
    return this.releaseOn();
  }

  // ---- the rescan

  compare() {
    if (!this.told?.has_rescan) return this.say("no other scored scan of this patient is in the study");
    const compare = this.stacks.length < 2;
    return this.outbox.post({ type: "open", position: this.position, whole: this.whole, slice: this.currentSlice, have: [], compare });
  }

  /** The rescan where this scan is, from heart's centre to heart's centre, in millimetres and as large. */
  align() {
    const hearts = this.told?.rescan?.hearts;
    if (this.stacks.length < 2 || !hearts) return;
    const [here, there] = this.looks;
    const [own, other] = this.stacks;
    const [from, to] = this.stacks.map((stack) => this.views.find((view) => view.stack === stack));
    const along = (axis, at) => {
      const mm = (at + own.first[axis] - hearts[0][axis]) * own.spacing_mm[axis];
      return hearts[1][axis] + mm / other.spacing_mm[axis] - other.first[axis];
    };
    there.exact = along(0, here.slice);
    there.slice = Math.max(0, Math.min(other.depth - 1, Math.round(there.exact)));
    [there.y, there.x] = [along(1, here.y - 0.5) + 0.5, along(2, here.x - 0.5) + 0.5];
    there.zoom *= from.scale() / to.scale();
  }

  fit() {
    super.fit();
    this.align();
    this.draw();
  }

  resetView() {
    super.resetView();
    this.align();
    this.draw();
  }

  // ---- three dimensions

  toggle3d() {
    if (this.stage) return this.close3d();
    this.stage = element("section", "cacnb-stage");
    this.stage.setAttribute("aria-label", "Heart and CAC map in three dimensions");
    const bar = element("div", "cacnb-stage-bar", "Heart and map as reviewed · drag turns, wheel zooms · a picture, no measurement");
    const close = element("button", "cacnb-button", "Close");
    close.type = "button";
    close.addEventListener("click", () => this.close3d());
    bar.append(close);
    this.scene = element("div", "cacnb-scene", "Opening …");
    this.stage.append(bar, this.scene);
    this.screen.parentElement.append(this.stage);
    const height_px = Math.max(240, Math.round(this.scene.getBoundingClientRect().height));
    return this.outbox.post({ type: "view_3d", height_px });
  }

  async show3d(message) {
    const manager = this.model.widget_manager;
    const view = await manager.create_view(await manager.get_model(message.model));
    if (!this.stage) return;
    this.scene.replaceChildren(view.el);
    this.stage.dataset.shown = "true";
  }

  close3d() {
    if (!this.stage) return;
    this.stage.remove();
    this.stage = null;
    this.outbox.post({ type: "close_3d" });
    this.root.focus({ preventScroll: true });
  }

  hear(message, buffers) {
    if (message.type !== "view_3d") return super.hear(message, buffers);
    this.outbox.hear(message);
    return this.show3d(message);
  }

  // ---- what is drawn

  toggleOverlay() {
    this.bare = !this.bare;
    for (const stack of this.stacks) stack.layers.map.on = !this.bare;
    this.say(this.bare ? "overlay off" : "overlay on");
    this.draw();
  }

  toggleClinical() {
    const on = !this.stack.layers.clinical.on;
    for (const stack of this.stacks) stack.layers.clinical.on = on;
    this.say(on ? "clinical voxels on" : "clinical voxels off");
    this.draw();
  }

  drawMarks(context, view) {
    const numbers = this.onSliceLesions?.[view.look.slice] ?? [];
    if (view.layers.includes("map") && !this.bare)
      for (const number of numbers) this.drawLesion(context, view, number);
    const place = this.places?.[this.selected];
    if (place?.mass.has(view.look.slice)) {
      const [px, py] = view.pointOf(place.x, place.y);
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5;
      context.beginPath();
      context.arc(px, py, place.radius_mm * view.scale(), 0, 2 * Math.PI);
      context.stroke();
    }
    this.brush.draw(context, view, this.tool === "restore" ? "#4cc38a" : "#fff");
  }

  /** Its border in its artery's colour; hollow and grey where rejected, hatched where drawn out. */
  drawLesion(context, view, number) {
    const lesion = this.lesion(number);
    if (!lesion) return;
    const { box } = this.places[number];
    const drawn = (i) => this.lesions[i] === number && this.noise[i] === 1;
    const left = (i) => this.lesions[i] === number && !this.noise[i];
    const out = this.verdictOf(lesion) === "reject" || lesion.too_small;
    strokeBorder(context, view, left, box, out ? GREY : colourOf(this.arteryOf(lesion)), number === this.selected ? 2 : 1.25);
    hatch(context, view, drawn, box, GREY);
    strokeBorder(context, view, drawn, box, GREY, 1);
  }

  stripColour(z) {
    const [number] = this.onSliceLesions?.[z] ?? [];
    const lesion = number && this.lesion(number);
    if (lesion) return this.verdictOf(lesion) === "reject" ? GREY : colourOf(this.arteryOf(lesion));
    return this.slices?.includes(z + this.stack.first[0]) ? "#2a3037" : "#000";
  }

  // ---- what is told

  afterChange(parts = []) {
    const slices = new Set(parts.filter(({ subject }) => subject === "noise").map(({ slice }) => slice));
    if (slices.size) this.fillNoise(slices);
    else if (this.where) this.fillMap();
    super.afterChange();
    this.tellLesions();
    this.tellScores();
    this.pressed([this.tool, this.stacks.length > 1 ? "compare" : ""]);
  }

  tellLesions() {
    const table = element("table");
    const head = element("thead");
    head.append(row(["", "artery", "adj. Agatston", "HU·mm³", "mm³", "peak HU", "peak in map", "verdict"], "th"));
    const body = element("tbody");
    this.list.forEach((lesion, i) => body.append(this.lesionRow(lesion, i + 1)));
    table.append(head, body);
    const none = element("p", "cacnb-faint", "The method found no calcium in this scan.");
    this.table.replaceChildren(this.list.length ? table : none);
  }

  lesionRow(lesion, number) {
    const artery = this.arteryOf(lesion);
    const verdict = this.verdictOf(lesion);
    const changed = artery !== lesion.artery_found ? `${artery} (found ${lesion.artery_found ?? "–"})` : artery ?? "–";
    const state = verdict ? VERDICTS[verdict] : "– open";
    const made = row([
      String(number), changed, rounded(lesion.agatston_adjusted), rounded(lesion.pseudo_mass_hu_mm3, 0), rounded(lesion.volume_mm3, 0),
      rounded(lesion.peak_hu, 0), rounded(lesion.peak_map_hu, 0), lesion.too_small ? `${state}, drawn out` : state,
    ]);
    made.children[1].style.color = colourOf(artery);
    made.setAttribute("aria-selected", String(number === this.selected));
    made.classList.toggle("cacnb-out", verdict === "reject" || lesion.too_small);
    made.addEventListener("click", () => {
      this.fly(number);
      this.root.focus({ preventScroll: true });
    });
    return made;
  }

  tellScores() {
    const { found, reviewed, clinical, rescan, notes } = this.told ?? {};
    if (!found) return;
    const table = element("table");
    const line = (says, score, name = "") => {
      const made = row([says, rounded(score.agatston), rounded(score.pseudo_mass_hu_mm3, 0), rounded(score.volume_mm3, 0), score.risk_category ?? "–"]);
      if (name) made.dataset.score = name;
      table.append(made);
      return made;
    };
    const less = (says, one, other) => {
      const by = (name, digits) => (one[name] === null || other[name] === null ? "–" : signed(one[name] - other[name], digits));
      const made = row([says, by("agatston", 1), by("pseudo_mass_hu_mm3", 0), by("volume_mm3", 0), ""]);
      made.className = "cacnb-less";
      table.append(made);
    };
    table.append(row(["", "Agatston", "HU·mm³", "mm³", "risk"], "th"));
    line("Found", found, "found");
    line("Reviewed", reviewed, "reviewed").className = "cacnb-total";
    less("change", reviewed, found);
    line("Clinical", clinical, "clinical");
    less("difference", reviewed, clinical);
    const how = element("p", "cacnb-faint", `Found and reviewed: adjusted Agatston score of the map. Clinical: ${clinical.rule}; difference: reviewed − clinical.`);
    this.scores.replaceChildren(table, how);
    if (rescan) this.tellRescan(rescan);
    for (const note of notes) this.scores.append(element("p", "cacnb-faint", note));
    if (this.tool) this.scores.append(element("p", "", `${this.tool === "erase" ? "Eraser" : "Put back"}, ${this.brush.diameter_mm} mm wide`));
    this.root.dataset.agatston = String(reviewed.agatston);
  }

  /** Both scans' scores side by side, and how far they lie apart. */
  tellRescan(rescan) {
    const table = element("table");
    table.append(row(["Agatston", "this", "rescan", "|a−b|/mean"], "th"));
    for (const { says, this_scan, rescan: other, relative_difference: apart } of rescan.scores)
      table.append(row([says, rounded(this_scan), rounded(other), apart === null ? "both 0" : `${(100 * apart).toFixed(0)} %`]));
    this.scores.append(element("h3", "cacnb-heading", "Scan and rescan"), table);
    if (rescan.statement) this.scores.append(element("p", "", rescan.statement));
  }

  tellStatus() {
    super.tellStatus();
    const { view, x, y } = this.hover ?? {};
    if (!view || view.stack !== this.stack || !this.foundMap) return;
    const [i, j] = view.voxelAt(x, y).map(Math.floor);
    if (i < 0 || j < 0 || i >= view.stack.width || j >= view.stack.height) return;
    const hu = this.foundMap[view.look.slice * view.stack.area + j * view.stack.width + i];
    if (hu) this.status.textContent += `  ·  map ${hu} HU`;
  }

  progressOf() {
    const judged = this.list.filter((lesion) => this.verdictOf(lesion)).length;
    return `${judged} of ${this.list.length} lesions judged${this.done ? ", done" : ""}`;
  }
}

export default widget(MapReview);
