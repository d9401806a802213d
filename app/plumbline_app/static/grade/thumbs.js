// A row per criterion with its answers. A digit goes through them: first answer, second, ..., none.

import { el, pressed } from "/assets/label/dom.js";

const WORDS = { pass: "passes", fail: "fails" };
const SIGNS = { pass: "✓", fail: "✗" };

export class Thumbs {
  constructor(onNew) {
    this.chosen = new Map();
    this.list = el("div", { class: "thumb-list" });
    const add = el("button", { type: "button", class: "choose", text: "Write the first criterion" });
    pressed(add, onNew);
    this.empty = el("p", { class: "quiet no-criteria" }, "No criteria yet: look at about 20 outputs first and note what is wrong with them. ", add);
    this.root = el("div", { class: "thumbs" }, this.list, this.empty);
  }

  set(criteria) {
    this.criteria = criteria;
    this.chosen = new Map();
    this.root.classList.toggle("none", criteria.length === 0);
    this.list.replaceChildren(...criteria.map((each, index) => this.#row(each, index)));
  }

  fill(answers) {
    this.chosen = new Map(Object.entries(answers).map(([id, answer]) => [Number(id), answer]));
    this.#draw();
  }

  answers() {
    const known = new Set(this.criteria.map((each) => each.id));
    return [...this.chosen].filter(([id]) => known.has(id)).map(([criterion, answer]) => ({ criterion, answer }));
  }

  key(key) {
    const index = key >= "1" && key <= "9" ? Number(key) - 1 : key === "0" ? 9 : -1;
    const criterion = this.criteria[index];
    if (!criterion) return false;
    const answers = [undefined, ...criterion.answers];
    const next = answers[(answers.indexOf(this.chosen.get(criterion.id)) + 1) % answers.length];
    this.#choose(criterion, next);
    return true;
  }

  #row(criterion, index) {
    const key = index < 9 ? String(index + 1) : index === 9 ? "0" : "";
    const buttons = criterion.answers.map((answer) => {
      const button = el("button", { type: "button", class: `thumb ${answer}`, text: SIGNS[answer] ?? answer, "aria-label": `${criterion.name}: ${WORDS[answer] ?? answer}`, title: WORDS[answer] ?? answer });
      button.dataset.answer = answer;
      pressed(button, () => this.#choose(criterion, this.chosen.get(criterion.id) === answer ? undefined : answer));
      return button;
    });
    const row = el("div", { class: "thumb-row", title: criterion.text }, key ? el("kbd", { text: key, "aria-hidden": "true" }) : null, el("span", { class: "thumb-name", text: criterion.name }), el("span", { class: "thumb-buttons" }, ...buttons));
    row.dataset.criterion = String(criterion.id);
    return row;
  }

  #choose(criterion, answer) {
    if (answer === undefined) this.chosen.delete(criterion.id);
    else this.chosen.set(criterion.id, answer);
    this.#draw();
  }

  #draw() {
    for (const row of this.list.children) {
      const answer = this.chosen.get(Number(row.dataset.criterion));
      for (const button of row.querySelectorAll(".thumb")) button.setAttribute("aria-pressed", String(button.dataset.answer === answer));
    }
  }
}
