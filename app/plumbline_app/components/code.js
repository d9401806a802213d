// A box of code. Copying falls back to a selection where the clipboard is closed (a page served without TLS).
const CSS = `
.code { position: relative; border: 1px solid var(--pl-line); border-radius: var(--pl-radius); background: var(--pl-raised); }
pre { margin: 0; padding: 14px 96px 14px 16px; overflow: auto; font: 13px/1.6 var(--pl-mono); color: var(--pl-ink); }
pre:focus-visible, button:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 1px; }
button { position: absolute; top: 6px; right: 6px; min-width: 72px; min-height: var(--pl-touch); font: 13px var(--pl-font); color: var(--pl-ink);
  background: var(--pl-surface); border: 1px solid var(--pl-control); border-radius: var(--pl-radius); cursor: pointer; }
`;

export function render({ model, el }) {
  el.innerHTML = `<style></style><div class="code"><pre tabindex="0"></pre><button type="button">Copy</button></div>`;
  const [style, lines, button] = ["style", "pre", "button"].map((s) => el.querySelector(s));
  style.textContent = CSS;
  const draw = () => {
    lines.textContent = model.text;
    lines.setAttribute("aria-label", model.label);
  };
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(model.text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(lines);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1600);
  });
  model.on("text", draw);
  model.on("label", draw);
  draw();
}
