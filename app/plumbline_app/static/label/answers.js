// The answers: a button for each class with its colour and key, and room in each for the model's opinion.

import { el, percent, pressed } from "./dom.js";

const SEARCH_FROM = 13;

// Buttons in a row: even rows, and keys 1 to 5 above 6 to 0 as on a hand.
const acrossFor = (n) => (n <= 5 ? n || 1 : n <= 6 ? 3 : n <= 8 ? 4 : n <= 10 ? 5 : 4);

export class Answers {
  constructor(onAnswer) {
    this.onAnswer = onAnswer;
    this.search = el("input", { type: "search", class: "search", placeholder: "Search classes  ( / )", "aria-label": "Search classes", autocomplete: "off" });
    this.search.addEventListener("input", () => this.#filter());
    this.search.addEventListener("keydown", (event) => this.#searchKey(event));
    this.list = el("div", { class: "classes", role: "group", "aria-label": "Answers" });
    this.root = el("div", { class: "answers" }, this.search, this.list);
    this.buttons = new Map();
    this.byKey = new Map();
  }

  setClasses(classes) {
    this.classes = classes.filter((each) => !each.merged_into);
    this.byKey = new Map(this.classes.filter((each) => each.key).map((each) => [each.key.toLowerCase(), each]));
    this.buttons = new Map(this.classes.map((each) => [each.id, this.#button(each)]));
    this.search.hidden = this.classes.length < SEARCH_FROM;
    this.root.classList.toggle("many", !this.search.hidden);
    this.list.style.setProperty("--across", acrossFor(this.classes.length));
    this.list.replaceChildren(...this.buttons.values());
    this.none = el("p", { class: "missing", text: "No class has this name.", hidden: true });
    this.list.append(this.none);
  }

  // The class that a key stands for, if any.
  forKey(key) {
    return this.byKey.get(key.toLowerCase());
  }

  // What a class's key or button does.
  press(each) {
    this.onAnswer(each);
  }

  // Other keys of the answers; says whether the key meant something.
  key() {
    return false;
  }

  // Marks the answer that an item has already, when it is looked at again.
  mark(classId) {
    for (const [id, button] of this.buttons) {
      if (id === classId) button.setAttribute("aria-pressed", "true");
      else button.removeAttribute("aria-pressed");
    }
  }

  showOpinion(opinion) {
    const likeliest = opinion.classes[0]?.id;
    for (const { id, proba } of opinion.classes) {
      const button = this.buttons.get(id);
      if (!button) continue;
      button.style.setProperty("--proba", proba);
      button.classList.toggle("likeliest", id === likeliest);
      button.querySelector(".proba").textContent = percent(proba);
    }
    this.list.classList.add("with-opinion");
  }

  hideOpinion() {
    if (!this.list.classList.contains("with-opinion")) return;
    this.list.classList.remove("with-opinion");
    for (const button of this.buttons.values()) {
      button.classList.remove("likeliest");
      button.querySelector(".proba").textContent = "";
    }
  }

  flash(classId) {
    const button = this.buttons.get(classId);
    if (!button) return;
    button.classList.remove("flash");
    requestAnimationFrame(() => requestAnimationFrame(() => button.classList.add("flash")));
  }

  focusSearch() {
    if (this.search.hidden) return false;
    this.search.focus();
    this.search.select();
    return true;
  }

  #button(each) {
    const button = el(
      "button",
      { type: "button", class: "answer", title: each.description || each.name, style: { "--class": each.color } },
      el("kbd", { text: each.key || "·", "aria-hidden": "true" }),
      el("span", { class: "swatch", "aria-hidden": "true" }),
      el("span", { class: "answer-name", text: each.name, dir: "auto" }),
      el("span", { class: "proba" }),
    );
    if (each.key) button.setAttribute("aria-keyshortcuts", each.key);
    pressed(button, () => this.#choose(each));
    return button;
  }

  #choose(each) {
    this.search.value = "";
    this.#filter();
    this.onAnswer(each);
  }

  #filter() {
    const wanted = this.search.value.trim().toLowerCase();
    this.shown = this.classes.filter((each) => each.name.toLowerCase().includes(wanted));
    const ids = new Set(this.shown.map((each) => each.id));
    for (const [id, button] of this.buttons) button.hidden = !ids.has(id);
    this.none.hidden = this.shown.length > 0;
  }

  #searchKey(event) {
    if (event.key === "Escape") {
      this.search.value = "";
      this.#filter();
      this.search.blur();
    } else if (event.key === "Enter" && this.search.value.trim() && this.shown?.length) {
      event.preventDefault();
      const [first] = this.shown;
      this.search.blur();
      this.#choose(first);
    }
  }
}
