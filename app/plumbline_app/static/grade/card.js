// The grade card: shows one output at a time and sends what the person says of it.

import { el, keyButton, pressed, uuid } from "/assets/label/dom.js";
import { listen } from "/assets/label/keys.js";
import { Note } from "/assets/label/note.js";
import { Outbox } from "/assets/label/outbox.js";
import { GradeApi } from "./api.js";
import { showKeys, writeCriterion } from "./dialogs.js";
import { History } from "./history.js";
import { OutputView } from "./output.js";
import { GradeSide } from "./side.js";
import { Thumbs } from "./thumbs.js";

const ANSWER_KEYS = { g: "pass", b: "fail" };

export class GradeCard {
  constructor(slug, person, criteria) {
    this.slug = slug;
    this.person = person;
    this.api = new GradeApi(slug, person);
    this.current = null;
    this.reopened = null;
    this.asked = Number(new URLSearchParams(location.search).get("output") ?? NaN);
    this.#build();
    this.#setCriteria(criteria);
    this.stop = listen(this.root, (key) => this.#key(key));
    this.outbox = new Outbox(this.api, `plumbline:${slug}:${person}:grades`, "", (result) => this.#synced(result), (n, problem) => this.side.setSaved(n, problem));
    this.outbox.open();
  }

  #build() {
    this.output = new OutputView();
    this.note = new Note(`plumbline:${this.slug}:${this.person}:note`, (text) => this.#noteChanged(text));
    this.thumbs = new Thumbs(() => this.#writeCriterion());
    this.history = new History((entry) => this.#lookAt(entry.output));
    this.side = new GradeSide((mode) => this.#setMode(mode), this.slug);
    this.title = el("h1", { dir: "auto" });
    this.why = el("p", { class: "why" });
    this.stage = el("div", { class: "stage output-stage" }, this.output.root, this.note.root);
    this.verdict = el("div", { class: "verdict", role: "group", "aria-label": "Overall" });
    this.opinions = keyButton("opinion", "Verdicts", "m", () => this.#toggleVerdicts());
    this.actions = el(
      "div",
      { class: "actions" },
      keyButton("skip", "Skip", "space", () => this.#answer("skipped")),
      keyButton("unsure", "Unsure", "u", () => this.#answer("unsure")),
      this.note.button,
      keyButton("new-criterion", "Criterion", "c", () => this.#writeCriterion()),
      el("span", { class: "gap" }),
      this.opinions,
      keyButton("undo", "Undo", "z", () => this.#undo()),
      keyButton("keys", "Keys", "?", () => showKeys(this.root)),
    );
    this.message = el("p", { class: "message", role: "status" });
    this.main = el("div", { class: "work" }, el("header", {}, this.title, this.why), this.stage, this.thumbs.root, this.verdict, this.actions, this.history.root);
    this.root = el("div", { class: "card grade-card" }, this.main, this.side.root, this.message);
  }

  get mode() {
    return this.api.mode;
  }

  // The criterion that is the main question now: the overall one, or that which is graded again.
  get question() {
    return this.criteria.criteria.find((each) => each.id === this.mode.criterion) ?? this.criteria.overall;
  }

  #setCriteria(criteria) {
    this.criteria = { overall: criteria.overall, criteria: criteria.criteria };
    this.side.setCriteria(this.criteria);
    this.#showQuestion();
  }

  #showQuestion() {
    const question = this.question;
    const overall = question.id === this.criteria.overall.id;
    this.title.textContent = overall ? question.text : `${question.name}: ${question.text}`;
    this.title.title = question.guidelines || this.title.textContent;
    this.thumbs.set(overall && this.mode.kind === "grade" ? this.criteria.criteria : []);
    const answers = question.answers.map((answer) => this.#answerButton(answer, overall));
    this.verdict.replaceChildren(...answers);
  }

  #answerButton(answer, overall) {
    const words = { pass: overall ? "Good" : "Passes", fail: overall ? "Bad" : "Fails" };
    const key = { pass: "g", fail: "b" }[answer] ?? answer;
    const button = el("button", { type: "button", class: `answer ${answer}`, "aria-keyshortcuts": key }, el("span", { class: "answer-name", text: words[answer] ?? answer }), el("kbd", { text: key, "aria-hidden": "true" }));
    button.dataset.answer = answer;
    pressed(button, () => this.#answer("answered", answer));
    return button;
  }

  #synced(result) {
    for (const ack of result.acks) if (!ack.ok) this.#say(`Not saved: ${ack.reason}`);
    if (result.overall) {
      this.version = result.criteria_version;
      this.#setCriteria(result);
    }
    if (result.history) this.history.set(result.history);
    this.side.setStatus(result.status);
    if (result.criteria_version !== this.version) return this.outbox.open();
    if (Number.isInteger(this.asked)) {
      const position = this.asked;
      this.asked = NaN;
      this.waiting = result.ask;
      return this.#lookAt(position);
    }
    if (this.outbox.operations.length) return undefined;
    const undone = result.acks.findLast((ack) => ack.undone)?.undone ?? [];
    if (undone.length) {
      this.waiting = result.ask;
      return this.#lookAt(undone[0].output);
    }
    const same = this.current && result.ask && this.current.output === result.ask.output && this.current.query_id === result.ask.query_id;
    if (this.reopened) this.waiting = result.ask;
    else if (!same) this.#show(result.ask);
    return undefined;
  }

  #show(output) {
    this.current = output;
    this.stage.dataset.output = output === null ? "" : String(output.output);
    this.root.classList.remove("sending");
    this.root.classList.toggle("reopened", this.reopened !== null);
    this.root.classList.toggle("nothing", output === null);
    this.opinions.removeAttribute("aria-pressed");
    this.history.select(this.reopened ? output.output : null);
    this.note.set(this.reopened?.note ?? "", this.reopened || output === null ? null : `${output.output}:${output.query_id}`);
    this.thumbs.fill(this.reopened?.thumbs ?? {});
    this.#mark(this.reopened?.answer);
    if (output === null) {
      this.why.textContent = "";
      return this.output.nothing(this.mode, this.slug);
    }
    this.why.textContent = this.reopened ? "An earlier output: grade it again to change it, Escape to go back." : `This output was ${output.reason}.`;
    this.why.title = this.why.textContent;
    this.output.show(output);
    this.since = performance.now();
    return undefined;
  }

  #mark(answer) {
    for (const button of this.verdict.children) {
      if (button.dataset.answer === answer) button.setAttribute("aria-pressed", "true");
      else button.removeAttribute("aria-pressed");
    }
  }

  #answer(state, answer = null) {
    const output = this.current;
    if (!output || this.root.classList.contains("sending")) return;
    const thumbs = state === "answered" || state === "unsure" ? this.thumbs.answers() : [];
    const operation = {
      kind: "grade",
      uuid: uuid(),
      output: output.output,
      criterion: this.mode.kind === "regrade" ? this.mode.criterion : null,
      state,
      answer,
      note: this.note.text,
      seconds: Math.min(86400, Math.round((performance.now() - this.since) / 10) / 100),
      query_id: output.query_id ?? null,
      thumbs,
    };
    if (this.mode.kind === "grade") {
      this.history.add({ output: output.output, state, answer, note: operation.note, thumbs: Object.fromEntries(thumbs.map((each) => [each.criterion, each.answer])), excerpt: output.excerpt, count: thumbs.length + 1 });
    }
    this.#mark(answer);
    if (this.reopened) {
      this.reopened = null;
      this.#show(this.waiting ?? null);
    } else {
      this.root.classList.add("sending");
    }
    this.outbox.add(operation);
  }

  #undo() {
    if (this.root.classList.contains("sending")) return;
    const entry = this.history.newest();
    if (!entry) return this.#say("There is nothing to undo.");
    this.history.remove(entry);
    this.reopened = null;
    this.root.classList.add("sending");
    this.current = null;
    const count = entry.count ?? Object.keys(entry.thumbs).length + 1;
    this.outbox.add({ kind: "undo", uuid: uuid(), count });
    this.#say("Taken back.");
    return undefined;
  }

  // Show an output out of turn: an earlier one, or one that another page points at.
  async #lookAt(position) {
    if (this.current?.output === position && this.reopened) return this.#back();
    try {
      const output = await this.api.get(`outputs/${position}`);
      if (!this.reopened && this.current) this.waiting = this.current;
      this.reopened = { answer: output.graded?.answer, note: output.graded?.note ?? "", thumbs: output.thumbs };
      return this.#show(output);
    } catch (error) {
      this.#say(`The output cannot be shown: ${error.message}`);
      return this.#show(this.waiting ?? this.current);
    }
  }

  #back() {
    if (!this.reopened) return false;
    this.reopened = null;
    this.#show(this.waiting ?? null);
    return true;
  }

  #noteChanged(text) {
    if (this.reopened && text !== this.reopened.note && this.reopened.answer) this.#answer("answered", this.reopened.answer);
  }

  #setMode(mode) {
    this.api.mode = mode;
    this.reopened = null;
    this.current = null;
    this.#showQuestion();
    this.outbox.flush(1);
  }

  async #toggleVerdicts() {
    const output = this.current;
    if (!output || this.mode.kind === "regrade") return;
    const shown = this.opinions.getAttribute("aria-pressed") === "true";
    this.opinions.setAttribute("aria-pressed", String(!shown));
    if (shown) return this.output.hideVerdicts();
    try {
      const verdicts = await this.api.get(`outputs/${output.output}/verdicts`);
      if (this.current === output) this.output.showVerdicts(verdicts);
    } catch (error) {
      this.#say(`No verdicts: ${error.message}`);
    }
  }

  #writeCriterion() {
    writeCriterion(this.root, this.api, (criteria) => {
      const thumbs = this.thumbs.answers();
      this.#setCriteria(criteria);
      this.thumbs.fill(Object.fromEntries(thumbs.map((each) => [each.criterion, each.answer])));
      this.outbox.flush(0);
    });
  }

  #key(key) {
    const answers = this.question.answers;
    const answer = ANSWER_KEYS[key] ?? (this.mode.kind === "regrade" ? key : undefined);
    if (answers.includes(answer)) this.#answer("answered", answer);
    else if (key === " ") this.#answer("skipped");
    else if (key === "u") this.#answer("unsure");
    else if (key === "n") this.current && this.note.open();
    else if (key === "c") this.#writeCriterion();
    else if (key === "z") this.#undo();
    else if (key === "m") this.#toggleVerdicts();
    else if (key === "?") showKeys(this.root);
    else if (key === "Escape") return this.#back();
    else return this.thumbs.key(key);
    return true;
  }

  #say(text) {
    this.message.textContent = text;
    this.message.classList.add("shown");
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.message.classList.remove("shown"), 3500);
  }

  close() {
    this.stop();
    this.outbox.close();
    clearTimeout(this.saying);
  }
}
