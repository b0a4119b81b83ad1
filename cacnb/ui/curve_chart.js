// One small chart of a quantity over iterations, a line a run; it does not know what is trained.
import { element } from "./element.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 340, HEIGHT = 150, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 20;

/** Okabe and Ito's colours that stand out on black, with a dash so that colour is not needed. */
export const RUN_COLOURS = ["#56b4e9", "#e69f00", "#4cc38a", "#f0e442", "#cc79a7", "#d55e00"];
const DASHES = ["", "6 3", "2 2", "8 2 2 2", "1 3", "10 4"];

const svg = (tag, attributes, text = "") => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
};

/** A number in four characters or so. */
export function shortNumber(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e6) return `${(value / 1e6).toPrecision(3)}M`;
  if (size >= 1e4) return `${(value / 1e3).toPrecision(3)}k`;
  if (size < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(3)));
}

/** A quantity's name as people write it. */
const inWords = (name) => name.replaceAll("_", " ").replace(/\bhu\b/, "HU").replace(/^f1$/, "F1");

/** Round values between two ends, three or four of them. */
function ticks(low, high) {
  const raw = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((times) => times * power).find((width) => width >= raw);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-6; at += step)
    found.push(Math.abs(at) < step * 1e-6 ? 0 : at);
  return found;
}

/** `lines` are {run, curve: {at, mean, low, high}}; `marks` are {run, at}: where failures began. */
export function curveChart(name, lines, { logarithmic, marks, furthest }) {
  const figure = element("figure", "cacnb-chart");
  const caption = element("figcaption", "", inWords(name));
  for (const { run, curve } of lines) {
    const last = element("span", "cacnb-last", shortNumber(curve.mean.at(-1)));
    last.style.color = RUN_COLOURS[run];
    caption.append(last);
  }
  const means = lines.flatMap(({ curve }) => curve.mean);
  const log = logarithmic && Math.min(...means) > 0;
  const scaled = (value) => (log ? Math.log10(Math.max(value, 1e-12)) : value);
  let low = Math.min(...means.map(scaled)), high = Math.max(...means.map(scaled));
  if (high - low < 1e-9) [low, high] = [low - Math.max(Math.abs(low) * 0.1, 1e-3), high + Math.max(Math.abs(high) * 0.1, 1e-3)];
  const room = (high - low) * 0.06;
  [low, high] = name === "f1" && !log ? [0, 1] : [low - room, high + room];
  const x = (at) => LEFT + (at / Math.max(furthest, 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + (1 - (Math.min(Math.max(scaled(value), low), high) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const said = lines.map(({ curve }) => shortNumber(curve.mean.at(-1))).join(", ");
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${inWords(name)}: now ${said}` });
  for (const tick of ticks(low, high)) {
    const at = y(log ? 10 ** tick : tick);
    drawing.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at, class: "cacnb-grid" }));
    drawing.append(svg("text", { x: LEFT - 4, y: at + 4, "text-anchor": "end" }, shortNumber(log ? 10 ** tick : tick)));
  }
  for (const tick of ticks(0, Math.max(furthest, 1)))
    if (Number.isInteger(tick)) drawing.append(svg("text", { x: x(tick), y: HEIGHT - 5, "text-anchor": tick === 0 ? "start" : tick > 0.93 * furthest ? "end" : "middle" }, shortNumber(tick)));
  for (const mark of marks)
    drawing.append(svg("line", { x1: x(mark.at), x2: x(mark.at), y1: TOP, y2: HEIGHT - BOTTOM, stroke: RUN_COLOURS[mark.run], class: "cacnb-failed-at" }));
  for (const { run, curve } of lines) {
    const points = (values) => curve.at.map((at, i) => `${x(at).toFixed(1)},${y(values[i]).toFixed(1)}`);
    if (curve.at.length > 1 && lines.length === 1)
      drawing.append(svg("polygon", { points: [...points(curve.low), ...points(curve.high).reverse()].join(" "), fill: RUN_COLOURS[run], "fill-opacity": 0.2 }));
    if (curve.at.length === 1)
      drawing.append(svg("circle", { cx: x(curve.at[0]), cy: y(curve.mean[0]), r: 3, fill: RUN_COLOURS[run] }));
    drawing.append(svg("polyline", { points: points(curve.mean).join(" "), fill: "none", stroke: RUN_COLOURS[run], "stroke-width": 1.6, "stroke-dasharray": DASHES[run] }));
  }
  figure.append(caption, drawing);
  return figure;
}
