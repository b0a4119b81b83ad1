// Which key does what, the list of keys, and keys of one's own; it knows no command's meaning.
import { element } from "./element.js";

/** A keyboard event as one word, such as "ctrl+z" or "?"; shift only where it changes no letter. */
export function keyOf(event) {
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const shifted = event.shiftKey && (event.key.length > 1 || /[a-z]/i.test(event.key));
  return [event.ctrlKey || event.metaKey ? "ctrl" : "", event.altKey ? "alt" : "", shifted ? "shift" : "", name]
    .filter(Boolean).join("+");
}

/** Commands are {name, keys, says, run, repeats}: `repeats` where a held key goes on. */
export class KeyMap {
  constructor(root, commands) {
    this.root = root;
    this.commands = commands;
    this.own = this.readOwn();
    this.bind();
  }

  readOwn() {
    try {
      return JSON.parse(localStorage.getItem("cacnb-keys") ?? "{}");
    } catch {
      return {};
    }
  }

  of(command) {
    return this.own[command.name] ?? command.keys;
  }

  bind() {
    this.byKey = new Map();
    for (const command of this.commands)
      for (const key of this.of(command)) this.byKey.set(key, command);
  }

  press(event) {
    if (["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName)) return;
    if (event.target.tagName === "BUTTON" && ["Enter", " "].includes(event.key)) return;
    const command = this.byKey.get(keyOf(event));
    if (!command) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && !command.repeats) return;
    command.run();
  }

  /** The list of keys; a click on a key waits for another one, kept in this browser. */
  help() {
    if (this.dialog) return this.close();
    this.dialog = element("dialog", "cacnb-help");
    this.dialog.setAttribute("aria-label", "Keys");
    this.dialog.append(element("h2", "", "Keys"));
    this.dialog.append(element("p", "", "Drag: window and level. Wheel: slices. Ctrl and wheel: zoom. Shift and drag: pan. Click a key to choose your own; Escape closes."));
    const table = element("table");
    for (const command of this.commands) {
      const row = element("tr");
      const says = element("td", "", command.says);
      const key = element("td");
      const button = element("button", "cacnb-key", this.of(command).join("  "));
      button.type = "button";
      button.addEventListener("click", () => this.rebind(command, button));
      key.append(button);
      row.append(key, says);
      table.append(row);
    }
    const back = element("button", "cacnb-button", "Keys as they came");
    back.type = "button";
    back.addEventListener("click", () => this.keep({}));
    this.dialog.append(table, back);
    this.root.append(this.dialog);
    this.dialog.addEventListener("close", () => this.close());
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
    this.dialog.showModal();
    return undefined;
  }

  close() {
    this.dialog?.remove();
    this.dialog = null;
    this.root.focus({ preventScroll: true });
  }

  rebind(command, button) {
    button.textContent = "press a key";
    button.addEventListener("keydown", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (["Shift", "Control", "Alt", "Meta"].includes(event.key)) return;
      if (event.key === "Escape") return this.keep(this.own);
      const taken = this.byKey.get(keyOf(event));
      const own = { ...this.own, [command.name]: [keyOf(event)] };
      if (taken && taken !== command)
        own[taken.name] = this.of(taken).filter((key) => key !== keyOf(event));
      return this.keep(own);
    });
  }

  keep(own) {
    this.own = own;
    try {
      localStorage.setItem("cacnb-keys", JSON.stringify(own));
    } catch {
      // A browser that keeps nothing still has the keys until the page closes.
    }
    this.bind();
    this.dialog?.close();
    this.close();
    this.help();
  }
}
