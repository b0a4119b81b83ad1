// Label slices (Figure 3A): one key a slice, copy over a range, fill to the end.
import { ReadingRoom } from "./reading_room.js";
import { element } from "./element.js";
import { widget } from "./slice_canvas.js";

/** Each label with its sign and colour: colour alone never tells. */
export const LABELS = {
  cac: { says: "CAC", sign: "●", colour: "#e69f00", keys: ["1", "c"] },
  no_cac: { says: "no CAC", sign: "○", colour: "#56b4e9", keys: ["2", "n"] },
  unsure: { says: "unsure", sign: "?", colour: "#cc79a7", keys: ["3", "u"] },
};

export class Labeller extends ReadingRoom {
  build(el) {
    super.build(el);
    this.mark = element("div", "cacnb-mark");
    this.screen.append(this.mark);
    this.counts = element("div", "cacnb-counts");
    this.panel.append(this.counts);
  }

  commands() {
    return [
      ...Object.entries(LABELS).map(([value, { says, sign, keys }]) => ({
        name: value, keys, says: `${says}, and on to the next slice`, run: () => this.label(value), button: `${sign} ${says}`, repeats: true,
      })),
      { name: "clear", keys: ["Backspace", "Delete"], says: "Take this slice's label away", run: () => this.give(this.labelled([this.currentSlice], null)) },
      { name: "copy", keys: ["r"], says: "Copy the last label over all slices from there to here", run: () => this.copy(), button: "Copy to here" },
      { name: "fill", keys: ["f"], says: "No CAC on every unlabelled slice from here to the end", run: () => this.fill(), button: "Fill no CAC" },
      { name: "next unlabelled", keys: [" ", "Tab"], says: "Next unlabelled slice", run: () => this.toUnlabelled() },
      { name: "map", keys: ["v"], says: "CAC map on slices that have their label (recorded with each label after it)", run: () => this.toggleMap() },
      ...super.commands(),
    ];
  }

  onScan() {
    this.mapSeen = false;
    this.mapWanted = false;
    this.last = null;
    this.wanted = new Set(this.slices);
  }

  labelOf(slice) {
    return this.reading?.get("slice", slice) ?? null;
  }

  /** Changes that label slices, and whether the scan is then all labelled. */
  labelled(slices, value) {
    const given = new Set(slices);
    const left = this.slices.filter((slice) => !(given.has(slice) ? value : this.labelOf(slice)));
    return [
      ...slices.map((slice) => ({ subject: "slice", slice, value })),
      { subject: "done", item: this.context.app, value: left.length ? null : "all labelled" },
    ];
  }

  label(value) {
    if (!this.reading) return;
    const slice = this.currentSlice;
    const place = this.slices.indexOf(slice);
    if (place < 0) {
      this.say("this slice is not asked about");
      return;
    }
    this.give(this.labelled([slice], value));
    this.last = slice;
    this.say(`slice ${this.slicePlace(slice)}: ${LABELS[value].says}`);
    if (place + 1 < this.slices.length) this.toSlice(this.slices[place + 1]);
    else if (this.slices.every((s) => this.labelOf(s))) this.say("all slices of this scan are labelled");
  }

  copy() {
    const value = this.last === null ? null : this.labelOf(this.last);
    if (!value) return this.say("no label was given on this scan yet");
    const here = this.currentSlice;
    const [low, high] = [Math.min(here, this.last), Math.max(here, this.last)];
    const range = this.slices.filter((s) => s >= low && s <= high);
    this.give(this.labelled(range, value));
    this.last = here;
    return this.say(`${LABELS[value].says} on ${range.length} slices`);
  }

  /** From here down to the last slice; what has a label keeps it. */
  fill() {
    const here = this.currentSlice;
    const free = this.slices.filter((s) => s <= here && !this.labelOf(s));
    if (free.length) this.give(this.labelled(free, "no_cac"));
    this.say(`no CAC on ${free.length} slices`);
  }

  toSlice(slice) {
    this.setSlice(slice - this.stack.first[0]);
  }

  toUnlabelled() {
    const here = this.currentSlice;
    const free = this.slices.filter((s) => !this.labelOf(s));
    if (!free.length) return this.say("every slice is labelled");
    return this.toSlice(free.find((s) => s < here) ?? free[0]);
  }

  toggleMap() {
    if (!this.stack?.layers.map) return this.say("this scan has no CAC map");
    this.mapWanted = !this.mapWanted;
    if (this.mapWanted && this.labelOf(this.currentSlice)) this.mapSeen = true;
    return this.draw();
  }

  draw() {
    const map = this.stack?.layers.map;
    if (map) map.on = Boolean(this.mapWanted && this.labelOf(this.currentSlice));
    if (map?.on) this.mapSeen = true;
    super.draw();
    this.drawMark();
  }

  drawMark() {
    if (!this.reading || !this.stack) return;
    const slice = this.currentSlice;
    const label = LABELS[this.labelOf(slice)];
    const outside = !this.wanted.has(slice);
    const flag = this.reading.get("flag", slice) ? "  ⚑" : "";
    this.mark.textContent = (outside ? "not asked" : label ? `${label.sign} ${label.says}` : "– unlabelled") + flag;
    this.mark.style.color = label?.colour ?? "#c8ccd0";
    this.mark.dataset.label = this.labelOf(slice) ?? "";
  }

  stripColour(z) {
    const slice = z + this.stack.first[0];
    if (!this.wanted?.has(slice)) return "#000";
    return LABELS[this.labelOf(slice)]?.colour ?? "#3a4048";
  }

  afterChange() {
    super.afterChange();
    const count = { cac: 0, no_cac: 0, unsure: 0 };
    for (const slice of this.slices) if (this.labelOf(slice)) count[this.labelOf(slice)] += 1;
    this.counts.replaceChildren(
      ...Object.entries(LABELS).map(([value, { says, sign, colour }]) => {
        const row = element("div", "", `${sign} ${says}: ${count[value]}`);
        row.style.color = colour;
        return row;
      }),
    );
    if (this.told.between) this.counts.append(element("p", "cacnb-told", this.toldOf(this.currentSlice)));
    for (const sentence of this.told.agreement ?? []) this.counts.append(element("p", "cacnb-faint", sentence));
  }

  onSlice() {
    const told = this.counts.querySelector(".cacnb-told");
    if (told) told.textContent = this.toldOf(this.currentSlice);
  }

  /** What two readers said of a slice, without their names; for adjudication only. */
  toldOf(slice) {
    const said = this.told.between?.[slice];
    return said ? `Two readers: ${said.map((value) => LABELS[value]?.says ?? value).join(" / ")}` : "";
  }

  progressOf() {
    const given = this.slices.filter((slice) => this.labelOf(slice)).length;
    return `${given} of ${this.slices.length} slices`;
  }
}

export default widget(Labeller);
