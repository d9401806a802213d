// What people say about the item on the screen. Read when the pane is open, so that labelling asks for nothing more.

import { el, pressed, uuid } from "./dom.js";

export class Comments {
  constructor(api) {
    this.api = api;
    this.item = null;
    this.list = el("ul", { class: "comments" });
    this.field = el("textarea", { rows: 3, maxLength: 10000, class: "comment-field", "aria-label": "Comment", placeholder: "Say something about this item" });
    this.problem = el("p", { class: "quiet", role: "status" });
    const send = el("button", { type: "button", class: "choose", text: "Comment" });
    pressed(send, () => this.#send());
    this.root = el("div", { class: "pane", id: "pl-pane-comments", role: "tabpanel", hidden: true }, this.list, this.field, el("div", { class: "row" }, send), this.problem);
  }

  setItem(item) {
    this.item = item;
    if (!this.root.hidden) this.load();
  }

  async load() {
    const item = this.item;
    this.list.replaceChildren();
    this.problem.textContent = "";
    if (item === null) return;
    try {
      const said = await this.api.get(this.#path(item));
      if (item === this.item) this.list.replaceChildren(...said.map((each) => this.#comment(each)));
      if (item === this.item && !said.length) this.problem.textContent = "Nobody has said anything about this item.";
    } catch (error) {
      this.problem.textContent = `Not read: ${error.message}`;
    }
  }

  #path(item) {
    return `../items/${item}/comments`;
  }

  #comment({ author, text, at, resolved_by: by }) {
    const when = new Date(at).toLocaleString();
    const head = el("p", { class: "quiet" }, el("strong", { text: author, dir: "auto" }), el("span", { text: ` · ${when}${by ? ` · settled by ${by}` : ""}` }));
    return el("li", {}, head, el("p", { class: "guideline", text, dir: "auto" }));
  }

  async #send() {
    const text = this.field.value.trim();
    if (!text || this.item === null) return;
    this.pending ??= uuid(); // kept until it is acknowledged: sending again records it once
    try {
      await this.api.post(this.#path(this.item), { text, uuid: this.pending });
      this.pending = undefined;
      this.field.value = "";
      await this.load();
    } catch (error) {
      this.problem.textContent = `Not kept: ${error.message}`;
    }
  }
}
