// Elements without HTML: whatever comes from data is set as text, so it can never become markup.

export const TINY_PX = 128; // Images up to this size are shown with sharp pixels: smoothing would invent what is not there.

export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "style") for (const [key, part] of Object.entries(value)) node.style.setProperty(key, part);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && !name.startsWith("aria")) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// A button with a key hint. A click by mouse or finger gives the focus back, so that the space bar stays "skip".
export function keyButton(name, label, key, onPress, extra = {}) {
  const button = el("button", { type: "button", class: `key-button ${name}`, title: extra.title }, el("span", { text: label }));
  if (key) button.append(el("kbd", { text: key, "aria-hidden": "true" }));
  if (key) button.setAttribute("aria-keyshortcuts", key === "space" ? "Space" : key);
  pressed(button, onPress);
  return button;
}

// The second click of a double click is not another answer: nobody has read the next item so soon.
const DOUBLE_CLICK_MS = 300;

export function pressed(button, onPress) {
  let last = -Infinity;
  button.addEventListener("click", (event) => {
    const again = event.detail > 1 && event.timeStamp - last < DOUBLE_CLICK_MS;
    last = event.timeStamp;
    if (event.detail > 0) button.blur();
    if (again) return;
    onPress(event);
  });
}

export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const percent = (value) => `${(100 * value).toFixed(value > 0.995 || value < 0.005 ? 1 : 0)} %`;
export const count = (value) => value.toLocaleString("en");

// Dialogs of the card: native, so that the page behind is inert and Escape closes.
export function openDialog(root, className, title, content, onClose = () => {}) {
  const close = () => dialog.close();
  const dialog = el(
    "dialog",
    { class: `sheet ${className}`, "aria-label": title },
    el("div", { class: "sheet-head" }, el("h2", { text: title }), el("button", { type: "button", class: "icon", text: "×", "aria-label": "Close", onclick: close })),
    content,
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    onClose();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  root.append(dialog);
  dialog.showModal();
  return dialog;
}
