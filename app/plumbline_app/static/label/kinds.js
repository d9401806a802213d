// What the label card does differently for each kind of question: its answers, its keys, and an answer in words.

import { Answers } from "./answers.js";
import { SeveralAnswers, parseSigned } from "./several.js";
import { TreeAnswers } from "./tree.js";

// The class as it is called today, merges followed.
function today(classes, id) {
  let found = classes.get(id);
  while (found?.merged_into) found = classes.get(found.merged_into);
  return found;
}

// Levels stand in one row, from the lowest to the highest.
class Levels extends Answers {
  setClasses(classes) {
    super.setClasses(classes);
    if (this.classes.length <= 11) this.list.style.setProperty("--across", this.classes.length || 1);
  }
}

const ONE = { Answers, keys: [], said: today };

const KINDS = {
  rating: { ...ONE, Answers: Levels },
  hierarchical: {
    ...ONE,
    Answers: TreeAnswers,
    keys: [
      ["1 … 9, 0, letters", "open that branch, or answer with that class"],
      ["Enter", "answer with the open branch, without going deeper"],
      ["Backspace", "back up to the branch above"],
    ],
  },
  multi_label: {
    Answers: SeveralAnswers,
    keys: [
      ["1 … 9, 0, letters", "mark the class: yes, then no, then not said"],
      ["Enter", "record what is marked"],
      [",", "whether the classes that are not marked are no, or stay open"],
    ],
    said(classes, answer) {
      const carried = [...parseSigned(answer)].filter(([, sign]) => sign).map(([id]) => today(classes, id)).filter(Boolean);
      return { name: carried.map((each) => each.name).join(", ") || "none", color: carried[0]?.color };
    },
  },
};

export const kindOf = (question) => KINDS[question.kind] ?? ONE;
