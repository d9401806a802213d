// The note that goes with the next answer: a small field over the actions; Enter is done, Shift+Enter a new line.

import { el, keyButton } from "./dom.js";

export class Note {
  // onDone(text) is called when the field is closed.
  constructor(onDone) {
    this.onDone = onDone;
    this.text = "";
    this.field = el("textarea", { rows: 3, maxLength: 10000, "aria-label": "Note", placeholder: "A note, kept with your answer" });
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("input", () => this.#taken());
    this.field.addEventListener("blur", () => this.#close());
    this.root = el("div", { class: "note-field", hidden: true }, this.field, el("p", { class: "quiet", text: "Enter: done · Shift+Enter: new line" }));
    this.button = keyButton("note", "Note", "n", () => this.open());
  }

  set(text) {
    this.text = text;
    this.field.value = text;
    this.root.hidden = true;
    this.button.classList.toggle("has-note", Boolean(text));
  }

  open() {
    this.root.hidden = false;
    this.field.focus();
  }

  #taken() {
    this.text = this.field.value.trim();
    this.button.classList.toggle("has-note", Boolean(this.text));
  }

  #key(event) {
    if (event.key === "Escape" || (event.key === "Enter" && !event.shiftKey)) {
      event.preventDefault();
      event.stopPropagation();
      this.field.blur();
    }
  }

  #close() {
    if (this.root.hidden) return;
    this.root.hidden = true;
    this.#taken();
    this.onDone(this.text);
  }
}
