// Answers to a question whose classes form a tree: a key opens a branch or answers with a leaf; Enter answers with the
// branch that is open.

import { Answers } from "./answers.js";
import { el, pressed } from "./dom.js";

const KEYS = "1234567890abcdegijklopqrstvwxy";

export class TreeAnswers extends Answers {
  constructor(onAnswer) {
    super((each) => this.#choose(each));
    this.record = onAnswer;
    this.all = [];
    this.open = null;
    this.marked = null;
    this.up = el("button", { type: "button", class: "rest up", "aria-keyshortcuts": "Backspace" }, el("span", { text: "Up" }), el("kbd", { text: "⌫", "aria-hidden": "true" }));
    pressed(this.up, () => this.#go(this.#parent(this.open)));
    this.name = el("span", { dir: "auto" });
    this.take = el("button", { type: "button", class: "rest take", "aria-keyshortcuts": "Enter" }, this.name, el("kbd", { text: "Enter", "aria-hidden": "true" }));
    pressed(this.take, () => this.#record());
    this.where = el("span", { class: "quiet summary", "aria-live": "polite", dir: "auto" });
    this.root.prepend(el("div", { class: "several" }, this.up, this.take, this.where));
  }

  setClasses(classes) {
    this.merged = new Map(classes.filter((each) => each.merged_into).map((each) => [each.id, each.merged_into]));
    this.all = classes.filter((each) => !each.merged_into);
    if (!this.all.some((each) => each.id === this.open)) this.open = null;
    this.#draw();
  }

  // The branch of an item's answer is open when it is looked at again; the roots for a new item.
  mark(answer) {
    this.marked = this.#today(answer) ?? null;
    this.open = this.marked === null ? null : this.#children(this.marked).length ? this.marked : this.#parent(this.marked);
    this.#draw();
  }

  key(key) {
    if (key === "Enter") return this.#record();
    if (key === "Backspace" && this.open !== null) this.#go(this.#parent(this.open));
    else return false;
    return true;
  }

  #today(id) {
    let found = id ?? undefined;
    while (this.merged?.has(found)) found = this.merged.get(found);
    return found;
  }

  #parent(id) {
    const above = this.#today(this.all.find((each) => each.id === id)?.parent);
    return above === id ? null : (above ?? null);
  }

  #children(id) {
    return this.all.filter((each) => this.#parent(each.id) === id);
  }

  #choose(each) {
    if (this.#children(each.id).length) this.#go(each.id);
    else this.record(each);
  }

  #go(id) {
    this.open = id;
    this.#draw();
  }

  #record() {
    if (this.open === null) return false;
    this.record({ id: this.open });
    return true;
  }

  #draw() {
    const level = this.#children(this.open).map((each, i) => ({ ...each, key: KEYS[i] ?? "", name: this.#children(each.id).length ? `${each.name} …` : each.name }));
    super.setClasses(level);
    super.mark(this.marked);
    const open = this.all.find((each) => each.id === this.open);
    this.up.disabled = this.take.disabled = !open;
    this.name.textContent = open ? `Just “${open.name}”` : "Choose a branch";
    const path = [];
    for (let at = this.open; at !== null; at = this.#parent(at)) path.unshift(this.all.find((each) => each.id === at).name);
    this.where.textContent = path.join(" / ");
  }
}
