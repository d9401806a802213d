// Which columns a person wants to see of each item, and which two of them to plot.

import { el, openDialog } from "./dom.js";

export function chooseColumns(root, api, layout, onLayout) {
  const boxes = layout.all.map((name) => {
    const box = el("input", { type: "checkbox", value: name, checked: layout.columns.includes(name) });
    return [box, el("label", { class: "check" }, box, el("span", { text: name, dir: "auto" }))];
  });
  const axis = (label, chosen) => {
    const select = el("select", { "aria-label": label }, ...layout.numeric.map((name) => el("option", { value: name, text: name, selected: name === chosen })));
    return [select, el("label", { class: "axis" }, el("span", { text: label }), select)];
  };
  const [x, xField] = axis("Across", layout.axes[0]);
  const [y, yField] = axis("Up", layout.axes[1]);
  const problem = el("p", { class: "problem-line", role: "alert" });
  const save = async () => {
    const columns = boxes.filter(([box]) => box.checked).map(([box]) => box.value);
    try {
      onLayout(await api.post("columns", { columns, axes: layout.numeric.length > 1 ? [x.value, y.value] : [] }));
      dialog.close();
    } catch (error) {
      problem.textContent = `Not saved: ${error.message}`;
    }
  };
  const content = el(
    "div",
    {},
    el("p", { class: "quiet", text: "Remembered for you in this project. A label that came with the data is never shown here." }),
    el("div", { class: "checks" }, ...boxes.map(([, label]) => label)),
    layout.numeric.length > 1 ? el("div", { class: "axes" }, xField, yField) : null,
    problem,
    el("div", { class: "sheet-actions" }, el("button", { type: "button", text: "Cancel", onclick: () => dialog.close() }), el("button", { type: "button", class: "strong", text: "Show these", onclick: save })),
  );
  const dialog = openDialog(root, "", "Columns", content);
}
