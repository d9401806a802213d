// The classes of the question: add, rename, recolour, describe, reorder, merge. Answers are carried along.

import { Refused } from "./api.js";
import { el, openDialog } from "./dom.js";

export class ClassEditor {
  // onQuestion(question) is called after each edit that the server took.
  constructor(api, question, onQuestion) {
    this.api = api;
    this.question = question;
    this.onQuestion = onQuestion;
    this.rows = el("div", { class: "class-rows" });
    this.problem = el("p", { class: "problem-line", role: "alert" });
    this.newName = el("input", { placeholder: "New class", "aria-label": "Name of a new class", maxLength: 200 });
    const add = el("form", { class: "add-class" }, this.newName, el("button", { type: "submit", class: "strong", text: "Add" }));
    add.addEventListener("submit", (event) => this.#add(event));
    this.log = el("ol", { class: "changes" });
    const history = el("details", {}, el("summary", { text: "History of changes" }), this.log);
    history.addEventListener("toggle", () => history.open && this.#showHistory());
    this.root = el("div", { class: "class-editor" }, this.#wording(), this.rows, add, this.problem, history);
    this.#draw();
  }

  open(root) {
    openDialog(root, "wide", "Question and classes", this.root);
    if (!this.active.length) this.newName.focus();
  }

  get active() {
    return this.question.classes.filter((each) => !each.merged_into);
  }

  #wording() {
    const field = el("input", { value: this.question.text, "aria-label": "Question", maxLength: 2000 });
    field.addEventListener("change", () => this.#send({ kind: "text", text: field.value }));
    return el("label", { class: "wording" }, el("span", { text: "Question" }), field);
  }

  // Rows are drawn anew after each edit; a field that is being typed into keeps its focus and its words.
  #draw() {
    const typing = this.rows.getRootNode().activeElement;
    const kept = typing?.dataset.field && this.rows.contains(typing) ? typing : null;
    this.#drawRows();
    const again = kept && this.rows.querySelector(`[data-field="${CSS.escape(kept.dataset.field)}"]`);
    if (!again) return;
    const unsent = again.value !== kept.value;
    again.value = kept.value;
    again.focus();
    if (unsent) again.addEventListener("blur", () => again.dispatchEvent(new Event("change")), { once: true });
  }

  #drawRows() {
    const rows = this.active.map((each, index) => this.#row(each, index));
    if (rows.length) rows.unshift(el("div", { class: "class-row head", "aria-hidden": "true" }, ...["Colour", "Name", "Key", "Description", "", ""].map((text) => el("span", { text }))));
    this.rows.replaceChildren(...rows);
  }

  #row(each, index) {
    const edit = (changes) => this.#send({ kind: "edit", class_id: each.id, ...changes });
    const color = el("input", { type: "color", value: each.color, "aria-label": `Colour of ${each.name}`, onchange: () => edit({ color: color.value }) });
    const name = el("input", { "data-field": `${each.id}-name`, value: each.name, "aria-label": `Name of ${each.name}`, maxLength: 200, onchange: () => edit({ name: name.value }) });
    const key = el("input", { "data-field": `${each.id}-key`, class: "one-key", value: each.own_key, placeholder: each.key, maxLength: 1, "aria-label": `Key of ${each.name}`, onchange: () => edit({ key: key.value }) });
    const words = el("input", { "data-field": `${each.id}-description`, value: each.description, placeholder: "When to choose it", "aria-label": `Description of ${each.name}`, onchange: () => edit({ description: words.value }) });
    const move = el("span", { class: "move" }, this.#mover(index, -1, "↑", `Move ${each.name} up`), this.#mover(index, 1, "↓", `Move ${each.name} down`));
    const last = this.question.kind === "hierarchical" ? el("span", { class: "two" }, this.#parentOf(each, edit), this.#merger(each)) : this.#merger(each);
    return el("div", { class: "class-row" }, color, name, key, words, move, last);
  }

  // Where the class hangs in the tree. A class put below another splits it: old answers stay, as coarse ones.
  #parentOf(each, edit) {
    const others = this.active.filter((other) => other !== each);
    const select = el("select", { "aria-label": `${each.name} is part of` }, el("option", { value: "", text: "A root" }), ...others.map((other) => el("option", { value: other.id, text: `Part of ${other.name}` })));
    select.value = each.parent ?? "";
    select.addEventListener("change", () => edit({ parent: select.value }));
    return select;
  }

  #mover(index, by, sign, label) {
    const order = this.active.map((each) => each.id);
    const target = index + by;
    const move = () => {
      [order[index], order[target]] = [order[target], order[index]];
      this.#send({ kind: "reorder", order });
    };
    return el("button", { type: "button", class: "icon", text: sign, "aria-label": label, disabled: target < 0 || target >= order.length, onclick: move });
  }

  #merger(each) {
    const others = this.active.filter((other) => other !== each);
    const select = el("select", { "aria-label": `Merge ${each.name} into another class`, disabled: !others.length }, el("option", { value: "", text: "Merge into …" }), ...others.map((other) => el("option", { value: other.id, text: other.name })));
    select.addEventListener("change", () => this.#confirmMerge(each, others.find((other) => other.id === select.value), select));
    return select;
  }

  #confirmMerge(each, into, select) {
    if (!into) return;
    const keep = () => {
      this.problem.replaceChildren();
      select.value = "";
    };
    const merge = () => this.#send({ kind: "merge", class_id: each.id, into: into.id });
    this.problem.replaceChildren(
      el("span", { text: `Every “${each.name}”, given or to come, will count as “${into.name}”. This stays.` }),
      el("button", { type: "button", class: "strong", text: "Merge", onclick: merge }),
      el("button", { type: "button", text: "Keep both", onclick: keep }),
    );
  }

  async #add(event) {
    event.preventDefault();
    const written = this.newName.value;
    const names = written.split("\n").map((name) => name.trim()).filter(Boolean);
    for (const name of names) if (!(await this.#send({ kind: "add", name }))) return;
    if (this.newName.value === written) this.newName.value = "";
    const elsewhere = this.rows.getRootNode().activeElement;
    if (!this.rows.contains(elsewhere)) this.newName.focus(); // who types into a row by now goes on there
  }

  // One edit after the other: two at once would be made on the same version, and the later one refused.
  #send(edit) {
    this.sending = (this.sending ?? Promise.resolve()).then(() => this.#sendNow(edit));
    return this.sending;
  }

  async #sendNow(edit) {
    this.problem.textContent = "";
    try {
      this.question = await this.api.post("classes", edit);
    } catch (error) {
      this.problem.textContent = error instanceof Refused ? error.message : `Not changed: ${error.message}`;
      this.#draw();
      return false;
    }
    this.#draw();
    this.onQuestion(this.question);
    return true;
  }

  async #showHistory() {
    const changes = await this.api.get("classes/history");
    this.log.replaceChildren(...changes.map((each) => el("li", {}, el("span", { text: each.change, dir: "auto" }), el("small", { text: ` ${each.by}, ${new Date(each.at).toLocaleString()}` }))));
  }
}

// Editing the guidelines, beside nothing else.
export function editGuidelines(root, api, question, onQuestion) {
  const field = el("textarea", { value: question.guidelines, rows: 14, "aria-label": "Guidelines", placeholder: "What decides the hard cases?" });
  const problem = el("p", { class: "problem-line", role: "alert" });
  const save = async () => {
    try {
      onQuestion(await api.post("classes", { kind: "guidelines", text: field.value }));
      dialog.close();
    } catch (error) {
      problem.textContent = `Not saved: ${error.message}`;
    }
  };
  const buttons = el("div", { class: "sheet-actions" }, el("button", { type: "button", text: "Cancel", onclick: () => dialog.close() }), el("button", { type: "button", class: "strong", text: "Save", onclick: save }));
  const dialog = openDialog(root, "", "Guidelines", el("div", {}, field, problem, buttons));
  field.focus();
}
