// One output beside what it was asked for. Every text is set as text: nothing in it can become markup.

import { count, el } from "/assets/label/dom.js";

const STATES = { pass: "passes", fail: "fails", error: "error", abstain: "does not apply" };

export class OutputView {
  constructor() {
    this.root = el("div", { class: "output-view" });
  }

  show(output) {
    this.verdicts = el("section", { class: "verdicts", hidden: true, "aria-label": "What the judges say" });
    const asked = [
      ...output.variables.map((each) => part(each.name, each, "variable")),
      output.prompt.text ? part("Prompt", output.prompt, "prompt") : null,
      output.reference.text ? part("Reference", output.reference, "reference") : null,
    ].filter(Boolean);
    const context = asked.length ? el("div", { class: "asked", tabIndex: 0, role: "region", "aria-label": "What the model was asked" }, ...asked) : null;
    const length = `${count(output.response.length)} characters`;
    const head = el("h3", {}, el("span", { text: "Output" }), el("span", { class: "quiet", text: [output.system, output.key, length].filter(Boolean).join(" · ") }));
    const response = output.response.text
      ? el("div", { class: "response", dir: "auto", text: output.response.text })
      : el("p", { class: "response missing", text: "The output is empty." });
    const cut = output.response.cut ? el("p", { class: "quiet", text: `Only the first ${count(output.response.text.length)} characters are shown.` }) : null;
    const right = el("div", { class: "said-part", tabIndex: 0, role: "region", "aria-label": "The output" }, head, response, cut, this.verdicts);
    this.root.classList.toggle("alone", context === null);
    this.root.replaceChildren(...[context, right].filter(Boolean));
  }

  nothing(mode, slug) {
    const page = (name) => `/p/${encodeURIComponent(slug)}/${name}`;
    const again = mode.kind === "regrade";
    this.root.classList.add("alone");
    this.root.replaceChildren(
      el(
        "div",
        { class: "item words" },
        el("h2", { text: again ? "Nothing is left to grade again" : "Every output was shown to you" }),
        el("p", { class: "quiet", text: again ? "Go back to new outputs, or look at how far you agree with yourself." : "Those that you skipped can be opened in the table of the Alignment page." }),
        el("p", {}, el("a", { href: page("alignment"), text: "See how the judges agree with you" }), el("a", { href: page("judges"), text: "Criteria and judges" })),
      ),
    );
  }

  showVerdicts(verdicts) {
    const rows = verdicts.map((each) => el("li", { class: each.state }, el("strong", { text: `${each.criterion}: ${STATES[each.state]}` }), el("span", { text: ` ${each.judge}` }), each.note ? el("p", { class: "quiet", text: each.note }) : null));
    const none = el("p", { class: "quiet", text: "No judge has looked at this output yet." });
    this.verdicts.replaceChildren(el("h3", { text: "Judges" }), rows.length ? el("ul", {}, ...rows) : none);
    this.verdicts.hidden = false;
    this.verdicts.scrollIntoView({ block: "nearest" });
  }

  hideVerdicts() {
    this.verdicts.hidden = true;
  }
}

function part(name, text, kind) {
  const cut = text.cut ? el("p", { class: "quiet", text: `${count(text.length)} characters; only the beginning is shown.` }) : null;
  return el("section", { class: kind }, el("h3", { text: name }), el("div", { class: "words", dir: "auto", text: text.text }), cut);
}
