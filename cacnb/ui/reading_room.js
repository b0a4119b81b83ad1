// A canvas that records: scans of a queue, labels through the outbox, undo, comments, what is saved.
import { element } from "./element.js";
import { PRESETS, SliceCanvas, widget } from "./slice_canvas.js";
import { Outbox } from "./outbox.js";
import { Reading } from "./reading.js";

/** Seconds without key or pointer after which a reader is taken to have left. */
const IDLE_SECONDS = 60;

export class ReadingRoom extends SliceCanvas {
  constructor(context) {
    super(context);
    this.ahead = new Map(); // position → [picture, buffers] that came before they were asked for
    this.outbox = new Outbox((message) => context.model.send(message), () => this.tellSaved());
    this.clock = setInterval(() => this.tellSaved(), 1000);
    this.active = 0;
    this.touched = performance.now();
    for (const kind of ["keydown", "pointermove", "pointerdown", "wheel"])
      this.root.addEventListener(kind, () => this.touch(), { passive: true, capture: true });
    this.onLeave = (event) => {
      if (this.outbox.waiting.size && !this.outbox.kept) event.preventDefault();
    };
    window.addEventListener("beforeunload", this.onLeave);
  }

  close() {
    super.close();
    this.outbox.close();
    clearInterval(this.clock);
    window.removeEventListener("beforeunload", this.onLeave);
  }

  build(el) {
    super.build(el);
    this.progress = element("span", "cacnb-progress");
    this.saved = element("span", "cacnb-saved");
    this.head.insertBefore(this.progress, this.notice);
    this.head.insertBefore(this.saved, this.notice);
    this.panel = element("div", "cacnb-panel");
    this.comment = element("textarea", "cacnb-comment");
    this.comment.rows = 2;
    this.comment.setAttribute("aria-label", "Comment on this scan; Enter saves, Escape leaves");
    this.comment.placeholder = "Comment on this scan (M)";
    this.comment.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        this.give([{ subject: "comment", value: this.comment.value.trim() || null }]);
        this.root.focus({ preventScroll: true });
      }
      if (event.key === "Escape") {
        this.comment.value = this.reading?.get("comment") ?? "";
        this.root.focus({ preventScroll: true });
      }
    });
    this.side.append(this.panel, this.comment);
  }

  commands() {
    return [
      ...super.commands(),
      { name: "undo", keys: ["z", "ctrl+z"], says: "Undo", run: () => this.undo(), repeats: true, button: "Undo" },
      { name: "redo", keys: ["y", "ctrl+y", "ctrl+shift+z"], says: "Redo", run: () => this.redo(), repeats: true, button: "Redo" },
      { name: "flag", keys: ["!", "x"], says: "Flag this slice, or take the flag away", run: () => this.flag(), button: "Flag" },
      { name: "comment", keys: ["m"], says: "Write a comment", run: () => this.comment.focus() },
      { name: "previous scan", keys: ["["], says: "Previous scan", run: () => this.openScan(this.position - 1), button: "◀ Scan" },
      { name: "next scan", keys: ["]"], says: "Next scan", run: () => this.openScan(this.position + 1), button: "Scan ▶" },
      { name: "whole scan", keys: ["a"], says: "All slices, or the heart only", run: () => this.toggleWhole(), button: "All slices" },
    ];
  }

  /** Where no proxy and no option says who reads, the reader does. */
  askName() {
    if (this.root.querySelector(".cacnb-name")) return;
    const form = element("form", "cacnb-name");
    const label = element("label", "", "Your name or initials, as they shall stand with each label");
    const input = element("input");
    input.name = "reader";
    input.required = true;
    input.maxLength = 60;
    try {
      input.value = localStorage.getItem("cacnb-reader") ?? "";
    } catch {
      // No memory of the last name then.
    }
    const button = element("button", "cacnb-button", "Begin");
    label.append(input);
    form.append(label, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const name = input.value.trim();
      if (!name) return;
      try {
        localStorage.setItem("cacnb-reader", name);
      } catch {
        // As above.
      }
      form.remove();
      this.model.send({ type: "reader", name });
      this.root.focus({ preventScroll: true });
    });
    this.main.append(form);
    input.focus();
  }

  /** The command that says of a scan that it is done, in the app's own word. */
  doneCommand(word) {
    return {
      name: "done", keys: ["d"], says: "This scan is done, or not yet", button: "Done",
      run: () => {
        const { done } = this;
        this.give([{ subject: "done", item: this.context.app, value: done ? null : word }]);
        this.say(done ? "not done" : "done");
      },
    };
  }

  get done() {
    return Boolean(this.reading?.get("done", null, this.context.app));
  }

  /** Show by name which commands are on, such as a tool that is taken. */
  pressed(names) {
    const on = new Set([...names, this.done ? "done" : ""]);
    for (const button of this.buttons.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(on.has(button.dataset.command)));
  }

  // ---- what comes from the kernel

  hear(message, buffers) {
    this.outbox.hear(message);
    if (message.type === "ack") this.trouble = "";
    if (message.type === "welcome") this.enter(message);
    else if (message.type === "who") this.askName();
    else if (message.type === "scan") this.showScan(message, buffers);
    else if (message.type === "ahead") this.ahead.set(message.key, [message.picture, buffers]);
    else if (message.type === "told") this.showTold(message, buffers);
    else if (message.type === "trouble") this.warnOnce(message.message);
    else super.hear(message, buffers);
  }

  /** The kernel knows who reads: deliver what an earlier page left, then go on where it stopped. */
  enter(message) {
    this.outbox.open(message.scope);
    this.outbox.post({ type: "open", have: [] });
  }

  showScan(message, buffers) {
    this.opening = false;
    this.position = message.position;
    this.of = message.of;
    this.context = message.context;
    this.slices = message.slices; // z on the scan's own grid, to be read in this order: from the head down
    this.whole = message.whole;
    this.trouble = "";
    this.name = message.name;
    this.spent = message.seconds;
    this.reading = new Reading(message.reading);
    // What still waits in this browser was given after what the store knows.
    for (const event of this.outbox.waiting.values())
      if (event.scan === this.context.scan && event.reading === this.context.reading && event.role === this.context.role)
        this.reading.set(event.subject, event.slice, event.item, event.value);
    this.told = message.told ?? {};
    this.comment.value = this.reading.get("comment") ?? "";
    const [picture, data] = message.picture ? [message.picture, buffers] : this.ahead.get(message.key);
    this.ahead.clear();
    this.onScan();
    const first = !this.look;
    this.showPicture({ ...picture, slice: message.slice - picture.stacks[0].first[0] }, data);
    if (first) this.setWindow(...PRESETS["soft tissue"]);
    this.afterChange();
    this.say(`scan ${this.position + 1} of ${this.of}`);
    setTimeout(() => this.outbox.post({ type: "ahead", position: this.position + 1 }), 50);
  }

  onScan() {}

  showTold(message) {
    this.told = { ...this.told, ...message.told };
    this.afterChange();
  }

  openScan(position) {
    if (position < 0) return this.say("this is the first scan");
    if (position >= this.of) return this.say("this was the last scan");
    if (this.opening) return undefined;
    this.opening = true;
    setTimeout(() => (this.opening = false), 3000);
    return this.outbox.post({ type: "open", position, whole: this.whole ?? false, have: [...this.ahead.keys()] });
  }

  toggleWhole() {
    this.outbox.post({ type: "open", position: this.position, whole: !this.whole, slice: this.currentSlice, have: [] });
  }

  // ---- giving

  /** Index of the shown slice on the scan's own grid. */
  get currentSlice() {
    return this.look.slice + this.stack.first[0];
  }

  /** How a reader calls a slice: counted from the head down. */
  slicePlace(slice) {
    return this.stack.depth - (slice - this.stack.first[0]);
  }

  touch() {
    const now = performance.now();
    this.active += Math.min(IDLE_SECONDS, (now - this.touched) / 1000);
    this.touched = now;
  }

  /** Say something of the scan: [{subject, slice, item, value}], one action that undo takes back. */
  give(wanted) {
    if (!this.reading) return false;
    const action = this.outbox.sequence + 1;
    return this.record(this.reading.give(wanted, this.outbox.session, action));
  }

  undo() {
    const parts = this.reading?.undo() ?? [];
    this.say(this.record(parts) ? "undone" : "nothing to undo on this scan");
    this.showChanged(parts);
  }

  redo() {
    const parts = this.reading?.redo() ?? [];
    this.say(this.record(parts) ? "redone" : "nothing to redo");
    this.showChanged(parts);
  }

  /** Go to a slice that was just changed, unless one of them is shown. */
  showChanged(parts) {
    const slices = parts.map((part) => part.slice).filter((slice) => slice !== null);
    if (slices.length && !slices.includes(this.currentSlice)) this.setSlice(Math.max(...slices) - this.stack.first[0]);
  }

  record(parts) {
    if (!parts.length) return false;
    this.touch();
    const seconds = Math.round(this.active * 1000) / 1000;
    this.spent += this.active;
    this.active = 0;
    const action = this.outbox.sequence + 1;
    const given_ms = Date.now();
    this.outbox.put(parts.map((part, i) => ({
      undoes: null, undoes_session: null, ...part, ...this.context,
      assistant: this.context.assistant || Boolean(this.mapSeen),
      session: this.outbox.session, sequence: this.outbox.nextSequence(), action, given_ms,
      seconds: i ? 0 : seconds,
    })));
    this.afterChange(parts);
    return true;
  }

  /** After a change, or a new scan: what depends on labels is drawn again. */
  afterChange() {
    this.comment.value = document.activeElement === this.comment ? this.comment.value : this.reading.get("comment") ?? "";
    this.tellProgress();
    this.draw();
  }

  flag() {
    const slice = this.currentSlice;
    const flagged = this.reading?.get("flag", slice);
    this.give([{ subject: "flag", slice, value: flagged ? null : "flagged" }]);
    this.say(flagged ? "flag taken away" : "flagged");
  }

  // ---- what is told

  tellProgress() {
    this.progress.textContent = `${this.name} · ${this.position + 1} of ${this.of} · ${this.progressOf()}${minutes(this.spent)}`;
  }

  progressOf() {
    return "";
  }

  warnOnce(text) {
    this.trouble = text;
    this.opening = false;
    this.tellSaved();
  }

  /** The saved mark, and loud words where something keeps labels from the store. */
  tellSaved() {
    if (!this.saved || !this.outbox) return;
    const { waiting, silentSeconds, kept, refused } = this.outbox;
    const n = waiting.size;
    this.saved.textContent = n ? `● ${n} not yet saved` : "✓ saved";
    this.saved.dataset.waiting = String(n);
    this.root.classList.toggle("cacnb-waits", n > 0);
    const here = kept ? "kept in this browser" : "NOT kept in this browser: do not close this page";
    const words = [];
    if (silentSeconds)
      words.push(`No answer from the server for ${silentSeconds} s. ${n} ${n === 1 ? "label is" : "labels are"} ${here}. You may go on; reload this page to connect again: what waits is delivered then.`);
    else if (!kept && n) words.push(`This browser keeps nothing (private window, or storage full): ${n} not yet saved.`);
    if (refused) words.push(`The store refused a label: ${refused}`);
    if (this.trouble) words.push(this.trouble);
    this.warn(words.join(" "));
  }
}

const minutes = (seconds) => ` · ${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;

export default widget(ReadingRoom);
