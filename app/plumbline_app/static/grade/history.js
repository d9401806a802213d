// The last outputs that the person graded, newest first; any of them can be opened again.

import { el, pressed } from "/assets/label/dom.js";

const SHOWN = 24;
const WORDS = { pass: "good", fail: "bad", skipped: "skipped", unsure: "unsure", flagged: "flagged" };

export class History {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.entries = [];
    this.selected = null;
    this.list = el("div");
    this.root = el("div", { class: "history", role: "group", "aria-label": "Your last grades, newest first" });
    this.#draw();
  }

  set(entries) {
    const counts = new Map(this.entries.map((each) => [each.output, each.count]));
    this.entries = entries.map((each) => ({ ...each, count: counts.get(each.output) }));
    this.#draw();
  }

  add(entry) {
    this.entries = [entry, ...this.entries.filter((each) => each.output !== entry.output)].slice(0, SHOWN);
    this.#draw();
  }

  remove(entry) {
    this.entries = this.entries.filter((each) => each !== entry);
    this.#draw();
  }

  newest() {
    return this.entries[0];
  }

  select(output) {
    this.selected = output;
    this.#draw();
  }

  #draw() {
    if (!this.entries.length) {
      this.root.replaceChildren(el("p", { class: "quiet", text: "Your grades appear here; any of them can be changed." }));
      return;
    }
    this.root.replaceChildren(...this.entries.map((entry) => this.#stamp(entry)));
  }

  #stamp(entry) {
    const said = WORDS[entry.answer ?? entry.state] ?? entry.state;
    const note = entry.note ? el("span", { class: "badge", text: "n", title: entry.note }) : null;
    const stamp = el(
      "button",
      { type: "button", class: `stamp ${entry.state} grade-${entry.answer ?? "none"}${entry.output === this.selected ? " open" : ""}`, "aria-label": `Output ${entry.output}: ${said}` },
      el("span", { class: "words", text: entry.excerpt }),
      el("span", { class: "said" }, el("span", { text: said })),
      note,
    );
    stamp.dataset.output = String(entry.output);
    pressed(stamp, () => this.onOpen(entry));
    return stamp;
  }
}
