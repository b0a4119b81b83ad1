// The page of training runs: what goes wrong on top, curves, pictures; it starts and stops nothing.
import { RUN_COLOURS, curveChart, shortNumber } from "./curve_chart.js";
import { element } from "./element.js";

/** Milliseconds from an answer to the next question, and until an answer is missed. */
const ASK_MS = 2000, MISSED_MS = 15000;

/** How a state is said, with a sign beside its colour. */
const STATES = {
  waiting: "… waiting", running: "▶ running", quiet: "? no new step",
  finished: "✓ finished", stopped: "✕ stopped",
};
const ROWS = [
  ["losses", "Loss terms", "one value a step: mean of neighbouring steps, and their range"],
  ["figure_5", "Validation (as in Figure 5)", "best F1 over validation slices; mean relative scan–rescan difference"],
  ["numbers", "Maps and critics on validation slices", "what failures are told from"],
];
/** Columns of a picture: with a synthesiser, and without one. */
const COLUMNS = ["slice with CAC", "CAC map", "healthy", "cycle", "slice without", "synthetic map", "synthetic CAC", "cycle"];
const COLUMNS_ONE_WAY = ["slice with CAC", "CAC map", "healthy", "slice without", "its map"];
const columnsOf = (run) => (["inserted", "one_sided"].includes(run.method) ? COLUMNS_ONE_WAY : COLUMNS);

/** Seconds as people say them. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} d`;
}

/** What was validated on; simulated scans are always called so. */
const slicesInWords = ({ slices, simulated_slices: simulated, pairs }) => {
  const all = simulated === slices ? "simulated " : "";
  const some = simulated && !all ? `, ${simulated} of them simulated` : "";
  return `${slices} ${all}slices${some}${pairs ? `, ${pairs} positive pairs` : ""}`;
};

class MonitorPage {
  constructor({ model, el }) {
    this.model = model;
    this.runs = [];
    this.logarithmic = false;
    this.chosen = { run: 0, iteration: null };
    this.wanted = "";
    this.root = element("div", "cacnb cacnb-monitor");
    this.root.tabIndex = 0;
    this.build();
    el.append(this.root);
    this.hear = (message, buffers) => this.heard(message, buffers);
    model.on("msg:custom", this.hear);
    this.ask(true);
  }

  build() {
    const head = element("div", "cacnb-head");
    head.append(element("strong", "", this.model.get("title") ?? "Training"));
    this.log = element("button", "cacnb-button", "Log scale");
    this.log.type = "button";
    this.log.setAttribute("aria-pressed", "false");
    this.log.addEventListener("click", () => {
      this.logarithmic = !this.logarithmic;
      this.log.setAttribute("aria-pressed", String(this.logarithmic));
      this.draw();
    });
    head.append(this.log, element("span", "cacnb-notice", this.model.get("notice") ?? ""));
    this.lost = element("div", "cacnb-alert", "No answer from the kernel. The training is not touched by this; the page goes on asking.");
    this.lost.hidden = true;
    this.alerts = element("div", "cacnb-failures");
    this.alerts.setAttribute("role", "alert");
    this.list = element("div", "cacnb-runs");
    this.body = element("div", "cacnb-curves");
    this.below = element("div", "cacnb-curves");
    this.pictures = element("section", "cacnb-samples");
    this.pictures.hidden = true;
    this.buildPictures();
    const scroll = element("div", "cacnb-scroll");
    scroll.append(this.list, this.body, this.pictures, this.below);
    this.root.append(head, this.lost, this.alerts, scroll);
  }

  buildPictures() {
    const bar = element("div", "cacnb-samples-bar");
    this.caption = element("h2", "");
    this.slider = element("input");
    this.slider.type = "range";
    this.slider.min = 0;
    this.slider.setAttribute("aria-label", "Which picture");
    this.slider.addEventListener("input", () => {
      const at = this.runs[this.chosen.run].pictures;
      const i = Number(this.slider.value);
      this.chosen.iteration = i === at.length - 1 ? null : at[i];
      this.drawPictures();
    });
    this.which = element("select", "cacnb-button");
    this.which.setAttribute("aria-label", "Pictures of which run");
    this.which.addEventListener("change", () => {
      this.chosen = { run: Number(this.which.value), iteration: null };
      this.drawPictures();
    });
    bar.append(this.caption, this.which, this.slider);
    this.names = element("div", "cacnb-columns");
    this.image = element("img");
    this.pictures.append(bar, this.names, this.image);
  }

  /** Ask once; the answer asks again, a missed answer too. A page that is not seen waits. */
  ask(anew = false) {
    clearTimeout(this.timer);
    if (this.closed) return;
    if (document.hidden && !anew) {
      this.timer = setTimeout(() => this.ask(), ASK_MS);
      return;
    }
    try {
      this.model.send({ type: "ask", anew: anew || !this.runs.length });
    } catch {
      this.lost.hidden = false;
    }
    this.timer = setTimeout(() => {
      this.lost.hidden = false;
      this.ask(true);
    }, MISSED_MS);
  }

  heard(message, buffers) {
    if (message.type === "picture") return this.showPicture(message, buffers[0]);
    if (message.type !== "news") return undefined;
    this.lost.hidden = true;
    this.runs = message.runs.map((run, i) => ({ ...this.runs[i], ...run }));
    this.drawWords();
    if (message.runs.some((run) => run.losses)) this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), ASK_MS);
    return undefined;
  }

  drawWords() {
    this.list.replaceChildren(...this.runs.map((run, i) => this.runRow(run, i)));
    const failing = this.runs.flatMap((run) => (run.failing ?? []).map((row) => ({ ...row, run: run.name })));
    const said = failing.map((row) => `${row.run}${row.name}${row.iteration}`).join();
    if (said === this.said) return;
    this.said = said;
    this.alerts.replaceChildren(...failing.map((row) => {
      const alert = element("div", "cacnb-alert");
      const which = this.runs.length > 1 ? `${row.run}: ` : "";
      alert.append(element("strong", "", `✕ ${which}${row.name.replaceAll("_", " ")} since iteration ${row.iteration}`));
      alert.append(element("div", "", `${row.means}. To try: ${row.advice}.`));
      return alert;
    }));
  }

  runRow(run, i) {
    const row = element("div", "cacnb-run");
    const name = element("strong", "", `━ ${run.name}`);
    name.style.color = RUN_COLOURS[i];
    row.append(name, element("span", `cacnb-state cacnb-${run.state}`, STATES[run.state]));
    const fact = (label, value) => {
      const cell = element("span", "cacnb-fact");
      cell.append(element("span", "cacnb-faint", label), element("span", "", value));
      row.append(cell);
    };
    if (run.state === "waiting") {
      fact("waiting for", run.file);
      return row;
    }
    if (run.stage) fact("stage", `${run.stage}, recipe ${run.recipe}`);
    fact("iteration", `${run.iteration.toLocaleString("en")} of ${run.of ? run.of.toLocaleString("en") : "?"}`);
    const bar = element("progress");
    bar.max = run.of || 1;
    bar.value = run.iteration;
    bar.setAttribute("aria-label", "Share of the iterations done");
    row.append(bar);
    if (run.state === "running") {
      fact("samples a second", shortNumber(run.samples_per_s));
      fact("time left", duration(run.left_s));
    }
    if (run.seconds) fact("trained for", duration(run.seconds));
    if (run.state === "quiet") fact("no new step for", duration(run.quiet_s));
    if (run.state === "finished") fact("ended", `${duration(run.quiet_s)} ago`);
    const words = run.words ?? {};
    if (words.gpu_memory_mb) fact("GPU memory", `${shortNumber(words.gpu_memory_mb / 1024)} GB`);
    if (words.gpu_busy) fact("GPU busy", `${Math.round(100 * words.gpu_busy)} %`);
    if (words.cores_busy) fact("CPU cores busy", shortNumber(words.cores_busy));
    if (words.memory_mb) fact("memory", `${shortNumber(words.memory_mb / 1024)} GB`);
    if (words.slices) fact("validated on", slicesInWords(words));
    if (run.past?.length) fact("seen to fail", run.past.map((past) => `${past.name.replaceAll("_", " ")} at ${past.iteration}`).join(", "));
    return row;
  }

  draw() {
    const furthest = Math.max(...this.runs.map((run) => run.iteration));
    const marks = this.runs.flatMap((run, i) => (run.past ?? []).map((past) => ({ run: i, at: past.iteration })));
    const above = [], below = [];
    for (const [key, title, says] of ROWS) {
      const names = [...new Set(this.runs.flatMap((run) => Object.keys(run[key] ?? {})))];
      const charts = names.map((name) => {
        const lines = this.runs.map((run, i) => ({ run: i, curve: run[key]?.[name] })).filter(({ curve }) => curve?.at.length);
        return lines.length ? curveChart(name, lines, { logarithmic: this.logarithmic, marks, furthest }) : null;
      }).filter(Boolean);
      if (!charts.length) continue;
      const section = element("section");
      const heading = element("h2", "", title);
      heading.append(element("span", "cacnb-faint", says));
      const grid = element("div", "cacnb-charts");
      grid.append(...charts);
      section.append(heading, grid);
      (key === "numbers" ? below : above).push(section);
    }
    this.body.replaceChildren(...above);
    this.below.replaceChildren(...below);
    this.drawPictures();
  }

  drawPictures() {
    const having = this.runs.map((run, i) => [run, i]).filter(([run]) => run.pictures?.length);
    this.pictures.hidden = !having.length;
    if (!having.length) return;
    if (!this.runs[this.chosen.run].pictures?.length) this.chosen = { run: having[0][1], iteration: null };
    const { pictures } = this.runs[this.chosen.run];
    const iteration = pictures.includes(this.chosen.iteration) ? this.chosen.iteration : pictures.at(-1);
    this.which.hidden = this.runs.length < 2;
    this.which.replaceChildren(...having.map(([run, i]) => {
      const option = element("option", "", run.name);
      option.value = i;
      option.selected = i === this.chosen.run;
      return option;
    }));
    this.slider.max = pictures.length - 1;
    this.slider.value = pictures.indexOf(iteration);
    this.slider.hidden = pictures.length < 2;
    this.names.replaceChildren(...columnsOf(this.runs[this.chosen.run]).map((name) => element("span", "", name)));
    this.caption.textContent = `Samples at iteration ${iteration.toLocaleString("en")}`;
    const wanted = `${this.chosen.run}/${iteration}`;
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.model.send({ type: "picture", run: this.chosen.run, iteration });
  }

  showPicture({ run, iteration }, bytes) {
    if (`${run}/${iteration}` !== this.wanted) return;
    const old = this.image.src;
    this.image.src = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
    this.image.alt = `Validation slices at iteration ${iteration}, columns: ${columnsOf(this.runs[run]).join(", ")}`;
    if (old) URL.revokeObjectURL(old);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.model.off("msg:custom", this.hear);
  }
}

export default {
  render({ model, el }) {
    const page = new MonitorPage({ model, el });
    el.cacnb = page;
    return () => page.close();
  },
};
