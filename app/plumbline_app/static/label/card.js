// The label card: holds the queue of next items and what the person is doing, and joins the parts.

import { Api } from "./api.js";
import { ClassEditor, editGuidelines } from "./classes.js";
import { chooseColumns } from "./columns.js";
import { el, keyButton, uuid } from "./dom.js";
import { History } from "./history.js";
import { ItemView } from "./item.js";
import { listen, showKeys } from "./keys.js";
import { kindOf } from "./kinds.js";
import { Note } from "./note.js";
import { Outbox, tabHolder } from "./outbox.js";
import { Comments } from "./comments.js";
import { Side } from "./side.js";

const LOW = 6; // Ask for more when fewer items are ready; ten are kept.
const POLL_MS = 2000;
const POLL_IDLE_MS = 8000;
const REMEMBERED = 100;

export class LabelCard {
  constructor(slug, person, question) {
    this.slug = slug;
    this.person = person;
    this.api = new Api(slug, person);
    this.queue = [];
    this.seen = new Map();
    this.current = null;
    this.reopened = null;
    this.ready = false;
    this.exhausted = false;
    this.kind = kindOf(question);
    this.#build();
    this.#setQuestion(question);
    this.stop = listen(this.root, (key) => this.#key(key));
    this.#open(person);
  }

  #build() {
    this.answers = new this.kind.Answers((each) => this.#answer("answered", each.id), (text) => this.#say(text));
    this.history = new History((entry) => this.#reopen(entry), this.kind.said);
    this.item = new ItemView(this.api, { all: [], numeric: [], columns: [], axes: [] }, () => this.#chooseColumns());
    this.note = new Note(`plumbline:${this.slug}:${this.person}:note`, (text) => this.#noteChanged(text));
    this.comments = new Comments(this.api);
    this.side = new Side({
      comments: this.comments,
      onStrategy: (name) => this.api.post("strategy", { name }).then(() => this.outbox.flush(0)),
      onClasses: () => this.#editClasses(),
      onGuidelines: () => editGuidelines(this.root, this.api, this.question, (question) => this.#setQuestion(question)),
    });
    this.title = el("h1", { dir: "auto" });
    this.why = el("p", { class: "why" });
    this.stage = el("div", { class: "stage" }, this.item.root, this.note.root);
    this.opinion = keyButton("opinion", "Model’s opinion", "m", () => this.#toggleOpinion());
    this.actions = el(
      "div",
      { class: "actions" },
      keyButton("skip", "Skip", "space", () => this.#answer("skipped")),
      keyButton("unsure", "Unsure", "u", () => this.#answer("unsure")),
      keyButton("flag", "Flag", "f", () => this.#answer("flagged"), { title: "The item itself is broken" }),
      this.note.button,
      el("span", { class: "gap" }),
      this.opinion,
      keyButton("undo", "Undo", "z", () => this.#undo()),
      keyButton("keys", "Keys", "?", () => showKeys(this.root, this.kind.keys)),
    );
    this.message = el("p", { class: "message", role: "status" });
    this.main = el("div", { class: "work" }, el("header", {}, this.title, this.why), this.stage, this.answers.root, this.actions, this.history.root);
    this.root = el("div", { class: "card" }, this.main, this.side.root, this.message);
  }

  async #open(person) {
    const holder = await tabHolder(this.slug);
    this.outbox = new Outbox(this.api, `plumbline:${this.slug}:${person}:outbox`, holder, (result, want) => this.#synced(result, want), (n, problem) => {
      this.side.setSaved(n, problem);
      this.history.setRetrying(Boolean(problem));
    });
    await this.outbox.open();
    this.#poll();
  }

  #synced(result, want) {
    for (const ack of result.acks) {
      this.history.acknowledge(ack);
      if (!ack.ok) this.#say(`Not saved: ${ack.reason}`);
    }
    if (result.question) this.#setQuestion(result.question);
    if (result.strategies) this.side.setStrategies(result.strategies);
    if (result.layout) this.item.setLayout(result.layout);
    if (result.history) this.history.setSaved(result.history, new Set(this.outbox.operations.map((each) => each.uuid)));
    this.side.setStatus(result.status);
    this.opinion.disabled = !result.status.model;
    const fresh = this.#take(result.asks);
    if (want) this.exhausted = fresh === 0 && this.outbox.operations.length === 0;
    this.ready = true;
    if (result.status.question_version > this.question.version) this.outbox.open();
    if (!this.current) this.#next();
  }

  // Put items behind those that are ready, unless they are there already or have just been answered. Says how many.
  #take(asks) {
    const known = new Set([...this.queue, this.current, this.reopened?.waiting].filter(Boolean).map((item) => item.item));
    for (const operation of this.outbox.operations) known.add(operation.item);
    const fresh = asks.filter((ask) => !known.has(ask.item));
    this.queue.push(...fresh);
    this.item.prepare(fresh);
    return fresh.length;
  }

  #poll() {
    clearTimeout(this.timer);
    const { training, n_behind: behind } = this.side.status ?? {};
    this.timer = setTimeout(async () => {
      if (!document.hidden && !this.outbox.busy) await this.outbox.flush(this.queue.length < LOW ? undefined : 0);
      this.#poll();
    }, training || behind ? POLL_MS : POLL_IDLE_MS);
  }

  // An answer of the server may have been overtaken by one with newer classes; the newest are kept.
  #setQuestion(question) {
    if (question.version < (this.question?.version ?? 0)) return;
    this.question = question;
    this.title.textContent = question.text;
    this.answers.setClasses(question.classes);
    this.history.setClasses(question.classes);
    this.side.setQuestion(question);
    const none = !question.classes.some((each) => !each.merged_into);
    this.root.classList.toggle("no-classes", none);
    if (none) this.#showFirstClasses();
  }

  #next() {
    this.reopened = null;
    this.#show(this.queue.shift() ?? null);
  }

  #show(item) {
    this.current = item;
    this.stage.dataset.item = item === null ? "" : String(item.item);
    this.answers.hideOpinion();
    this.answers.mark(this.reopened?.entry.class_id);
    this.history.select(this.reopened ? item.item : null);
    this.note.set(this.reopened?.entry.note ?? "", this.reopened || item === null ? null : item.item);
    this.opinion.removeAttribute("aria-pressed");
    this.comments.setItem(item === null ? null : item.item);
    this.root.classList.toggle("reopened", this.reopened !== null);
    this.root.classList.toggle("nothing", item === null);
    if (item === null) return this.#showNothing();
    if (this.firstClasses) return;
    this.why.textContent = this.reopened ? "An earlier answer: choose again to change it, Escape to go back." : (item.reason ?? "");
    this.item.show(item);
    this.since = performance.now();
    this.seen.set(item.item, item);
    if (this.seen.size > REMEMBERED) this.seen.delete(this.seen.keys().next().value);
  }

  #answer(state, classId = null) {
    const item = this.current;
    if (!item || this.firstClasses) return;
    const operation = {
      kind: "record",
      uuid: uuid(),
      item: item.item,
      state,
      class_id: classId,
      note: this.note.text,
      seconds: Math.min(86400, Math.round((performance.now() - this.since) / 10) / 100),
      query_id: item.query_id ?? null,
      stratum: item.stratum ?? "browse",
    };
    this.history.add({ ...operation, excerpt: item.excerpt, sync: "saving" });
    if (classId) this.answers.flash(classId);
    const { reopened } = this;
    this.reopened = null;
    if (reopened) this.#show(reopened.waiting ?? this.queue.shift() ?? null);
    else this.#next();
    this.outbox.add(operation);
  }

  #undo() {
    const entry = this.history.newest();
    if (!entry) return this.#say("There is nothing to undo.");
    this.history.remove(entry);
    this.outbox.add({ kind: "undo", uuid: uuid(), item: entry.item, target_uuid: entry.uuid, judgement_id: entry.judgement_id ?? null });
    this.#say("Taken back.");
    this.#back();
    return this.#lookAt(entry.item, entry.previous ?? null);
  }

  async #reopen(entry) {
    if (this.current?.item === entry.item && this.reopened) return this.#back();
    this.#back();
    return this.#lookAt(entry.item, entry);
  }

  // Show an item out of turn. With an answer in force it is a look back; without, it is asked again.
  async #lookAt(position, entry) {
    let item = this.seen.get(position);
    if (!item) {
      try {
        item = await this.api.get(`items/${position}`);
      } catch (error) {
        return this.#say(`The item cannot be shown: ${error.message}`);
      }
    }
    const waiting = this.current;
    this.queue = this.queue.filter((each) => each.item !== position);
    if (entry) this.reopened = { entry, waiting };
    else if (waiting && waiting.item !== position) this.queue.unshift(waiting);
    this.#show(item);
  }

  // From a look back to the item that was waiting.
  #back() {
    if (!this.reopened) return false;
    const { waiting } = this.reopened;
    this.reopened = null;
    if (waiting) this.#show(waiting);
    else this.#next();
    return true;
  }

  #noteChanged(text) {
    const entry = this.reopened?.entry;
    if (entry && text !== entry.note) this.#answer(entry.state, entry.class_id);
  }

  async #toggleOpinion() {
    const item = this.current;
    if (!item || this.opinion.disabled) return;
    const shown = this.opinion.getAttribute("aria-pressed") === "true";
    this.opinion.setAttribute("aria-pressed", String(!shown));
    if (shown) return this.answers.hideOpinion();
    try {
      const opinion = await this.api.get(`items/${item.item}/opinion`);
      if (this.current !== item || this.opinion.getAttribute("aria-pressed") !== "true") return;
      this.answers.showOpinion(opinion);
      if (opinion.none_of_these) this.#say("The model says: none of these. The item is far from every class.");
    } catch (error) {
      this.#say(`No opinion: ${error.message}`);
    }
  }

  #key(key) {
    const each = this.answers.forKey(key);
    if (each) this.answers.press(each);
    else if (this.answers.key(key)) return true;
    else if (key === " ") this.#answer("skipped");
    else if (key === "u") this.#answer("unsure");
    else if (key === "f") this.#answer("flagged");
    else if (key === "n") this.current && this.note.open();
    else if (key === "z") this.#undo();
    else if (key === "h") this.side.toggleGuidelines();
    else if (key === "m") this.#toggleOpinion();
    else if (key === "?") showKeys(this.root, this.kind.keys);
    else if (key === "/") return this.answers.focusSearch();
    else if (key === "Escape") return this.#back();
    else return false;
    return true;
  }

  #editClasses() {
    new ClassEditor(this.api, this.question, (question) => this.#setQuestion(question)).open(this.root);
  }

  #chooseColumns() {
    chooseColumns(this.root, this.api, this.item.layout, (layout) => this.item.setLayout(layout));
  }

  #showFirstClasses() {
    if (this.firstClasses) return;
    const done = (question) => {
      this.question = question;
      begin.disabled = false;
      this.answers.setClasses(question.classes);
      this.history.setClasses(question.classes);
      this.side.setQuestion(question);
    };
    const editor = new ClassEditor(this.api, this.question, done);
    this.firstClasses = editor;
    const begin = el("button", { type: "button", class: "strong begin", text: "Start labelling", disabled: true, onclick: () => this.#begin() });
    this.item.clear(el("div", { class: "first-classes" }, el("h2", { text: "Which answers are possible?" }), el("p", { class: "quiet", text: "Name the classes. They can be renamed, merged, reordered and added to at any time; answers are carried along." }), editor.root, begin));
    this.why.textContent = "";
  }

  // From the first classes to the first item.
  #begin() {
    this.firstClasses = null;
    this.#setQuestion(this.question);
    if (this.current) this.#show(this.current);
    else if (this.ready) this.#next();
  }

  #showNothing() {
    this.why.textContent = "";
    if (!this.exhausted) return this.item.clear(el("p", { class: "quiet", text: "The next items are on their way …" }));
    const { n_items: n, n_answered: answered } = this.side.status ?? { n_items: 0, n_answered: 0 };
    const left = n - answered;
    const page = (name) => `/p/${encodeURIComponent(this.slug)}/${name}`;
    const text = left > 0 ? `${left} items have no answer: you skipped them or were unsure, or they are promised to another person or tab just now.` : "Every item has an answer.";
    this.item.clear(
      el("h2", { text: left > 0 ? "Nothing is left to ask you" : "All done" }),
      el("p", { class: "quiet", text }),
      el("p", {}, el("a", { href: page("model"), text: "See how good the model is" }), el("a", { href: page("export"), text: "Export labels and classifier" })),
    );
  }

  #say(text) {
    this.message.textContent = text;
    this.message.classList.add("shown");
    clearTimeout(this.saying);
    this.saying = setTimeout(() => this.message.classList.remove("shown"), 3500);
  }

  close() {
    this.stop();
    this.item.close();
    this.outbox?.close();
    clearTimeout(this.timer);
  }
}
