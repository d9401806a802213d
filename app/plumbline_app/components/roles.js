// One row per column of the file: what it is called, what we take it for and why, and the person's choice.
const CSS = `
:host { font: 14px/1.45 var(--pl-font); color: var(--pl-ink); }
.box { overflow: auto; max-height: 420px; border: 1px solid var(--pl-line); border-radius: var(--pl-radius); background: var(--pl-surface); }
table { border-collapse: separate; border-spacing: 0; width: 100%; }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--pl-line); vertical-align: middle; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--pl-raised); color: var(--pl-muted); font-size: 12.5px; white-space: nowrap; }
tbody th { font-weight: 700; max-width: 24ch; overflow-wrap: anywhere; white-space: pre-wrap; }
tbody th small { display: block; font-weight: 400; color: var(--pl-muted); font-size: 12px; }
td { color: var(--pl-muted); font-size: 13px; max-width: 34ch; overflow-wrap: anywhere; }
td.examples { white-space: pre-wrap; color: var(--pl-ink); }
td.examples > div { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
td.role { min-width: 250px; }
select { width: 100%; min-height: var(--pl-touch); padding: 0 8px; font: inherit; font-size: 14px; color: var(--pl-ink); background: var(--pl-raised);
  border: 1px solid var(--pl-control); border-radius: var(--pl-radius); }
select:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 1px; }
select.changed { border-color: var(--pl-primary); background: var(--pl-primary-soft); }
`;

const cell = (tag, className, text) => {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
};

export function render({ model, el }) {
  const style = document.createElement("style");
  style.textContent = CSS;
  const box = document.createElement("div");
  box.className = "box";
  const table = document.createElement("table");
  const [head, body] = [document.createElement("thead"), document.createElement("tbody")];
  const top = document.createElement("tr");
  for (const label of ["Column", "Examples", "Use it as", "Why we think so"]) {
    const heading = cell("th", "", label);
    heading.scope = "col";
    top.append(heading);
  }
  head.append(top);
  const { guesses, roles } = model;
  model.rows.forEach((row, index) => {
    const line = document.createElement("tr");
    const name = cell("th", "", row.name);
    name.scope = "row";
    name.append(cell("small", "", [row.type, row.missing].filter(Boolean).join(", ")));
    const examples = cell("td", "examples", "");
    examples.append(cell("div", "", row.examples));
    const role = cell("td", "role", "");
    const select = document.createElement("select");
    select.setAttribute("aria-label", `Role of column ${row.name}`);
    for (const [value, words] of model.choices) select.append(new Option(words, value));
    select.value = roles[index];
    const mark = () => select.classList.toggle("changed", select.value !== guesses[index]);
    mark();
    select.addEventListener("change", () => {
      mark();
      model.send_msg({ index, role: select.value });
    });
    role.append(select);
    line.append(name, examples, role, cell("td", "reason", row.reason));
    body.append(line);
  });
  table.append(head, body);
  box.append(table);
  el.replaceChildren(style, box);
}
