// One lesion under three sliders: picks what was computed before and draws it; it scores nothing.
import { element } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const ENLARGED = 5;
const PROFILE = { width: 860, height: 210, left: 52, right: 12, top: 12, bottom: 34, low: -200, high: 600 };
const THRESHOLD_HU = 130;
const COUNTED = "#e69f00";

/** What is told of a scan, in the order of its numbers: words, digits after the point. */
const ROWS = [
  ["Brightest voxel (HU)", 0], ["Agatston score", 0], ["Volume from 130 HU (mm³)", 0],
  ["Clinical mass, from 130 HU (mg)", 1], ["Whole mass, no threshold (mg)", 1],
];

const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const wholeOf = (text) => new Int16Array(bytesOf(text).buffer);

const svg = (tag, attributes, text = "") => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
};

class MovingLesion {
  constructor({ model, el }) {
    this.choices = model.get("choices");
    this.told = model.get("told");
    const images = model.get("images");
    for (const name of ["healthy", "calcium", "noise"]) this[name] = images[name].map(wholeOf);
    this.counted = images.counted.map(bytesOf);
    [this.slices, this.height, this.width] = this.choices.shape;
    this.size = this.slices * this.height * this.width;
    [this.speed, this.thickness, this.noisy] = this.choices.at_first;
    this.build(model, el);
    this.show();
  }

  build(model, el) {
    this.root = element("section", "cacnb cacnb-moving");
    this.root.setAttribute("aria-label", model.get("title"));
    this.root.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves the arrow keys to the sliders
    const head = element("header", "cacnb-head");
    head.append(element("strong", "cacnb-title", model.get("title")), element("span", "cacnb-notice", model.get("notice")));
    const { speeds_mm_s: speeds, thicknesses_mm: thicknesses, noises_hu: noises } = this.choices;
    const controls = element("div", "cacnb-sliders");
    this.sliders = {
      speed: this.slider(controls, "Speed of the lesion", speeds, "mm/s"),
      thickness: this.slider(controls, "Slice thickness", thicknesses, "mm"),
      noisy: this.slider(controls, "Noise", noises, "HU"),
    };
    const usual = element("div", "cacnb-buttons");
    usual.setAttribute("role", "group");
    usual.setAttribute("aria-label", "Usual speeds");
    usual.append(element("span", "cacnb-faint", "Usual speeds:"));
    for (const [name, speed] of [["at rest", 0], ...Object.entries(this.choices.usual_mm_s)]) {
      const button = element("button", "cacnb-button", speed ? `${name} ${Math.round(speed)} mm/s` : name);
      button.type = "button";
      button.addEventListener("click", () => this.choose("speed", this.nearest(speed)));
      usual.append(button);
    }
    this.canvas = element("canvas", "cacnb-moving-slices");
    this.canvas.setAttribute("role", "img");
    this.canvas.width = this.slices * this.width * ENLARGED + (this.slices - 1) * 4;
    this.canvas.height = this.height * ENLARGED;
    this.profile = element("div", "cacnb-profile");
    this.table = element("table", "cacnb-scores");
    const below = element("div", "cacnb-moving-below");
    below.append(this.profile, this.table);
    this.live = element("div", "cacnb-live");
    this.live.setAttribute("aria-live", "polite");
    this.root.append(head, controls, usual, this.canvas, below, this.live);
    // JupyterLab would take the arrow keys to move between cells.
    this.root.addEventListener("keydown", (event) => event.stopPropagation());
    el.replaceChildren(this.root);
  }

  slider(controls, words, values, unit) {
    const label = element("label", "cacnb-slider");
    const input = element("input");
    input.type = "range";
    [input.min, input.max, input.step] = [0, values.length - 1, 1];
    input.setAttribute("aria-label", words);
    const said = element("span", "cacnb-last"); // an <output> would take the label from the slider
    const name = element("span", "", `${words} `);
    name.append(said);
    label.append(name, input);
    controls.append(label);
    input.addEventListener("input", () => {
      const which = Object.keys(this.sliders).find((key) => this.sliders[key].input === input);
      this.choose(which, Number(input.value));
    });
    return { input, said, says: (at) => `${values[at]} ${unit}` };
  }

  nearest(speed) {
    const away = this.choices.speeds_mm_s.map((one) => Math.abs(one - speed));
    return away.indexOf(Math.min(...away));
  }

  choose(which, at) {
    this[which] = at;
    this.show();
  }

  /** Place of a scan among all: thickness, noise, speed. */
  row(speed = this.speed) {
    const { noises_hu: noises, speeds_mm_s: speeds } = this.choices;
    return (this.thickness * noises.length + this.noisy) * speeds.length + speed;
  }

  /** HU of the shown slices at a speed: what was painted, the calcium on it, the noise on both. */
  hu(speed = this.speed) {
    const [healthy, calcium, noise] = [this.healthy, this.calcium, this.noise].map((all) => all[this.thickness]);
    const found = new Int16Array(this.size);
    const [c, n] = [speed * this.size, this.noisy * this.size];
    for (let i = 0; i < this.size; i++) found[i] = healthy[i] + calcium[c + i] + noise[n + i];
    return found;
  }

  isCounted(i) {
    const bytes = Math.ceil(this.size / 8);
    const scan = this.noisy * this.choices.speeds_mm_s.length + this.speed;
    return (this.counted[this.thickness][scan * bytes + (i >> 3)] >> (7 - (i & 7))) & 1;
  }

  show() {
    for (const [which, { input, said, says }] of Object.entries(this.sliders)) {
      input.value = this[which];
      said.textContent = says(this[which]);
      input.setAttribute("aria-valuetext", says(this[which]));
    }
    const hu = this.hu();
    this.drawSlices(hu);
    this.drawProfile(hu, this.hu(0));
    this.tell();
  }

  drawSlices(hu) {
    const context = this.canvas.getContext("2d");
    const [low, high] = this.choices.window_hu;
    context.fillStyle = "#343b43";
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    const small = element("canvas");
    [small.width, small.height] = [this.width, this.height];
    const area = this.width * this.height;
    for (let z = 0; z < this.slices; z++) {
      const pixels = new ImageData(this.width, this.height);
      for (let i = 0; i < area; i++) {
        const grey = Math.max(0, Math.min(255, Math.round(((hu[z * area + i] - low) / (high - low)) * 255)));
        pixels.data.set([grey, grey, grey, 255], 4 * i);
      }
      small.getContext("2d").putImageData(pixels, 0, 0);
      const left = z * (this.width * ENLARGED + 4);
      context.imageSmoothingEnabled = false;
      context.drawImage(small, left, 0, this.width * ENLARGED, this.height * ENLARGED);
      this.outline(context, z * area, left);
    }
  }

  /** A line around the voxels that the clinical score counts. */
  outline(context, from, left) {
    const inside = (y, x) => y >= 0 && x >= 0 && y < this.height && x < this.width && this.isCounted(from + y * this.width + x);
    context.strokeStyle = COUNTED;
    context.lineWidth = 2;
    context.beginPath();
    for (let y = 0; y < this.height; y++)
      for (let x = 0; x < this.width; x++) {
        if (!inside(y, x)) continue;
        const [a, b, s] = [left + x * ENLARGED, y * ENLARGED, ENLARGED];
        for (const [dy, dx, line] of [[-1, 0, [a, b, a + s, b]], [1, 0, [a, b + s, a + s, b + s]], [0, -1, [a, b, a, b + s]], [0, 1, [a + s, b, a + s, b + s]]])
          if (!inside(y + dy, x + dx)) {
            context.moveTo(line[0], line[1]);
            context.lineTo(line[2], line[3]);
          }
      }
    context.stroke();
  }

  /** HU along the row through the lesion in the middle slice, now and at rest, beside 130 HU. */
  drawProfile(hu, atRest) {
    const { width, height, left, right, top, bottom, low, high } = PROFILE;
    const x = (at) => left + (at / (this.width - 1)) * (width - left - right);
    const y = (value) => top + (1 - (Math.max(low, Math.min(high, value)) - low) / (high - low)) * (height - top - bottom);
    const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    const from = (this.slices >> 1) * this.width * this.height + (this.height >> 1) * this.width;
    const points = (values) => Array.from({ length: this.width }, (_, i) => `${x(i).toFixed(1)},${y(values[from + i]).toFixed(1)}`).join(" ");
    for (const tick of [-200, 0, 200, 400, 600]) {
      drawing.append(svg("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), class: "cacnb-grid" }));
      drawing.append(svg("text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, String(tick)));
    }
    drawing.append(svg("line", { x1: left, x2: width - right, y1: y(THRESHOLD_HU), y2: y(THRESHOLD_HU), class: "cacnb-threshold" }));
    drawing.append(svg("text", { x: width - right, y: y(THRESHOLD_HU) - 5, "text-anchor": "end", class: "cacnb-threshold-text" }, `${THRESHOLD_HU} HU`));
    if (this.speed) drawing.append(svg("polyline", { points: points(atRest), class: "cacnb-at-rest" }));
    drawing.append(svg("polyline", { points: points(hu), class: "cacnb-now" }));
    const middle = (this.width - 1) / 2;
    for (const mm of [-30, -20, -10, 0, 10, 20, 30])
      drawing.append(svg("text", { x: x(middle + mm / this.choices.pixel_mm), y: height - 18, "text-anchor": "middle" }, String(mm)));
    drawing.append(svg("text", { x: (left + width - right) / 2, y: height - 3, "text-anchor": "middle" }, "mm along the lesion's way, middle slice; dotted: at rest"));
    drawing.setAttribute("aria-label", `HU along a line through the lesion, beside the threshold of ${THRESHOLD_HU} HU`);
    this.profile.replaceChildren(drawing);
  }

  tell() {
    const [now, rest] = [this.told[this.row()], this.told[this.row(0)]];
    const row = (cells, heading = "td") => {
      const made = element("tr");
      cells.forEach((cell, i) => made.append(element(i ? heading : "th", "", cell)));
      return made;
    };
    const body = element("tbody");
    ROWS.forEach(([words, digits], i) => body.append(row([words, now[i].toFixed(digits), rest[i].toFixed(digits)])));
    const truth = this.choices.true_mass_mg.toFixed(1);
    body.append(row(["True mass (mg)", truth, truth]));
    const top = element("thead");
    top.append(row(["", "now", "at rest"], "th"));
    this.table.replaceChildren(element("caption", "", "Simulated scores"), top, body);
    const said = Object.values(this.sliders).map((one) => one.said.textContent);
    const words = `${said[0]}, slices of ${said[1]}, noise ${said[2]}: brightest ${now[0].toFixed(0)} HU, Agatston score ${now[1].toFixed(0)}, clinical mass ${now[3].toFixed(1)} mg, whole mass ${now[4].toFixed(1)} of ${truth} mg`;
    this.live.textContent = words;
    this.canvas.setAttribute("aria-label", `Three slices of the simulated lesion; voxels that count are outlined. ${words}`);
  }
}

export default {
  render({ model, el }) {
    el.cacnb = new MovingLesion({ model, el });
  },
};
