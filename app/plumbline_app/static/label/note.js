// The note that goes with the next answer: a small field over the actions; Enter is done, Shift+Enter a new line.
// Until the answer is given it lies in the tab's storage, so that a reload loses no word of it.

import { el, keyButton } from "./dom.js";

export class Note {
  // key: where the tab keeps what is written. onDone(text) is called when the field is closed.
  constructor(key, onDone) {
    this.key = key;
    this.onDone = onDone;
    this.text = "";
    this.field = el("textarea", { rows: 3, maxLength: 10000, "aria-label": "Note", placeholder: "A note, kept with your answer" });
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("input", () => this.#taken());
    this.field.addEventListener("blur", () => this.#close());
    this.root = el("div", { class: "note-field", hidden: true }, this.field, el("p", { class: "quiet", text: "Enter: done · Shift+Enter: new line" }));
    this.button = keyButton("note", "Note", "n", () => this.open());
  }

  // item: the one that is asked now, whose unfinished note comes back; null for an answer that is looked at again.
  set(text, item) {
    this.item = item;
    const kept = JSON.parse(sessionStorage.getItem(this.key) ?? "null");
    const unfinished = item !== null && kept?.item === item;
    if (item !== null && !unfinished) sessionStorage.removeItem(this.key);
    this.text = unfinished ? kept.text : text;
    this.field.value = this.text;
    this.root.hidden = true;
    this.button.classList.toggle("has-note", Boolean(this.text));
  }

  open() {
    this.root.hidden = false;
    this.field.focus();
  }

  #taken() {
    this.text = this.field.value.trim();
    if (this.item !== null) sessionStorage.setItem(this.key, JSON.stringify({ item: this.item, text: this.text }));
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
