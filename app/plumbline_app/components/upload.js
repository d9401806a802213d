// A file goes to the server as the raw body of one request, so that its size is no matter of memory.
const CSS = `
:host { font: 14px/1.5 var(--pl-font); color: var(--pl-ink); }
.drop { display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 6px; min-height: 300px;
  padding: 20px; text-align: center; border: 2px dashed var(--pl-control); border-radius: var(--pl-radius); background: var(--pl-raised); }
.drop.over { border-color: var(--pl-primary); background: var(--pl-primary-soft); }
.drop strong { font-size: 15px; }
.quiet { color: var(--pl-muted); font-size: 13px; }
button, .pick { display: inline-flex; align-items: center; justify-content: center; min-height: var(--pl-touch); padding: 0 18px;
  margin-top: 6px; border: 1px solid var(--pl-primary); border-radius: var(--pl-radius); background: var(--pl-primary);
  color: var(--pl-on-primary); font: inherit; font-weight: 700; cursor: pointer; }
button.cancel { background: transparent; color: var(--pl-ink); border-color: var(--pl-control); font-weight: 400; }
input { position: absolute; width: 1px; height: 1px; opacity: 0; }
input:focus-visible + .pick, button:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 2px; }
.name { max-width: 100%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 700; }
progress { width: 100%; max-width: 420px; height: 10px; accent-color: var(--pl-primary); }
.bad { color: var(--pl-bad); overflow-wrap: anywhere; }
[hidden] { display: none !important; }
`;
const UNITS = ["B", "KiB", "MiB", "GiB"];

function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

function reason(request) {
  try {
    const answer = JSON.parse(request.responseText);
    return answer.error ?? answer.detail;
  } catch {
    return request.statusText || `status ${request.status}`;
  }
}

export function render({ model, el }) {
  el.innerHTML = `<style></style>
    <div class="drop">
      <div class="choose">
        <strong>Drop a file here</strong>
        <div class="quiet kinds"></div>
        <label><input type="file" aria-label="Choose a file to import"><span class="pick">Choose a file</span></label>
        <div class="bad" role="alert" hidden></div>
      </div>
      <div class="busy" hidden>
        <div class="name"></div>
        <progress max="1" value="0" aria-label="Upload"></progress>
        <div class="quiet" role="status"></div>
        <button type="button" class="cancel">Cancel the upload</button>
      </div>
    </div>`;
  const find = (selector) => el.querySelector(selector);
  find("style").textContent = CSS;
  const [drop, choose, busy, bad] = [".drop", ".choose", ".busy", ".bad"].map(find);
  const [input, name, bar, status, cancel] = ["input", ".name", "progress", "[role=status]", ".cancel"].map(find);
  input.accept = model.accept;
  find(".kinds").textContent = model.kinds;
  busy.style.cssText = "display:flex;flex-direction:column;align-items:center;gap:8px;width:100%";
  let request = null;

  function rest(message = "") {
    request = null;
    input.value = "";
    choose.hidden = false;
    busy.hidden = true;
    bad.hidden = !message;
    bad.textContent = message;
  }

  function send(file) {
    if (request) return;
    choose.hidden = true;
    busy.hidden = false;
    name.textContent = file.name;
    bar.value = 0;
    status.textContent = `0 of ${size(file.size)}`;
    request = new XMLHttpRequest();
    request.open("POST", model.url);
    request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => {
      bar.value = event.lengthComputable && event.total ? event.loaded / event.total : 0;
      status.textContent = `${size(event.loaded)} of ${size(file.size)}`;
    };
    request.upload.onload = () => {
      status.textContent = "The server is checking the file";
    };
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) {
        const { upload } = JSON.parse(request.responseText);
        rest();
        model.send_msg({ upload, name: file.name });
      } else {
        rest(`${file.name} was not taken: ${reason(request)}`);
      }
    };
    request.onerror = () => rest("The upload broke off: the server did not answer. Try again.");
    request.onabort = () => rest("Upload cancelled. Nothing was kept.");
    request.send(file);
  }

  input.addEventListener("change", () => input.files.length && send(input.files[0]));
  cancel.addEventListener("click", () => request && request.abort());
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
  });
  model.on("remove", () => request && request.abort());
}
