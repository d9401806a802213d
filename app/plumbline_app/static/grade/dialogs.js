// Dialogs of the grade card: the list of keys, and a new criterion.

import { el, openDialog } from "/assets/label/dom.js";

const LIST = [
  ["g", "good"],
  ["b", "bad"],
  ["1 … 9, 0", "go through a criterion's answers: passes, fails, nothing"],
  ["space", "skip: go on without a grade"],
  ["u", "unsure: needs someone else's eyes"],
  ["n", "note: what is wrong, or what decided it"],
  ["c", "write a criterion"],
  ["z", "undo your last grade and show its output again"],
  ["m", "show or hide what the judges say of this output"],
  ["Escape", "back from an earlier output"],
  ["?", "this list"],
];

export function showKeys(root) {
  const rows = LIST.flatMap(([key, meaning]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text: meaning })]);
  openDialog(root, "keys", "Keys", el("dl", {}, ...rows));
}

export function writeCriterion(root, api, onSaved) {
  const name = el("input", { maxLength: 120, required: true, "aria-label": "Name", placeholder: "Short name, such as: No invented facts" });
  const text = el("textarea", { rows: 3, maxLength: 2000, required: true, "aria-label": "Statement", placeholder: "One statement that an output satisfies or not" });
  const kind = el("select", { "aria-label": "Answers" }, el("option", { value: "pass_fail", text: "Passes or fails" }), el("option", { value: "rating", text: "A rating from 1 to 5" }));
  const problem = el("p", { class: "problem", role: "alert" });
  const save = el("button", { type: "submit", class: "strong", text: "Add the criterion" });
  const form = el("form", { class: "criterion-form" }, label("Name", name), label("Statement", text), label("Answers", kind), problem, save);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    try {
      const criteria = await api.post("criteria", { name: name.value, text: text.value, kind: kind.value });
      dialog.close();
      onSaved(criteria);
    } catch (error) {
      problem.textContent = error.message;
      save.disabled = false;
    }
  });
  const dialog = openDialog(root, "criterion", "New criterion", form);
  name.focus();
}

function label(words, field) {
  return el("label", {}, el("span", { text: words }), field);
}
