// Answers to a question of which an item may carry several classes: keys mark yes, no, or nothing; Enter records.

import { Answers } from "./answers.js";
import { el, pressed } from "./dom.js";

const REST = "plumbline:rest-is-no";
const NEXT = new Map([[undefined, true], [true, false], [false, undefined]]);

// "+c1 -c4" as a map from class id to yes or no.
export const parseSigned = (answer) => new Map((answer ?? "").split(" ").filter(Boolean).map((token) => [token.slice(1), token[0] === "+"]));

export class SeveralAnswers extends Answers {
  // onAnswer({ id }) takes the whole answer; say(text) tells why nothing was recorded.
  constructor(onAnswer, say) {
    super((each) => this.#turn(each));
    this.record = onAnswer;
    this.say = say;
    this.said = new Map();
    this.rest = el("button", { type: "button", class: "rest", title: "Whether recording says no to every class that is not marked" });
    pressed(this.rest, () => this.#switchRest());
    const record = el("button", { type: "button", class: "strong record", "aria-keyshortcuts": "Enter" }, el("span", { text: "Record" }), el("kbd", { text: "Enter", "aria-hidden": "true" }));
    pressed(record, () => this.#record());
    this.summary = el("span", { class: "quiet summary", "aria-live": "polite" });
    this.root.append(el("div", { class: "several" }, record, this.rest, this.summary));
    this.root.classList.add("with-several");
    this.#showRest();
  }

  get restIsNo() {
    return localStorage.getItem(REST) !== "open";
  }

  setClasses(classes) {
    super.setClasses(classes);
    this.#draw();
  }

  // What an item was answered with, when it is looked at again; nothing for a new one.
  mark(answer) {
    this.said = parseSigned(answer);
    this.#draw();
  }

  flash() {}

  key(key) {
    if (key === "Enter") this.#record();
    else if (key === ",") this.#switchRest();
    else return false;
    return true;
  }

  #turn(each) {
    const next = NEXT.get(this.said.get(each.id));
    if (next === undefined) this.said.delete(each.id);
    else this.said.set(each.id, next);
    this.#draw();
  }

  #draw() {
    for (const [id, button] of this.buttons) {
      const sign = this.said.get(id);
      button.setAttribute("aria-pressed", String(sign === true));
      button.classList.toggle("no", sign === false);
      const each = this.classes.find((one) => one.id === id);
      button.setAttribute("aria-label", `${each.name}: ${sign === undefined ? "not said" : sign ? "yes" : "no"}`);
      button.querySelector("kbd").textContent = sign === undefined ? each.key || "·" : sign ? "✓" : "✕";
    }
    const yes = [...this.said.values()].filter(Boolean).length;
    if (this.summary) this.summary.textContent = `${yes} yes, ${this.said.size - yes} no`;
  }

  #switchRest() {
    localStorage.setItem(REST, this.restIsNo ? "open" : "no");
    this.#showRest();
  }

  #showRest() {
    this.rest.setAttribute("aria-pressed", String(this.restIsNo));
    this.rest.replaceChildren(el("span", { text: this.restIsNo ? "The rest is no" : "The rest stays open" }), el("kbd", { text: ",", "aria-hidden": "true" }));
  }

  #record() {
    const signs = this.classes.map((each) => [each.id, this.said.get(each.id) ?? (this.restIsNo ? false : undefined)]);
    const answer = signs.filter(([, sign]) => sign !== undefined).map(([id, sign]) => `${sign ? "+" : "-"}${id}`).join(" ");
    if (!answer) return this.say("Nothing is marked yet. Mark a class, or skip the item.");
    this.record({ id: answer });
  }
}
