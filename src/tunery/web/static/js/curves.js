// Curves of a run: keeps points by step, draws them with uPlot, smooths, marks, zooms. Knows no network.
/* global uPlot */
import { _, number } from "./texts.js";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const COLOURS = 6;
const FONT = "11px system-ui, sans-serif";

// One curve. A step that comes again (after a restart) replaces what was there.
export class Curve {
  constructor(steps = [], values = []) { this.steps = [...steps]; this.values = [...values]; }

  put(step, value) {
    const { steps, values } = this;
    let at = steps.length;
    while (at > 0 && steps[at - 1] >= step) at -= 1;
    const same = steps[at] === step ? 1 : 0;
    steps.splice(at, same, step);
    values.splice(at, same, value);
  }

  get last() { return this.values.at(-1); }
}

// Exponential mean without the pull towards the first value.
export function smoothed(values, weight) {
  let mean = 0;
  let share = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    mean = mean * weight + (1 - weight) * value;
    share = share * weight + (1 - weight);
    return mean / share;
  });
}

function axes(low) {
  const shared = { stroke: colour("--text-3"), font: FONT, grid: { stroke: colour("--chart-grid"), width: 1 }, ticks: { show: false } };
  return [
    { ...shared, size: 28, space: 70, values: (u, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick.toLocaleString("en") : "")) },
    { ...shared, size: 58, space: low ? 34 : 40, values: (u, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick))) },
  ];
}

function base(node, low) {
  return {
    width: Math.max(node.clientWidth, 120),
    height: node.clientHeight,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    axes: axes(low),
  };
}

export class LossChart {
  constructor(node, { onZoom, onCursor }) {
    Object.assign(this, { node, onZoom, onCursor, marks: { checkpoint: [], restart: [], finding: [] }, train: new Curve(), validation: new Curve() });
    this.options = { weight: 0.8, raw: true, log: false };
    new ResizeObserver(() => this.plot?.setSize({ width: node.clientWidth, height: node.clientHeight })).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  data() {
    const { train, validation, options } = this;
    const mean = smoothed(train.values, options.weight);
    const positive = (values) => (options.log ? values.map((value) => (value > 0 ? value : null)) : values);
    return uPlot.join([
      [train.steps, positive(train.values), positive(mean)],
      [validation.steps, positive(validation.values)],
    ]);
  }

  build() {
    this.plot?.destroy();
    const { options } = this;
    const first = colour("--chart-1");
    const second = colour("--chart-2");
    this.plot = new uPlot({
      ...base(this.node, false),
      scales: { x: { time: false }, y: { distr: options.log ? 3 : 1 } },
      series: [
        {},
        { stroke: colour("--chart-1-soft"), width: 1, show: options.raw, spanGaps: true, points: { show: false } },
        { stroke: first, width: 2, spanGaps: true, points: { show: this.train.steps.length < 2, size: 6, fill: first } },
        { stroke: second, width: 1.5, spanGaps: true, points: { show: true, size: 6, fill: second, stroke: second } },
      ],
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      hooks: {
        draw: [(plot) => this.drawMarks(plot)],
        setSelect: [(plot) => this.selected(plot)],
        setCursor: [(plot) => this.onCursor(plot.cursor.idx === null || plot.cursor.idx === undefined ? null : plot.cursor.idx, plot.data)],
      },
    }, this.data(), this.node);
  }

  set(options) { Object.assign(this.options, options); this.build(); }

  update() {
    if (!this.plot || this.plot.series[2].points.show !== (this.train.steps.length < 2)) return this.build();
    this.plot.setData(this.data());
  }

  selected(plot) {
    if (plot.select.width < 6) return;
    const from = Math.floor(plot.posToVal(plot.select.left, "x"));
    const to = Math.ceil(plot.posToVal(plot.select.left + plot.select.width, "x"));
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.onZoom(Math.max(0, from), to);
  }

  drawMarks(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.lineWidth = devicePixelRatio;
    for (const [kind, dash, stroke] of [["checkpoint", [3, 4], colour("--chart-mark")], ["restart", [], colour("--bad")], ["finding", [], colour("--warn")]]) {
      ctx.setLineDash(dash.map((size) => size * devicePixelRatio));
      ctx.strokeStyle = stroke;
      for (const step of this.marks[kind]) {
        const x = Math.round(plot.valToPos(step, "x", true)) + 0.5;
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
      }
    }
    ctx.restore();
  }
}

export class SmallChart {
  constructor(node) {
    this.node = node;
    this.curve = new Curve();
    new ResizeObserver(() => this.plot?.setSize({ width: node.clientWidth, height: node.clientHeight })).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  build() {
    this.plot?.destroy();
    const stroke = colour("--chart-1");
    this.plot = new uPlot({
      ...base(this.node, true),
      scales: { x: { time: false } },
      series: [{}, { stroke, width: 1.5, spanGaps: true, points: { show: false } }],
      cursor: { drag: { x: false, y: false }, points: { size: 5 } },
    }, [this.curve.steps, this.curve.values], this.node);
  }

  update() {
    if (!this.plot) return this.build();
    this.plot.setData([this.curve.steps, this.curve.values]);
  }
}

// The losses of several datasets: a smoothed line for training, dots for validation, one colour each.
export class PartsChart {
  constructor(node) {
    Object.assign(this, { node, parts: new Map(), weight: 0.8, shown: 0 });
    new ResizeObserver(() => this.plot?.setSize({ width: node.clientWidth, height: node.clientHeight })).observe(node);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.build());
  }

  // The curve of a metric such as `train_loss/rows@1`; null where it isn't one of a dataset.
  curve(metric) {
    const [kind, title] = [metric.slice(0, metric.indexOf("/")), metric.slice(metric.indexOf("/") + 1)];
    if (kind !== "train_loss" && kind !== "validation_loss") return null;
    if (!this.parts.has(title)) this.parts.set(title, { train_loss: new Curve(), validation_loss: new Curve() });
    return this.parts.get(title)[kind];
  }

  data() {
    return uPlot.join([...this.parts.values()].flatMap(({ train_loss: train, validation_loss: validation }) => [
      [train.steps, smoothed(train.values, this.weight)],
      [validation.steps, validation.values],
    ]));
  }

  build() {
    this.plot?.destroy();
    this.shown = this.parts.size;
    this.plot = new uPlot({
      ...base(this.node, false),
      scales: { x: { time: false } },
      series: [{}, ...[...this.parts.keys()].flatMap((title, place) => {
        const stroke = colour(`--chart-${(place % COLOURS) + 1}`);
        return [
          { stroke, width: 1.5, spanGaps: true, points: { show: false } },
          { stroke, width: 0, spanGaps: false, points: { show: true, size: 6, fill: stroke, stroke } },
        ];
      })],
      cursor: { drag: { x: false, y: false }, points: { size: 5 } },
    }, this.data(), this.node);
  }

  update() {
    if (!this.plot || this.shown !== this.parts.size) return this.build();
    this.plot.setData(this.data());
  }

  // [title, colour's number, newest training loss, newest validation loss]
  get newest() {
    return [...this.parts].map(([title, one], place) => [title, (place % COLOURS) + 1, one.train_loss.last, one.validation_loss.last]);
  }
}

export function stepText(step) { return _("step %(n)s", { n: step.toLocaleString("en") }); }
