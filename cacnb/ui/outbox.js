// What was given and is not yet on the store's disk, kept in this browser; it knows no label's meaning.

const PREFIX = "cacnb-outbox";
const RESEND_MS = 3000;
const PING_MS = 2000;
/** A kernel that reads a large scan may be silent this long; beyond it the reader is told. */
const SILENCE_MS = 7000;

/** 32 hexadecimal digits; randomUUID is not there on plain http. */
export const newSession = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * Events leave it only when the store says that they are on disk: ("ack", session, sequence).
 * Each lies under its own key of localStorage, so that tabs do not overwrite each other, and is
 * sent again until then; the store keeps (session, sequence) once.
 */
export class Outbox {
  constructor(send, onChange) {
    this.send = send;
    this.onChange = onChange;
    this.session = newSession();
    this.sequence = 0;
    this.waiting = new Map(); // key → event, in the order given
    this.sent = new Map(); // key → time
    this.heard = performance.now();
    this.kept = true; // whether this browser keeps what waits
    this.refused = "";
  }

  /** Begin to deliver: what an earlier page of this reader left in this browser comes first. */
  open(scope) {
    if (this.scope === scope) return;
    this.scope = scope;
    const fresh = [...this.waiting.values()];
    this.waiting.clear();
    for (const [key, event] of this.leftovers()) this.waiting.set(key, event);
    for (const event of fresh) this.keep(event);
    this.timer ??= setInterval(() => this.beat(), PING_MS);
    this.deliver();
  }

  close() {
    clearInterval(this.timer);
  }

  leftovers() {
    const found = [];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const key = localStorage.key(i);
        if (!key.startsWith(`${PREFIX}:${this.scope}:`)) continue;
        found.push([key, JSON.parse(localStorage.getItem(key))]);
      }
    } catch {
      this.kept = false;
    }
    return found.sort(([a, one], [b, other]) => one.given_ms - other.given_ms || (a < b ? -1 : 1));
  }

  nextSequence() {
    this.sequence += 1;
    return this.sequence;
  }

  /** Take events in and send them; each has session, sequence and given_ms. */
  put(events) {
    for (const event of events) this.keep(event);
    this.deliver();
  }

  keep(event) {
    const key = `${PREFIX}:${this.scope}:${event.session}:${String(event.sequence).padStart(8, "0")}`;
    this.waiting.set(key, event);
    try {
      localStorage.setItem(key, JSON.stringify(event));
    } catch {
      this.kept = false;
    }
  }

  deliver() {
    const now = performance.now();
    const due = [...this.waiting].filter(([key]) => now - (this.sent.get(key) ?? -Infinity) > RESEND_MS).slice(0, 500);
    if (due.length) {
      for (const [key] of due) this.sent.set(key, now);
      const clock = Date.now();
      this.post({ type: "events", events: due.map(([, event]) => ({ ...event, age_ms: Math.max(0, clock - event.given_ms) })) });
    }
    this.onChange();
  }

  /** Send, and take a page without a kernel for what it is: silent, not broken. */
  post(message) {
    try {
      this.send(message);
    } catch {
      this.heard = Math.min(this.heard, performance.now() - SILENCE_MS);
    }
  }

  beat() {
    this.post({ type: "ping" });
    this.deliver();
  }

  get silentSeconds() {
    const silent = performance.now() - this.heard;
    return silent > SILENCE_MS ? Math.round(silent / 1000) : 0;
  }

  /** Take in what the kernel says: any word is a sign of life, only "ack" empties. */
  hear(message) {
    this.heard = performance.now();
    if (message.type === "ack") for (const [session, sequence] of message.ids) this.drop(session, sequence);
    if (message.type === "refused") {
      this.refused = message.message;
      for (const [session, sequence] of message.ids) this.drop(session, sequence, true);
    }
    this.onChange();
  }

  /** Forget what is on disk; what the store refused moves aside, for someone to look at. */
  drop(session, sequence, aside = false) {
    const key = `${PREFIX}:${this.scope}:${session}:${String(sequence).padStart(8, "0")}`;
    const event = this.waiting.get(key);
    this.waiting.delete(key);
    this.sent.delete(key);
    try {
      if (aside && event) localStorage.setItem(key.replace(PREFIX, "cacnb-refused"), JSON.stringify(event));
      localStorage.removeItem(key);
    } catch {
      this.kept = false;
    }
  }
}
