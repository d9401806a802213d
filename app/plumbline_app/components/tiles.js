// Items in the size of stamps, several at once: pointed at, marked and answered by mouse, touch or keys.
const CSS = `
:host { font: 13px/1.4 var(--pl-font); color: var(--pl-ink); }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(148px, 1fr)); gap: 10px; }
.tile { position: relative; display: flex; flex-direction: column; gap: 4px; padding: 8px; text-align: left; font: inherit; color: inherit;
  background: var(--pl-surface); border: 1px solid var(--pl-line); border-radius: var(--pl-radius); cursor: pointer; min-height: 64px; }
.tile:hover { border-color: var(--pl-control); }
.tile:focus-visible { outline: 3px solid var(--pl-focus); outline-offset: 1px; }
.tile > img { display: block; width: 100%; height: 84px; object-fit: contain; border-radius: 4px; background: var(--pl-raised); }
.words { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; overflow-wrap: anywhere; }
.note { color: var(--pl-muted); font-size: 12px; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.chip { display: inline-flex; align-items: center; gap: 6px; min-width: 0; font-weight: 700; }
.chip > i { flex: none; width: 11px; height: 11px; border-radius: 3px; border: 1px solid rgb(0 0 0 / 0.25); }
.chip > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.tile.marked { background: var(--pl-bad-soft); border-color: var(--pl-bad); }
.tile.marked > .mark { display: inline; }
.mark { display: none; color: var(--pl-bad); font-weight: 700; }
.tile.done { opacity: 0.55; }
.empty { padding: 24px 16px; color: var(--pl-muted); text-align: center; border: 1px dashed var(--pl-line);
  border-radius: var(--pl-radius); white-space: pre-wrap; }
.keys { margin: 0 0 10px; color: var(--pl-muted); }
kbd { font: 700 12px/1 var(--pl-mono); padding: 2px 6px; border: 1px solid var(--pl-control); border-radius: 4px; background: var(--pl-raised); color: var(--pl-ink); }
`;

const make = (tag, className = "", text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};

export function render({ model, el }) {
  const style = make("style");
  style.textContent = CSS;
  const help = make("p", "keys");
  const grid = make("div", "grid");
  const empty = make("div", "empty");
  el.replaceChildren(style, help, grid, empty);
  let at = 0;

  const tiles = () => [...grid.children];
  const send = (action, index) => model.send_msg({ action, index });

  function focus(index) {
    const all = tiles();
    if (!all.length) return;
    at = Math.max(0, Math.min(index, all.length - 1));
    all.forEach((tile, i) => (tile.tabIndex = i === at ? 0 : -1));
    all[at].focus();
  }

  function toggle(index) {
    if (!model.markable) return;
    const marked = new Set(model.marked);
    if (!marked.delete(index)) marked.add(index);
    model.marked = [...marked].sort((a, b) => a - b);
    mark();
  }

  function mark() {
    const marked = new Set(model.marked);
    const done = new Set(model.done);
    tiles().forEach((tile, index) => {
      tile.classList.toggle("marked", marked.has(index));
      tile.classList.toggle("done", done.has(index));
      if (model.markable) tile.setAttribute("aria-pressed", String(marked.has(index)));
    });
  }

  function act(key, index) {
    if (key === "x" && model.markable) return toggle(index), true;
    if (key === "Enter") return send("open", index), true;
    if (key in model.item_keys) {
      send(model.item_keys[key], index);
      if (index + 1 < tiles().length) focus(index + 1);
      return true;
    }
    return false;
  }

  function step(key, index) {
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
    if (by === undefined) return false;
    focus(index + by);
    return true;
  }

  function drawTile(given, index) {
    const tile = make("button", "tile");
    tile.type = "button";
    tile.dataset.item = given.item;
    tile.tabIndex = index === at ? 0 : -1;
    if (given.image) {
      const image = make("img");
      image.loading = "lazy";
      image.decoding = "async";
      image.alt = given.words;
      image.src = given.image;
      tile.append(image);
    }
    if (given.words && !given.image) tile.append(make("span", "words", given.words));
    if (given.chip) {
      const chip = make("span", "chip");
      const dot = make("i");
      dot.style.background = given.chip.color;
      chip.append(dot, make("span", "", given.chip.text));
      tile.append(chip);
    }
    if (given.note) tile.append(make("span", "note", given.note));
    tile.append(make("span", "mark", model.mark_word));
    tile.title = `${given.words} · ${given.note ?? ""}`;
    tile.addEventListener("click", (event) => {
      at = index;
      if (model.markable && !event.altKey) toggle(index);
      else send("open", index);
    });
    tile.addEventListener("dblclick", () => send("open", index));
    return tile;
  }

  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = tiles().indexOf(event.target.closest(".tile"));
    if (index < 0 || (event.repeat && !event.key.startsWith("Arrow"))) return;
    if (step(event.key, index) || act(event.key, index)) {
      event.preventDefault();
      event.stopPropagation();
    }
  });

  function onPage(event) {
    const target = event.composedPath()[0];
    const typing = target instanceof Element && target.closest("input, textarea, select, [contenteditable=true]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.defaultPrevented) return;
    const action = model.page_keys[event.key];
    if (!action || !el.isConnected || el.getClientRects().length === 0) return;
    event.preventDefault();
    send(action, -1);
  }
  document.addEventListener("keydown", onPage);
  model.on("remove", () => document.removeEventListener("keydown", onPage));

  function draw() {
    at = 0;
    grid.replaceChildren(...model.tiles.map(drawTile));
    grid.setAttribute("role", "group");
    grid.setAttribute("aria-label", model.caption);
    grid.hidden = !model.tiles.length;
    empty.hidden = model.tiles.length > 0;
    empty.textContent = model.empty;
    help.hidden = !model.tiles.length || !model.help.length;
    help.replaceChildren();
    model.help.forEach(([key, words], i) => {
      if (i) help.append(" · ");
      help.append(make("kbd", "", key), ` ${words}`);
    });
    mark();
  }

  let asked = false;
  const soon = () => {
    if (asked) return;
    asked = true;
    queueMicrotask(() => {
      asked = false;
      draw();
    });
  };
  for (const name of ["tiles", "caption", "empty", "help"]) model.on(name, soon);
  for (const name of ["marked", "done"]) model.on(name, mark);
  draw();
}
