// The strip of last answers, newest first: what it was, what was said, and whether it is saved.

import { TINY_PX, el, pressed } from "./dom.js";

const SHOWN = 24;
const STATES = { skipped: "skipped", unsure: "unsure", flagged: "flagged" };
const SYNC = { saving: "saving", retrying: "not saved, retrying", refused: "refused", saved: "saved" };

// A thumbnail; tiny images keep their pixels sharp.
function stampImage(url) {
  const image = el("img", { src: url, alt: "" });
  image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth <= TINY_PX));
  return image;
}

export class History {
  // said(classes, answer) gives name and colour of an answer.
  constructor(onOpen, said) {
    this.onOpen = onOpen;
    this.said = said;
    this.entries = [];
    this.classes = new Map();
    this.selected = null;
    this.root = el("div", { class: "history", role: "list", "aria-label": "Your last answers, newest first" });
  }

  setClasses(classes) {
    this.classes = new Map(classes.map((each) => [each.id, each]));
    this.#redraw();
  }

  // Entries that the server knows, after those that this tab has not yet had acknowledged.
  setSaved(saved, pending) {
    const open = this.entries.filter((entry) => pending.has(entry.uuid));
    const items = new Set(open.map((entry) => entry.item));
    this.entries = [...open, ...saved.filter((entry) => !items.has(entry.item))];
    this.#redraw();
  }

  add(entry) {
    const old = this.entries.find((each) => each.item === entry.item);
    this.entries = [{ ...entry, previous: old }, ...this.entries.filter((each) => each !== old)];
    this.#redraw();
  }

  newest() {
    return this.entries.find((entry) => entry.sync !== "refused");
  }

  // Takes an answer back; an earlier one of the same item comes into force again.
  remove(entry) {
    this.entries = this.entries.filter((each) => each !== entry);
    if (entry.previous) this.entries.unshift(entry.previous);
    this.#redraw();
  }

  acknowledge(ack) {
    const entry = this.entries.find((each) => each.uuid === ack.uuid);
    if (!entry) return;
    if (ack.ok) Object.assign(entry, { judgement_id: ack.judgement_id, sync: "saved" });
    else Object.assign(entry, { sync: "refused", reason: ack.reason });
    this.#redraw();
  }

  // While the server does not answer, what is on its way says so.
  setRetrying(retrying) {
    const [from, to] = retrying ? ["saving", "retrying"] : ["retrying", "saving"];
    if (!this.entries.some((entry) => entry.sync === from)) return;
    for (const entry of this.entries) if (entry.sync === from) entry.sync = to;
    this.#redraw();
  }

  select(item) {
    this.selected = item;
    for (const stamp of this.root.querySelectorAll("[data-item]")) stamp.firstChild.classList.toggle("open", Number(stamp.dataset.item) === item);
  }

  #redraw() {
    const kept = new Map(Array.from(this.root.children, (stamp) => [stamp.dataset.state, stamp]));
    const stamps = this.entries.slice(0, SHOWN).map((entry) => {
      const found = this.said(this.classes, entry.class_id);
      const signature = [entry.uuid, entry.sync, found?.name, found?.color, entry.note].join("\u0000");
      return kept.get(signature) ?? this.#stamp(entry, found, signature);
    });
    if (!stamps.length) stamps.push(el("p", { class: "missing", text: "Your last answers appear here; press one to look at it again." }));
    this.root.replaceChildren(...stamps);
    this.select(this.selected);
  }

  #stamp(entry, found, signature) {
    const said = entry.state === "answered" ? (found?.name ?? "unknown class") : STATES[entry.state];
    const { image, words } = entry.excerpt;
    const picture = image ? stampImage(image) : el("span", { class: "words", text: words, dir: "auto" });
    const button = el(
      "button",
      {
        type: "button",
        class: `stamp ${entry.sync} ${entry.state}`,
        style: { "--class": found?.color ?? "var(--pl-control)" },
        title: [words, said, SYNC[entry.sync], entry.reason, entry.note && `note: ${entry.note}`].filter(Boolean).join(" · "),
        "aria-label": `${said}, ${SYNC[entry.sync]}: ${words}. Look at it again`,
      },
      picture,
      el("span", { class: "said" }, el("span", { class: "swatch", "aria-hidden": "true" }), el("span", { text: said, dir: "auto" })),
      entry.sync === "saved" ? (entry.note ? el("span", { class: "badge", text: "✎", "aria-hidden": "true" }) : null) : el("span", { class: "badge", text: entry.sync === "saving" ? "…" : "!", "aria-hidden": "true" }),
    );
    pressed(button, () => this.onOpen(entry));
    return el("div", { role: "listitem", "data-item": String(entry.item), "data-state": signature }, button);
  }
}
