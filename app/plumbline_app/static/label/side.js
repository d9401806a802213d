// Beside the item: how far we are, how good the model honestly is, and how the next items are chosen.

import { count, el, percent, pressed } from "./dom.js";

export class Side {
  constructor({ onStrategy, onClasses, onGuidelines, comments }) {
    this.comments = comments;
    this.tabs = [
      this.#tab("progress", "Progress", null),
      this.#tab("guidelines", "Guidelines", "h"),
      this.#tab("comments", "Comments", null),
    ];
    this.answered = el("p", { class: "figure" });
    this.bar = el("div", { class: "meter", role: "img" }, el("span"));
    this.states = el("p", { class: "quiet" });
    this.classes = el("ul", { class: "by-class", tabIndex: -1 });
    this.measure = el("h3", { text: "Accuracy, honestly" });
    this.accuracy = el("div", { class: "accuracy" });
    this.model = el("p", { class: "quiet model" });
    this.training = el("div", { class: "training" });
    this.strategy = el("select", { "aria-label": "How the next items are chosen" });
    this.strategy.addEventListener("change", () => {
      this.#explain();
      onStrategy(this.strategy.value);
      this.strategy.blur();
    });
    this.explanation = el("p", { class: "quiet explanation" });
    this.saved = el("p", { class: "saved-line", role: "status" });
    this.words = el("div", { class: "guideline-words", tabIndex: 0 });
    const edit = el("button", { type: "button", class: "choose", text: "Edit classes" });
    pressed(edit, onClasses);
    const write = el("button", { type: "button", class: "choose", text: "Edit guidelines" });
    pressed(write, onGuidelines);
    this.progress = el(
      "div",
      { class: "pane", id: "pl-pane-progress", role: "tabpanel" },
      el("section", {}, this.answered, this.bar, this.states),
      el("section", {}, el("div", { class: "row" }, el("h3", { text: "Classes" }), edit), this.classes),
      el("section", {}, this.measure, this.accuracy),
      el("section", {}, el("h3", { text: "Model" }), this.model, this.training),
      el("section", {}, el("h3", { text: "Next items" }), this.strategy, this.explanation),
    );
    this.guidelines = el("div", { class: "pane", id: "pl-pane-guidelines", role: "tabpanel", hidden: true }, this.words, el("div", { class: "row" }, write));
    this.root = el("aside", { class: "side", "aria-label": "Progress and guidelines" }, el("div", { class: "side-tabs", role: "tablist" }, ...this.tabs), this.progress, this.guidelines, this.comments.root, this.saved);
    this.show("progress");
  }

  #tab(name, label, key) {
    const tab = el("button", { type: "button", role: "tab", "data-pane": name, "aria-controls": `pl-pane-${name}` }, el("span", { text: label }), key ? el("kbd", { text: key, "aria-hidden": "true" }) : null);
    pressed(tab, () => this.show(name));
    return tab;
  }

  show(name) {
    this.shown = name;
    if (!this.progress) return;
    this.progress.hidden = name !== "progress";
    this.guidelines.hidden = name !== "guidelines";
    this.comments.root.hidden = name !== "comments";
    if (name === "comments") this.comments.load();
    for (const tab of this.tabs) tab.setAttribute("aria-selected", String(tab.dataset.pane === name));
  }

  toggleGuidelines() {
    this.show(this.shown === "guidelines" ? "progress" : "guidelines");
  }

  setQuestion(question) {
    this.question = question;
    const text = question.guidelines.trim();
    const described = question.classes.filter((each) => !each.merged_into && each.description);
    this.words.replaceChildren(
      el("p", { class: text ? "guideline" : "quiet", dir: "auto", text: text || "No guidelines yet. Write down what decides the hard cases, so that everybody decides them alike." }),
      ...described.map((each) => el("p", { class: "guideline" }, el("strong", { text: `${each.name}: ` }), el("span", { text: each.description, dir: "auto" }))),
    );
    if (this.status) this.setStatus(this.status);
  }

  setStrategies(strategies) {
    this.explanations = new Map(strategies.map((each) => [each.name, each.explanation]));
    this.strategy.replaceChildren(...strategies.map((each) => el("option", { value: each.name, text: each.name.replaceAll("_", " ") })));
  }

  setStatus(status) {
    this.status = status;
    const { skipped, unsure, flagged } = status.by_state;
    this.answered.replaceChildren(el("strong", { text: count(status.n_answered) }), el("span", { text: ` of ${count(status.n_items)} answered` }));
    this.bar.firstChild.style.width = `${(100 * status.n_answered) / Math.max(1, status.n_items)}%`;
    this.bar.setAttribute("aria-label", `${percent(status.n_answered / Math.max(1, status.n_items))} answered`);
    this.states.textContent = `${count(skipped)} skipped · ${count(unsure)} unsure · ${count(flagged)} flagged`;
    this.#showClasses(status.by_class);
    this.#showAccuracy(status);
    this.#showModel(status);
    if (document.activeElement !== this.strategy && this.#root().activeElement !== this.strategy) this.strategy.value = status.strategy;
    this.#explain();
  }

  setSaved(n, problem) {
    this.saved.className = problem ? "saved-line problem" : "saved-line";
    if (problem) this.saved.textContent = n ? `${n} not saved yet, retrying: ${problem}` : `Retrying: ${problem}`;
    else this.saved.textContent = n ? `Saving ${n} …` : "Everything is saved";
  }

  #root() {
    return this.root.getRootNode();
  }

  #showClasses(byClass) {
    const active = this.question.classes.filter((each) => !each.merged_into);
    const most = Math.max(1, ...active.map((each) => byClass[each.id] ?? 0));
    this.classes.replaceChildren(
      ...active.map((each) => {
        const n = byClass[each.id] ?? 0;
        return el("li", { style: { "--class": each.color, "--share": n / most } }, el("span", { class: "swatch", "aria-hidden": "true" }), el("span", { class: "class-name", text: each.name, dir: "auto" }), el("span", { class: "class-bar", "aria-hidden": "true" }), el("span", { class: "n", text: count(n) }));
      }),
    );
  }

  // Below `enough` answers of the random stream there is no figure: of 20 its interval still spans 40 points.
  #showAccuracy({ accuracy, measure, n_stream: n, shown_from: enough }) {
    this.measure.textContent = `${measure}, honestly`;
    if (!accuracy || accuracy[3] < enough) {
      const so_far = accuracy ? accuracy[3] : n;
      this.accuracy.replaceChildren(el("p", { class: "figure small" }, el("span", { text: "Not enough yet: " }), el("strong", { text: `${so_far} of ${enough}` })), el("p", { class: "quiet", text: "random items answered. They are never trained on." }));
      return;
    }
    const [value, low, high, size] = accuracy;
    const band = el("div", { class: "interval", role: "img", "aria-label": `between ${percent(low)} and ${percent(high)}`, style: { "--low": low, "--high": high, "--value": value } }, el("span"), el("i"));
    this.accuracy.replaceChildren(
      el("p", { class: "figure" }, el("strong", { text: percent(value) }), el("span", { text: `  ${percent(low)} to ${percent(high)}` })),
      band,
      el("p", { class: "quiet", text: `on ${count(size)} random items that it was not trained on` }),
    );
  }

  #showModel({ model, waiting, n_behind: behind, training, failed }) {
    if (!model) this.model.textContent = waiting || "The first model is on its way.";
    else {
      const late = behind === 0 ? "up to date" : behind === 1 ? "1 newer answer not in it yet" : `${count(behind)} newer answers not in it yet`;
      this.model.textContent = `Version ${model.version}, learned from ${count(model.n_train)} answers; ${late}.`;
    }
    const note = training ? "Training …" : failed && !model ? `The last training failed: ${failed}` : "";
    const bar = training ? el("div", { class: "meter thin" }, el("span", { style: { width: `${Math.round(100 * training.progress)}%` } })) : null;
    this.training.replaceChildren(el("span", { class: "quiet", text: note }), ...(bar ? [bar] : []));
  }

  #explain() {
    this.explanation.textContent = this.explanations?.get(this.strategy.value) ?? "";
  }
}
