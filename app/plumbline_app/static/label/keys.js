// Keys for the whole page, and the sheet that lists them.

import { el, openDialog } from "./dom.js";

const TYPED_INTO = "input, textarea, select, [contenteditable]";

// Calls handle(key) for single, unmodified, unrepeated presses outside of fields and dialogs; it says whether the key
// meant something. `root` is the card, whose dialogs lie in its shadow root.
export function listen(root, handle) {
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const [target] = event.composedPath();
    const element = target instanceof Element ? target : null;
    if (element?.matches(TYPED_INTO) || document.querySelector("dialog[open]") || root.querySelector("dialog[open]")) return;
    const activates = event.key === " " || event.key === "Enter";
    if (activates && element?.matches("button:focus-visible, a:focus-visible")) return;
    if (event.repeat) {
      if (event.key === " ") event.preventDefault();
      return;
    }
    if (!handle(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("keydown", onKey, true);
  return () => document.removeEventListener("keydown", onKey, true);
}

const LIST = [
  ["1 … 9, 0, letters", "answer with that class (the key on its button)"],
  ["/", "search the classes, Enter takes the first"],
  ["space", "skip: go on without an answer"],
  ["u", "unsure: needs someone else's eyes"],
  ["f", "flag: the item itself is broken"],
  ["n", "note, kept with your answer"],
  ["z", "undo your last answer and show its item again"],
  ["m", "show or hide the model's opinion of this item"],
  ["h", "guidelines beside the item"],
  ["Escape", "back from an earlier answer to the queue"],
  ["?", "this list"],
];

// own: keys of the question's kind, in place of the first of the list.
export function showKeys(root, own = []) {
  const rows = [...(own.length ? own : LIST.slice(0, 1)), ...LIST.slice(1)].flatMap(([key, meaning]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text: meaning })]);
  openDialog(root, "keys", "Keys", el("dl", {}, ...rows));
}
