// The map: points drawn by WebGL2 from two buffers (coordinates, one byte of colour), or a picture from the server.
const CSS = `
:host { font: 13px/1.4 var(--pl-font); color: var(--pl-ink); }
.bar { display: flex; flex-wrap: wrap; gap: 6px; margin-bottom: 8px; }
.bar button { min-height: var(--pl-touch); min-width: var(--pl-touch); padding: 0 14px; font: inherit; color: var(--pl-ink); background: var(--pl-surface);
  border: 1px solid var(--pl-control); border-radius: var(--pl-radius); cursor: pointer; }
.bar button[aria-pressed=true] { background: var(--pl-primary); border-color: var(--pl-primary); color: var(--pl-on-primary); font-weight: 700; }
.bar button:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 2px; }
.bar .say { align-self: center; margin-left: auto; color: var(--pl-muted); }
.stage { position: relative; height: 600px; overflow: hidden; border: 1px solid var(--pl-line); border-radius: var(--pl-radius); background: var(--pl-surface);
  touch-action: none; }
.stage:focus-visible { outline: 2px solid var(--pl-focus); outline-offset: 2px; }
.stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.stage.lasso, .stage.box { cursor: crosshair; }
.stage.pan { cursor: grab; }
ul { display: flex; flex-wrap: wrap; gap: 2px 6px; margin: 8px 0 0; padding: 0; list-style: none; }
li > button { display: inline-flex; align-items: center; gap: 6px; min-height: 32px; padding: 0 8px; font: inherit; color: inherit; cursor: pointer;
  background: none; border: 1px solid transparent; border-radius: var(--pl-radius); font-variant-numeric: tabular-nums; }
li > button:disabled { cursor: default; }
li > button:hover:enabled, li > button[aria-pressed=true] { border-color: var(--pl-control); background: var(--pl-raised); }
li > button:focus-visible { outline: 2px solid var(--pl-focus); }
li i { width: 12px; height: 12px; border-radius: 50%; border: 1px solid rgb(0 0 0 / 0.25); }
li small { color: var(--pl-muted); font-size: 12px; }
`;
const VERTEX = `#version 300 es
in vec2 place;
in uint colour;
uniform vec2 offset;
uniform vec2 scale;
uniform float size;
uniform bool known;
uniform int only;
uniform sampler2D palette;
out vec4 ink;
void main() {
  bool drawn = (colour != 0u) == known && (only < 0 || int(colour) == only);
  gl_Position = drawn ? vec4((place - offset) * scale, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = known ? size * 1.5 : size;
  ink = texelFetch(palette, ivec2(int(colour), 0), 0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 ink;
out vec4 shown;
void main() {
  vec2 from = gl_PointCoord - 0.5;
  if (dot(from, from) > 0.25) discard;
  shown = ink;
}`;
const MARGIN = 0.02;
const CLICK_PX = 5;
const REACH_PX = 12;
const STEP_PX = 3;
const SETTLE_MS = 120;
const ZOOM = 1.3;

const make = (tag, className = "", text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
};

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

class Points {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, preserveDrawingBuffer: true });
    this.n = 0;
    if (this.gl) this.prepare();
  }

  prepare() {
    const gl = this.gl;
    const program = (this.program = gl.createProgram());
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    this.at = Object.fromEntries(["offset", "scale", "size", "known", "only", "palette"].map((name) => [name, gl.getUniformLocation(program, name)]));
    [this.places, this.colours] = [gl.createBuffer(), gl.createBuffer()];
    this.bind("place", this.places, (where) => gl.vertexAttribPointer(where, 2, gl.FLOAT, false, 0, 0));
    this.bind("colour", this.colours, (where) => gl.vertexAttribIPointer(where, 1, gl.UNSIGNED_BYTE, 0, 0));
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
    gl.uniform1i(this.at.palette, 0);
  }

  bind(name, buffer, point) {
    const where = this.gl.getAttribLocation(this.program, name);
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
    this.gl.enableVertexAttribArray(where);
    point(where);
  }

  place(coordinates) {
    this.n = coordinates.length / 2;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.places);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, coordinates, this.gl.STATIC_DRAW);
    this.colour(new Uint8Array(this.n));
  }

  colour(indices) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.colours);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, indices, this.gl.DYNAMIC_DRAW);
  }

  palette(colours) {
    const data = new Uint8Array(256 * 4).fill(255);
    colours.forEach((hex, i) => data.set(rgb(hex), 4 * i));
    this.gl.texImage2D(this.gl.TEXTURE_2D, 0, this.gl.RGBA, 256, 1, 0, this.gl.RGBA, this.gl.UNSIGNED_BYTE, data);
  }

  draw(view, ground, only) {
    const gl = this.gl;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...rgb(ground).map((part) => part / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.at.offset, (view.x0 + view.x1) / 2, (view.y0 + view.y1) / 2);
    gl.uniform2f(this.at.scale, 2 / (view.x1 - view.x0), 2 / (view.y1 - view.y0));
    const dense = this.n > 20000 ? 3 : this.n > 2000 ? 5 : 7;
    gl.uniform1f(this.at.size, dense * (window.devicePixelRatio || 1));
    gl.uniform1i(this.at.only, only);
    for (const known of [0, 1]) {
      gl.uniform1i(this.at.known, known);
      gl.drawArrays(gl.POINTS, 0, this.n);
    }
  }
}

export function render({ model, el }) {
  el.replaceChildren();
  const style = make("style");
  style.textContent = CSS;
  const bar = make("div", "bar");
  const stage = make("div", "stage");
  stage.tabIndex = 0;
  stage.setAttribute("role", "application");
  stage.setAttribute("aria-label", "Map of the pool: arrows move, plus and minus zoom, 0 shows all, l draws a lasso, b a box");
  const [base, over] = [make("canvas"), make("canvas")];
  stage.append(base, over);
  const legend = make("ul");
  el.append(style, bar, stage, legend);
  const pen = over.getContext("2d");
  let drawing = model.raster ? null : new Points(base);
  if (drawing && !drawing.gl) drawing = null; // no WebGL2 here: the server draws
  const picture = { image: null, view: null, asked: 0 };
  let view = { x0: 0, x1: 1, y0: 0, y1: 1 };
  let mode = "pan";
  let hand = null;
  let line = [];
  let only = -1; // index of the legend that is shown alone

  const say = make("span", "say");
  say.setAttribute("role", "status");
  const modes = { pan: "Move", lasso: "Lasso", box: "Box" };
  const buttons = Object.entries(modes).map(([name, words]) => {
    const button = make("button", "", words);
    button.type = "button";
    button.addEventListener("click", () => setMode(name));
    button.dataset.mode = name;
    return button;
  });
  const tool = (words, label, act) => {
    const button = make("button", "", words);
    button.type = "button";
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  };
  bar.append(
    ...buttons,
    tool("+", "Zoom in", () => zoom(1 / ZOOM)),
    tool("−", "Zoom out", () => zoom(ZOOM)),
    tool("All", "Show all", () => fit()),
    say,
  );

  function setMode(name) {
    mode = name;
    stage.className = `stage ${name}`;
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.mode === name)));
  }

  const ink = (name) => getComputedStyle(stage).getPropertyValue(`--pl-${name}`).trim();
  const toMap = (event) => {
    const box = stage.getBoundingClientRect();
    return [
      view.x0 + ((event.clientX - box.left) / box.width) * (view.x1 - view.x0),
      view.y1 - ((event.clientY - box.top) / box.height) * (view.y1 - view.y0),
    ];
  };
  const toScreen = ([x, y]) => [
    ((x - view.x0) / (view.x1 - view.x0)) * over.width,
    ((view.y1 - y) / (view.y1 - view.y0)) * over.height,
  ];

  function fit() {
    const wide = stage.clientWidth / Math.max(stage.clientHeight, 1);
    const half = 0.5 + MARGIN;
    const [x, y] = wide > 1 ? [half * wide, half] : [half, half / wide];
    view = { x0: 0.5 - x, x1: 0.5 + x, y0: 0.5 - y, y1: 0.5 + y };
    draw();
  }

  function zoom(by, [x, y] = [(view.x0 + view.x1) / 2, (view.y0 + view.y1) / 2]) {
    view = { x0: x + (view.x0 - x) * by, x1: x + (view.x1 - x) * by, y0: y + (view.y0 - y) * by, y1: y + (view.y1 - y) * by };
    draw();
  }

  function move(dx, dy) {
    view = { x0: view.x0 + dx, x1: view.x1 + dx, y0: view.y0 + dy, y1: view.y1 + dy };
    draw();
  }

  let frame = 0;
  function draw() {
    if (frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      if (drawing) drawing.draw(view, ink("surface"), only);
      else askPicture();
      drawOver();
    });
  }

  function trace(corners) {
    pen.beginPath();
    corners.map(toScreen).forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.globalAlpha = 0.12;
    pen.fill();
    pen.globalAlpha = 1;
    pen.stroke();
  }

  function drawOver() {
    pen.clearRect(0, 0, over.width, over.height);
    if (!drawing && picture.image) {
      const [left, top] = toScreen([picture.view.x0, picture.view.y1]);
      const [right, bottom] = toScreen([picture.view.x1, picture.view.y0]);
      pen.drawImage(picture.image, left, top, right - left, bottom - top);
    }
    pen.lineWidth = 2;
    pen.strokeStyle = pen.fillStyle = ink("primary");
    if (line.length) trace(line);
    else if (model.outline.length) trace(model.outline);
    pen.strokeStyle = ink("ink");
    for (const place of model.marks) {
      const [x, y] = toScreen(place);
      pen.beginPath();
      pen.arc(x, y, 7, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  let wait = 0;
  function askPicture() {
    clearTimeout(wait);
    wait = setTimeout(fetchPicture, picture.image ? SETTLE_MS : 0);
  }

  async function fetchPicture() {
    const number = ++picture.asked;
    const seen = { ...view };
    const query = new URLSearchParams({ layout: model.layout, by: model.by, width: over.width, height: over.height, v: model.colour_version });
    for (const end of [seen.x0, seen.x1, seen.y0, seen.y1]) query.append("view", end);
    try {
      const answer = await get(`picture?${query}`);
      const image = await createImageBitmap(await answer.blob());
      if (number !== picture.asked) return;
      Object.assign(picture, { image, view: seen });
      drawOver();
      painted();
    } catch (error) {
      say.textContent = String(error.message ?? error);
    }
  }

  async function get(path) {
    const answer = await fetch(`/api/projects/${encodeURIComponent(model.slug)}/map/${path}`);
    if (answer.ok) return answer;
    const told = await answer.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answered ${answer.status}`);
  }

  function painted() {
    requestAnimationFrame(() => {
      stage.dataset.painted = `${model.layout}:${model.layout_version}:${model.by}:${model.colour_version}`;
      stage.dataset.count = String((Number(stage.dataset.count) || 0) + 1);
    });
  }

  async function loadPoints() {
    if (!drawing) return fetchPicture();
    try {
      const answer = await get(`points?layout=${encodeURIComponent(model.layout)}&v=${model.layout_version}`);
      drawing.place(new Float32Array(await answer.arrayBuffer()));
      await loadColours();
    } catch (error) {
      say.textContent = String(error.message ?? error);
    }
  }

  async function loadColours() {
    if (!drawing) return fetchPicture();
    const asked = `${model.by}:${model.colour_version}`;
    try {
      const answer = await get(`colours?by=${encodeURIComponent(model.by)}&v=${model.colour_version}`);
      const indices = new Uint8Array(await answer.arrayBuffer());
      if (asked !== `${model.by}:${model.colour_version}`) return; // a newer one is on its way
      drawing.colour(indices);
      drawing.palette(model.legend.map((entry) => entry[1]));
      draw();
      painted();
    } catch (error) {
      say.textContent = String(error.message ?? error);
    }
  }

  function drawLegend() {
    only = -1;
    const entries = model.legend.map((entry, index) => [...entry, index]).filter((entry) => entry[2] > 0);
    legend.replaceChildren(
      ...entries.map(([words, colour, n, index]) => {
        const button = make("button");
        button.type = "button";
        button.title = `Show ${words} alone`;
        button.disabled = !drawing;
        button.setAttribute("aria-pressed", "false");
        const dot = make("i");
        dot.style.background = colour;
        button.append(dot, make("span", "", words), make("small", "", n.toLocaleString("en")));
        button.addEventListener("click", () => {
          only = only === index ? -1 : index;
          for (const each of legend.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button && only >= 0));
          draw();
        });
        const item = make("li");
        item.append(button);
        return item;
      }),
    );
  }

  function select(corners) {
    line = [];
    if (corners.length < 3) return draw();
    model.send_msg({ select: corners });
    draw();
  }

  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    const at = toMap(event);
    hand = { start: at, from: [event.clientX, event.clientY], last: [event.clientX, event.clientY], moved: false, mode: event.shiftKey ? "lasso" : mode };
    line = [];
  });
  stage.addEventListener("pointermove", (event) => {
    if (!hand) return;
    const [dx, dy] = [event.clientX - hand.last[0], event.clientY - hand.last[1]];
    if (Math.hypot(event.clientX - hand.from[0], event.clientY - hand.from[1]) > CLICK_PX) hand.moved = true;
    if (!hand.moved) return;
    if (hand.mode === "pan") {
      hand.last = [event.clientX, event.clientY];
      const box = stage.getBoundingClientRect();
      move((-dx / box.width) * (view.x1 - view.x0), (dy / box.height) * (view.y1 - view.y0));
    } else if (hand.mode === "box") {
      const [[ax, ay], [bx, by]] = [hand.start, toMap(event)];
      line = [[ax, ay], [bx, ay], [bx, by], [ax, by]];
      draw();
    } else if (Math.hypot(dx, dy) >= STEP_PX || !line.length) {
      hand.last = [event.clientX, event.clientY];
      if (!line.length) line.push(hand.start);
      line.push(toMap(event));
      draw();
    }
  });
  stage.addEventListener("pointerup", (event) => {
    if (!hand) return;
    const done = hand;
    hand = null;
    if (!done.moved) {
      const reach = (REACH_PX / stage.clientWidth) * (view.x1 - view.x0);
      model.send_msg({ click: [...toMap(event), reach] });
    } else if (done.mode !== "pan") select(line);
  });
  stage.addEventListener("pointercancel", () => {
    hand = null;
    line = [];
    draw();
  });
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, toMap(event));
  }, { passive: false });
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [w, h] = [(view.x1 - view.x0) / 10, (view.y1 - view.y0) / 10];
    const acts = {
      ArrowLeft: () => move(-w, 0), ArrowRight: () => move(w, 0), ArrowUp: () => move(0, h), ArrowDown: () => move(0, -h),
      "+": () => zoom(1 / ZOOM), "=": () => zoom(1 / ZOOM), "-": () => zoom(ZOOM), 0: fit,
      l: () => setMode("lasso"), b: () => setMode("box"), p: () => setMode("pan"),
      s: () => select([[view.x0, view.y0], [view.x1, view.y0], [view.x1, view.y1], [view.x0, view.y1]]),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  });

  let width = 0;
  const sized = new ResizeObserver(() => {
    const ratio = window.devicePixelRatio || 1;
    const first = width === 0;
    width = stage.clientWidth;
    for (const canvas of [base, over]) {
      canvas.width = Math.max(1, Math.round(stage.clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(stage.clientHeight * ratio));
    }
    if (first) {
      fit();
      loadPoints();
    } else draw();
  });
  sized.observe(stage);
  model.on("remove", () => sized.disconnect());
  // Several properties change together: what they ask for is fetched once.
  let due = null;
  const soon = (load) => {
    if (!due) queueMicrotask(() => {
      const last = due;
      due = null;
      last();
    });
    if (due !== loadPoints) due = load;
  };
  for (const name of ["layout", "layout_version"]) model.on(name, () => soon(loadPoints));
  for (const name of ["by", "colour_version"]) model.on(name, () => soon(loadColours));
  model.on("legend", drawLegend);
  model.on("outline", () => {
    stage.dataset.answered = String((Number(stage.dataset.answered) || 0) + 1);
  });
  for (const name of ["outline", "marks"]) model.on(name, draw);
  setMode("pan");
  drawLegend();
}
