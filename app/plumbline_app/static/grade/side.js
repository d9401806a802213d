// Beside the output: how far the grading is, what was said per criterion, and what to grade next.

import { count, el, pressed } from "/assets/label/dom.js";

export class GradeSide {
  constructor(onMode, slug) {
    this.onMode = onMode;
    this.slug = slug;
    this.mode = { kind: "grade", criterion: null };
    this.graded = el("p", { class: "figure" });
    this.bar = el("div", { class: "meter", role: "img" }, el("span"));
    this.counts = el("p", { class: "quiet" });
    this.advice = el("p", { class: "quiet advice" });
    this.criteriaList = el("ul", { class: "criteria-list" });
    this.next = el("select", { "aria-label": "What to grade next" });
    this.next.addEventListener("change", () => {
      this.mode = JSON.parse(this.next.value);
      this.#explain();
      this.onMode(this.mode);
      this.next.blur();
    });
    this.explanation = el("p", { class: "quiet explanation" });
    this.saved = el("p", { class: "saved-line", role: "status" });
    const page = (name) => `/p/${encodeURIComponent(slug)}/${name}`;
    const pane = el(
      "div",
      { class: "pane" },
      el("section", {}, this.graded, this.bar, this.counts, this.advice),
      el("section", {}, el("div", { class: "row" }, el("h3", { text: "Criteria" }), el("a", { class: "choose", href: page("judges"), text: "Edit" })), this.criteriaList),
      el("section", {}, el("h3", { text: "Next" }), this.next, this.explanation),
    );
    this.root = el("aside", { class: "side", "aria-label": "Progress" }, pane, this.saved);
  }

  setCriteria(criteria) {
    this.criteria = criteria;
    if (this.status) this.setStatus(this.status);
  }

  setStatus(status) {
    this.status = status;
    this.graded.replaceChildren(el("strong", { text: count(status.n_graded) }), ` of ${count(status.n_outputs)} outputs graded`);
    this.bar.firstChild.style.width = `${(100 * status.n_graded) / Math.max(1, status.n_outputs)}%`;
    this.bar.setAttribute("aria-label", `${status.n_graded} of ${status.n_outputs}`);
    const parts = [`${count(status.n_good)} good`, `${count(status.n_bad)} bad`];
    if (status.n_unsure) parts.push(`${count(status.n_unsure)} unsure`);
    if (status.n_skipped) parts.push(`${count(status.n_skipped)} skipped`);
    this.counts.textContent = parts.join(" · ");
    this.advice.textContent = advice(status, this.criteria);
    this.#drawCriteria();
    this.#drawNext();
  }

  #drawCriteria() {
    const rows = this.criteria.criteria.map((each) => {
      const found = this.status.per_criterion[each.id] ?? { n_pass: 0, n_fail: 0, n_stale: 0 };
      const stale = found.n_stale ? `, ${count(found.n_stale)} stale` : "";
      return el("li", { title: each.text }, el("span", { class: "class-name", text: each.name }), el("span", { class: "quiet n", text: `${count(found.n_pass)} ✓ ${count(found.n_fail)} ✗${stale}` }));
    });
    this.criteriaList.replaceChildren(...(rows.length ? rows : [el("li", { class: "quiet", text: "None yet." })]));
  }

  #drawNext() {
    const choices = [[{ kind: "grade", criterion: null }, "New outputs"]];
    if (this.status.n_regrade) choices.push([{ kind: "regrade", criterion: null }, `Again, blind: overall (${count(this.status.n_regrade)})`]);
    for (const each of this.criteria.criteria) {
      const n = this.status.per_criterion[each.id]?.n_regrade ?? 0;
      if (n) choices.push([{ kind: "regrade", criterion: each.id }, `Again, blind: ${each.name} (${count(n)})`]);
    }
    const chosen = JSON.stringify(this.mode);
    const values = choices.map(([mode]) => JSON.stringify(mode));
    if (!values.includes(chosen)) choices.push([this.mode, "Again, blind: done"]);
    this.next.replaceChildren(...choices.map(([mode, text]) => el("option", { value: JSON.stringify(mode), text })));
    this.next.value = chosen;
    this.#explain();
  }

  #explain() {
    this.explanation.textContent =
      this.mode.kind === "grade"
        ? "Half of them from what the chosen judges fail, half from what they pass, uniformly inside each: so the figures stay honest."
        : "Outputs that you graded before, without your earlier grade: shows how far you agree with yourself, and refreshes stale grades.";
  }

  setSaved(n, problem) {
    this.saved.classList.toggle("problem", Boolean(problem));
    this.saved.textContent = problem ? `${count(n)} not saved yet: ${problem}` : n ? `Saving ${count(n)} …` : "Everything is saved";
  }
}

function advice(status, criteria) {
  const left = status.first_look - status.n_graded;
  if (left > 0) return `First look: ${count(left)} more before you fix criteria. Note what is wrong; criteria come from notes.`;
  if (!criteria.criteria.length) return "You have seen enough for a first set of criteria: write them here or on the Judges page.";
  if (!status.n_judges) return "Now give the criteria judges on the Judges page.";
  return "Grade on until the intervals on the Alignment page are narrow enough.";
}
