// Two small plots on canvas: where this item lies among a sample of the pool. Fixed sizes: nothing moves.

const BINS = 24;

function surface(canvas) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(`--pl-${name}`).trim();
  context.font = `11px ${style.fontFamily}`;
  return { context, width, height, color };
}

const finite = (values) => values.filter((value) => Number.isFinite(value));

// The range of the values, widened where they are all the same.
function range(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low === Infinity) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

export function shortNumber(value) {
  if (!Number.isFinite(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  return size >= 1e5 || (size < 1e-3 && size > 0) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

export function drawScatter(canvas, xs, ys, x, y) {
  const { context, width, height, color } = surface(canvas);
  const left = 8;
  const bottom = height - 20;
  const [x0, x1] = range(finite([...xs, x]));
  const [y0, y1] = range(finite([...ys, y]));
  const px = (value) => left + 6 + ((value - x0) / (x1 - x0)) * (width - left - 18);
  const py = (value) => bottom - 6 - ((value - y0) / (y1 - y0)) * (bottom - 24);
  context.strokeStyle = color("line");
  context.strokeRect(left + 0.5, 12.5, width - left - 7, bottom - 12);
  context.fillStyle = color("muted");
  context.globalAlpha = 0.35;
  for (let i = 0; i < xs.length; i += 1) {
    if (!Number.isFinite(xs[i]) || !Number.isFinite(ys[i])) continue;
    context.beginPath();
    context.arc(px(xs[i]), py(ys[i]), 2.2, 0, 7);
    context.fill();
  }
  context.globalAlpha = 1;
  context.fillText(shortNumber(x0), left, height - 6);
  context.textAlign = "right";
  context.fillText(shortNumber(x1), width - 8, height - 6);
  if (!Number.isFinite(x) || !Number.isFinite(y)) return;
  context.strokeStyle = color("accent");
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(px(x), bottom);
  context.lineTo(px(x), py(y));
  context.lineTo(left, py(y));
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = color("accent");
  context.beginPath();
  context.arc(px(x), py(y), 6, 0, 7);
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = color("surface");
  context.stroke();
}

export function drawHistogram(canvas, sample, value) {
  const { context, width, height, color } = surface(canvas);
  const values = finite(sample);
  const [low, high] = range(finite([...values, value]));
  const counts = new Array(BINS).fill(0);
  for (const each of values) counts[Math.min(BINS - 1, Math.floor(((each - low) / (high - low)) * BINS))] += 1;
  const most = Math.max(1, ...counts);
  const base = height - 1;
  const step = width / BINS;
  context.fillStyle = color("control");
  context.globalAlpha = 0.45;
  counts.forEach((n, bin) => {
    const tall = n ? Math.max(1.5, (n / most) * (height - 6)) : 0;
    context.fillRect(bin * step + 0.5, base - tall, step - 1, tall);
  });
  context.globalAlpha = 1;
  context.fillStyle = color("line");
  context.fillRect(0, base, width, 1);
  if (!Number.isFinite(value)) return;
  const at = Math.min(width - 2, Math.max(2, ((value - low) / (high - low)) * width));
  context.fillStyle = color("accent");
  context.fillRect(at - 1, 0, 2.5, height);
  context.beginPath();
  context.moveTo(at - 4, 0);
  context.lineTo(at + 4.5, 0);
  context.lineTo(at + 0.25, 6);
  context.fill();
}
