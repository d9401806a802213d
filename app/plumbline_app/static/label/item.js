// One item, large: its images, its texts, its columns with plots. Everything is shown as text.

import { TINY_PX, el, pressed } from "./dom.js";
import { drawHistogram, drawScatter, shortNumber } from "./plots.js";

export class ItemView {
  constructor(api, layout, onColumns) {
    this.api = api;
    this.layout = layout;
    this.onColumns = onColumns;
    this.sample = new Map();
    this.images = new Map();
    this.root = el("div", { class: "item" });
    this.redraw = () => this.item && this.show(this.item);
    addEventListener("plumbline-theme", this.redraw);
    this.resized = new ResizeObserver(() => this.#draw());
    this.resized.observe(this.root);
  }

  // Have the browser fetch and decode the images of items that come next.
  prepare(items) {
    for (const item of items) {
      for (const image of item.images) {
        if (this.images.has(image.url)) continue;
        const element = el("img", { src: image.url, alt: "", decoding: "sync", draggable: false });
        element.addEventListener("load", () => {
          const side = Math.max(element.naturalWidth, element.naturalHeight);
          element.classList.toggle("tiny", side <= TINY_PX);
          element.style.setProperty("--pixels", side);
        });
        element.addEventListener("error", () => element.classList.add("broken"));
        element.decode().catch(() => {});
        this.images.set(image.url, element);
      }
    }
    while (this.images.size > 60) this.images.delete(this.images.keys().next().value);
  }

  show(item) {
    this.item = item;
    this.prepare([item]);
    const main = [...item.images.map((image) => this.#image(item, image)), ...item.texts.map((text) => this.#text(text, item.texts.length > 1))];
    const cells = this.layout.columns.filter((name) => Object.hasOwn(item.cells, name));
    const parts = [];
    if (main.length) parts.push(el("div", { class: "main-part" }, ...main));
    if (this.layout.all.length > 1 || !main.length) parts.push(this.#table(item, cells, main.length > 0));
    this.root.className = `item ${main.length ? "with-main" : "table-only"}`;
    this.root.replaceChildren(...parts);
    this.#draw();
  }

  clear(...content) {
    this.item = null;
    this.root.className = "item words";
    this.root.replaceChildren(...content);
  }

  async setLayout(layout) {
    this.layout = layout;
    const wanted = layout.numeric.filter((name) => layout.columns.includes(name) || layout.axes.includes(name));
    const missing = wanted.filter((name) => !this.sample.has(name));
    if (missing.length) {
      const query = missing.map((name) => `columns=${encodeURIComponent(name)}`).join("&");
      const values = await this.api.get(`background?${query}`);
      for (const [name, sample] of Object.entries(values)) this.sample.set(name, sample);
    }
    this.redraw();
  }

  #image(item, image) {
    const element = this.images.get(image.url);
    element.alt = `${image.name} of ${item.key}`;
    const failed = el("p", { class: "image-failed", text: "This image could not be shown. Flag the item (f) if it is broken." });
    return el("figure", {}, element, failed);
  }

  #text(text, named) {
    const parts = [];
    if (named) parts.push(el("h3", { text: text.name }));
    if (text.missing) parts.push(el("p", { class: "missing", text: "no text" }));
    else parts.push(el("div", { class: "text", dir: "auto", tabIndex: 0, text: text.text }));
    if (text.length > text.text.length) {
      parts.push(el("p", { class: "missing", text: `the first ${text.text.length.toLocaleString("en")} of ${text.length.toLocaleString("en")} characters` }));
    }
    return el("section", { class: "text-part" }, ...parts);
  }

  #table(item, cells, besideMain) {
    const numeric = new Set(this.layout.numeric);
    const rows = cells.map((name) => {
      const value = item.cells[name];
      const shown = value === null || value === undefined ? "missing" : typeof value === "number" ? shortNumber(value) : String(value);
      const plot = numeric.has(name) ? el("canvas", { class: "histogram", "data-column": name, role: "img", "aria-label": `${name}: where ${shown} lies in the pool` }) : null;
      return el(
        "div",
        { class: numeric.has(name) ? "cell numeric" : "cell" },
        el("span", { class: "name", text: name, title: name }),
        el("span", { class: value === null || value === undefined ? "value missing" : "value", text: shown, title: String(value ?? "missing"), dir: "auto" }),
        plot,
      );
    });
    const choose = el("button", { type: "button", class: "choose", text: "Columns …", title: "Choose what is shown of each item" });
    pressed(choose, () => this.onColumns());
    const [x, y] = this.layout.axes;
    const scatter = !besideMain && x && y ? this.#scatter(x, y) : null;
    return el("div", { class: rows.length ? "columns-part" : "columns-part bare" }, scatter, el("div", { class: "cells", tabIndex: rows.length > 8 ? 0 : -1 }, ...rows), choose);
  }

  #scatter(x, y) {
    return el(
      "figure",
      { class: "scatter" },
      el("figcaption", {}, el("span", { text: `↑ ${y}` }), el("span", { text: `${x} →` })),
      el("canvas", { "data-x": x, "data-y": y, role: "img", "aria-label": `${y} against ${x}: this item among a sample of the pool` }),
    );
  }

  #draw() {
    if (!this.item) return;
    const number = (name) => (typeof this.item.cells[name] === "number" ? this.item.cells[name] : NaN);
    for (const canvas of this.root.querySelectorAll("canvas")) {
      const { column, x, y } = canvas.dataset;
      if (!canvas.clientWidth) continue;
      if (column) drawHistogram(canvas, this.sample.get(column) ?? [], number(column));
      else drawScatter(canvas, this.sample.get(x) ?? [], this.sample.get(y) ?? [], number(x), number(y));
    }
  }

  close() {
    removeEventListener("plumbline-theme", this.redraw);
    this.resized.disconnect();
  }
}
