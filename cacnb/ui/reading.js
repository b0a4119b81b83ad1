// What holds of one scan while it is read, and how it came about: give, undo, redo without end.

const placeOf = (subject, slice, item) => `${subject}|${slice ?? ""}|${item}`;

/**
 * A change is {subject, slice, item, before, after}; null stands for nothing said. An action is
 * {session, action, changes}. `done` and `undone` are stacks of actions, the newest last.
 */
export class Reading {
  constructor({ state = [], done = [], undone = [] }) {
    this.state = new Map();
    this.done = [...done];
    this.undone = [...undone];
    for (const { subject, slice, item, value } of state) this.set(subject, slice, item, value);
  }

  set(subject, slice, item, value) {
    if (value === null) this.state.delete(placeOf(subject, slice, item));
    else this.state.set(placeOf(subject, slice, item), value);
  }

  get(subject, slice = null, item = "") {
    return this.state.get(placeOf(subject, slice, item)) ?? null;
  }

  /** All values of a subject as [slice, item, value]. */
  of(subject) {
    const found = [];
    for (const [key, value] of this.state) {
      const [what, slice, item] = key.split("|");
      if (what === subject) found.push([slice === "" ? null : Number(slice), item, value]);
    }
    return found;
  }

  /** Changes that change something, with what was before. */
  changes(wanted) {
    return wanted
      .map(({ subject, slice = null, item = "", value }) => ({ subject, slice, item, before: this.get(subject, slice, item), after: value }))
      .filter(({ before, after }) => before !== after);
  }

  /** Do it; returns the events' parts, or none where nothing changes. */
  give(wanted, session, action) {
    const changes = this.changes(wanted);
    if (!changes.length) return [];
    this.done.push({ session, action, changes });
    this.undone = [];
    return this.apply(changes, "after", { kind: "give" });
  }

  undo() {
    const action = this.done.pop();
    if (!action) return [];
    this.undone.push(action);
    return this.apply([...action.changes].reverse(), "before", { kind: "undo", undoes: action.action, undoes_session: action.session });
  }

  redo() {
    const action = this.undone.pop();
    if (!action) return [];
    this.done.push(action);
    return this.apply(action.changes, "after", { kind: "redo", undoes: action.action, undoes_session: action.session });
  }

  apply(changes, side, how) {
    return changes.map((change) => {
      this.set(change.subject, change.slice, change.item, change[side]);
      return { ...how, subject: change.subject, slice: change.slice, item: change.item, value: change[side] };
    });
  }
}
