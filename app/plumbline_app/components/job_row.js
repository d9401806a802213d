// A bar that says what is being done and how far it is, with a button that stops it.
const CSS = `
:host { font: 14px/1.4 var(--pl-font); color: var(--pl-ink); }
.job { display: grid; grid-template-columns: 1fr auto; align-items: center; gap: 6px 16px; padding: 12px 16px;
  border: 1px solid var(--pl-line); border-radius: var(--pl-radius); background: var(--pl-raised); }
.job > b { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.message { grid-column: 1; color: var(--pl-muted); font-size: 13px; min-height: 1.4em; white-space: pre-wrap; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums; }
.failed .message { color: var(--pl-bad); }
.track { grid-column: 1; height: 8px; border-radius: 4px; background: var(--pl-line); overflow: hidden; }
.track > i { display: block; height: 100%; border-radius: 4px; background: var(--pl-primary); transition: width 0.2s linear; }
.failed .track > i { background: var(--pl-bad); }
.cancelled .track > i { background: var(--pl-control); }
button { grid-column: 2; grid-row: 1 / span 3; min-height: var(--pl-touch); padding: 0 16px; font: inherit; color: var(--pl-ink);
  background: transparent; border: 1px solid var(--pl-control); border-radius: var(--pl-radius); cursor: pointer; }
button:hover { background: var(--pl-surface); }
button:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 2px; }
@media (prefers-reduced-motion: reduce) { .track > i { transition: none; } }
[hidden] { display: none !important; }
`;
const WORDS = { queued: "", running: "", done: "Done", failed: "Failed", cancelled: "Cancelled" };

export function render({ model, el }) {
  el.innerHTML = `<style></style><div class="job"><b></b>
    <div class="track" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
    <div class="message" role="status"></div><button type="button">Cancel</button></div>`;
  const [style, job, heading, track, bar, message, button] =
    ["style", ".job", "b", ".track", ".track > i", ".message", "button"].map((s) => el.querySelector(s));
  style.textContent = CSS;
  button.addEventListener("click", () => {
    button.disabled = true;
    model.send_msg("cancel");
  });

  function draw() {
    const percent = Math.round(100 * model.progress);
    job.className = `job ${model.state}`;
    heading.textContent = model.heading;
    track.setAttribute("aria-label", model.heading);
    track.setAttribute("aria-valuenow", String(percent));
    bar.style.width = `${model.state === "done" ? 100 : percent}%`;
    const words = WORDS[model.state] || `${percent} %`;
    const more = model.message && model.message.toLowerCase() !== words.toLowerCase() ? ` · ${model.message}` : "";
    message.textContent = words + more;
    const running = model.state === "queued" || model.state === "running";
    button.hidden = !(running && model.stoppable);
    if (!running) button.disabled = false;
  }
  for (const name of ["heading", "state", "progress", "message", "stoppable"]) model.on(name, draw);
  draw();
}
