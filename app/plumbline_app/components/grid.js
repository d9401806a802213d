// A table of text: every value goes in by textContent or a checked attribute, never as markup.
const CSS = `
:host { font: 14px/1.45 var(--pl-font); color: var(--pl-ink); }
.box { overflow: auto; border: 1px solid var(--pl-line); border-radius: var(--pl-radius); background: var(--pl-surface); }
.box:focus-visible, tr:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: -2px; }
table { border-collapse: separate; border-spacing: 0; width: 100%; }
th, td { text-align: left; padding: 8px 10px; border-bottom: 1px solid var(--pl-line); vertical-align: middle; }
tr:last-child > td { border-bottom: 0; }
th { position: sticky; top: 0; z-index: 1; background: var(--pl-raised); color: var(--pl-muted); font-size: 12.5px;
  font-weight: 700; white-space: nowrap; max-width: 24ch; overflow: hidden; text-overflow: ellipsis; }
th.k-image { width: 1%; }
th.k-number, td.k-number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.opens { cursor: pointer; }
tr.opens:hover td { background: var(--pl-raised); }
tr.selected td { background: var(--pl-primary-soft); }
tr.selected td:first-child { box-shadow: inset 3px 0 0 var(--pl-primary); }
.clamp { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; overflow-wrap: anywhere;
  white-space: pre-wrap; min-width: 6ch; max-width: 60ch; }
.long { min-width: 26ch; }
.name { max-width: 30ch; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.none { color: var(--pl-muted); }
.empty { padding: 28px 16px; color: var(--pl-muted); text-align: center; }
img { display: block; width: 44px; height: 44px; object-fit: contain; border-radius: 4px; background: var(--pl-raised);
  image-rendering: auto; }
.chip { display: inline-flex; align-items: center; gap: 8px; max-width: 26ch; }
.chip > i { flex: none; width: 11px; height: 11px; border-radius: 3px; border: 1px solid rgb(0 0 0 / 0.25); }
.chip > span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.interval { display: grid; grid-template-columns: 5ch 44px 6ch; align-items: center; gap: 7px; font-variant-numeric: tabular-nums; white-space: nowrap; }
.interval > b { font-weight: 500; text-align: right; }
.interval > small { color: var(--pl-muted); font-size: 12px; }
.track { position: relative; height: 4px; border-radius: 2px; background: var(--pl-grid); }
.track > i { position: absolute; top: 0; bottom: 0; border-radius: 2px; background: var(--pl-primary); opacity: 0.45; }
.track > b { position: absolute; top: -3px; width: 3px; height: 10px; margin-left: -1.5px; border-radius: 1px; background: var(--pl-primary); }
a { color: var(--pl-primary); display: inline-flex; align-items: center; min-height: 28px; }
`;

const make = (tag, className = "", text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};

const none = () => make("span", "none", "–");

function draw(kind, value) {
  if (value === null || value === undefined) return none();
  if (kind === "image") {
    const image = make("img");
    image.loading = "lazy";
    image.decoding = "async";
    image.alt = value.alt;
    image.src = value.src;
    return image;
  }
  if (kind === "chip") {
    const chip = make("span", "chip");
    const dot = make("i");
    dot.style.background = value.color;
    chip.append(dot, make("span", "", value.text));
    chip.title = value.text;
    return chip;
  }
  if (kind === "interval") {
    const cell = make("div", "interval");
    const track = make("span", "track");
    const [range, dot] = [make("i"), make("b")];
    range.style.left = `${100 * value.low}%`;
    range.style.width = `${100 * (value.high - value.low)}%`;
    dot.style.left = `${100 * value.value}%`;
    track.append(range, dot);
    cell.append(make("b", "", value.text), track, make("small", "", value.note));
    cell.title = value.hint;
    return cell;
  }
  if (kind === "link") {
    const link = make("a", "", value.text);
    link.href = value.href;
    if (value.download) link.download = "";
    return link;
  }
  if (kind === "number") return document.createTextNode(String(value));
  const text = make("div", kind === "name" ? "name" : kind === "long" ? "clamp long" : "clamp", String(value));
  text.title = String(value).slice(0, 600);
  return text;
}

export function render({ model, el }) {
  const style = make("style");
  style.textContent = CSS;
  const box = make("div", "box");
  el.replaceChildren(style, box);

  function open(index) {
    model.send_msg({ open: index });
  }

  function drawRow(cells, index) {
    const row = make("tr");
    cells.forEach((value, at) => {
      const kind = model.columns[at].kind;
      const cell = make("td", `k-${kind}`);
      cell.append(draw(kind, value));
      row.append(cell);
    });
    if (model.opens) {
      row.classList.add("opens");
      row.tabIndex = 0;
      row.addEventListener("click", () => open(index));
      row.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          open(index);
        }
        const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
        if (next) {
          event.preventDefault();
          next.focus();
        }
      });
    }
    return row;
  }

  function mark() {
    [...box.querySelectorAll("tbody tr")].forEach((row, index) => {
      row.classList.toggle("selected", index === model.selected);
      if (model.opens) row.setAttribute("aria-expanded", String(index === model.selected));
    });
  }

  function drawAll() {
    box.style.maxHeight = model.rows_height ? `${model.rows_height}px` : "";
    box.tabIndex = model.rows_height ? 0 : -1;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", model.caption);
    const table = make("table");
    const head = make("tr");
    for (const column of model.columns) {
      const cell = make("th", `k-${column.kind}`, column.label);
      cell.scope = "col";
      cell.title = column.hint || column.label;
      head.append(cell);
    }
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    body.append(...model.rows.map(drawRow));
    table.append(top, body);
    box.replaceChildren(table);
    if (!model.rows.length) box.append(make("div", "empty", model.empty));
    box.scrollTop = 0;
    mark();
  }

  let asked = false;
  const soon = () => {
    if (asked) return;
    asked = true;
    queueMicrotask(() => {
      asked = false;
      drawAll();
    });
  };
  for (const name of ["columns", "rows", "empty", "caption", "rows_height"]) model.on(name, soon);
  model.on("selected", mark);
  drawAll();
}
