// A run's page while it is open: curves, log and events follow the server's stream.
/* global htmx */
import { api, connection } from "./console.js";
import { Curve, LossChart, PartsChart, SmallChart, stepText } from "./curves.js";
import { Stream } from "./stream.js";
import { _, element, number } from "./texts.js";

const page = document.getElementById("run");
const run = page.dataset.run;
const ended = page.dataset.ended === "yes";
const SMALL = ["learning_rate", "grad_norm", "tokens_per_second"];
const MOST_POINTS = 6000;
const $ = (id) => document.getElementById(id);

// Calls `work` soon, and not more often than every `pause` ms.
function calm(work, pause) {
  let due = 0;
  return () => {
    if (due) return;
    due = setTimeout(() => { due = 0; work(); }, pause);
  };
}

function renewHead() { htmx.trigger("#run-head", "tunery:changed"); }

// A dialog that is open in the head is not taken away from under the person, though the head was asked for before it
// was opened; the head follows when it closes.
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig } = event.detail;
  const open = target.id === "run-head" && requestConfig.verb === "get" && target.querySelector("dialog[open]");
  if (!open) return;
  event.detail.shouldSwap = false;
  open.addEventListener("close", renewHead, { once: true });
});
const refreshHead = calm(renewHead, 700);

class Curves {
  constructor() {
    this.query = new URLSearchParams(location.search);
    const { events } = JSON.parse($("happened").textContent);
    this.zoom = this.query.has("from") ? [Number(this.query.get("from")), Number(this.query.get("to"))] : null;
    this.loss = new LossChart($("loss-chart"), { onZoom: (from, to) => this.look(from, to), onCursor: (at, data) => this.read(at, data) });
    this.small = Object.fromEntries(SMALL.map((name) => [name, new SmallChart(document.querySelector(`[data-series="${name}"]`))]));
    this.parts = new PartsChart($("by-dataset-chart"));
    for (const event of events) this.mark(event);
    this.controls();
    this.findings();
    document.body.addEventListener("htmx:afterSwap", () => { this.findings(); this.loss.plot?.redraw(); });
    page.addEventListener("click", (event) => {
      const look = event.target.closest("[data-look]")?.dataset.look.split(",").map(Number);
      if (look) this.look(...look);
    });
    this.draw = calm(() => requestAnimationFrame(() => this.show()), 120);
  }

  controls() {
    const { query } = this;
    const weight = query.has("smooth") ? Number(query.get("smooth")) : 0.8;
    $("smooth").value = weight;
    $("raw").checked = query.get("raw") !== "0";
    $("log-axis").checked = query.get("log") === "1";
    const apply = () => {
      const options = { weight: Number($("smooth").value), raw: $("raw").checked, log: $("log-axis").checked };
      this.remember({ smooth: options.weight === 0.8 ? null : options.weight, raw: options.raw ? null : "0", log: options.log ? "1" : null });
      if (this.loss.plot) this.loss.set(options); else Object.assign(this.loss.options, options);
    };
    for (const id of ["smooth", "raw", "log-axis"]) $(id).addEventListener("input", apply);
    Object.assign(this.loss.options, { weight, raw: $("raw").checked, log: $("log-axis").checked });
    $("zoom-out").addEventListener("click", () => this.look(null, null));
    $("zoom-out").hidden = !this.zoom;
  }

  remember(values) {
    for (const [name, value] of Object.entries(values)) if (value === null) this.query.delete(name); else this.query.set(name, value);
    history.replaceState(null, "", `${location.pathname}?${this.query}`);
  }

  look(from, to) {
    this.zoom = from === null ? null : [from, to];
    this.remember({ from, to });
    $("zoom-out").hidden = !this.zoom;
    this.load();
  }

  async load() {
    const query = new URLSearchParams({ points: "1500" });
    if (this.zoom) { query.set("first_step", this.zoom[0]); query.set("last_step", this.zoom[1]); }
    const series = Object.fromEntries((await api(`/runs/${run}/metrics?${query}`)).map((one) => [one.name, one]));
    const curve = (name) => new Curve(series[name]?.steps, series[name]?.values);
    this.loss.train = curve("train_loss");
    this.loss.validation = curve("validation_loss");
    for (const name of SMALL) this.small[name].curve = curve(name);
    this.parts.parts.clear();
    for (const one of Object.values(series)) if (one.name.includes("/")) Object.assign(this.parts.curve(one.name) ?? {}, { steps: one.steps, values: one.values });
    this.show();
  }

  take(event) {
    this.mark(event);
    if (event.type !== "metric") return;
    if (this.zoom && (event.step < this.zoom[0] || event.step > this.zoom[1])) return;
    const { train_loss: train, validation_loss: validation } = event.values;
    if (train !== undefined) this.loss.train.put(event.step, train);
    if (validation !== undefined) this.loss.validation.put(event.step, validation);
    for (const name of SMALL) if (event.values[name] !== undefined) this.small[name].curve.put(event.step, event.values[name]);
    for (const [name, value] of Object.entries(event.values)) if (name.includes("/")) this.parts.curve(name)?.put(event.step, value);
    // After many points at full density, the thinned curve is asked for again.
    if (this.loss.train.steps.length > MOST_POINTS) { this.load(); return; }
    this.draw();
  }

  mark(event) {
    const { marks } = this.loss;
    if (event.type === "checkpoint" && !marks.checkpoint.includes(event.step)) marks.checkpoint.push(event.step);
    if (event.type === "started" && event.resumed_from !== null && event.resumed_from !== undefined && !marks.restart.includes(event.resumed_from)) marks.restart.push(event.resumed_from);
  }

  // The steps that the diagnosis points at.
  findings() {
    this.loss.marks.finding = JSON.parse($("findings").textContent);
    $("l-finding").hidden = this.loss.marks.finding.length === 0;
  }

  show() {
    const { loss } = this;
    const any = loss.train.steps.length + loss.validation.steps.length > 0;
    $("no-points").hidden = any;
    $("loss-chart").hidden = !any;
    if (any) loss.update();
    $("l-validation").hidden = loss.validation.steps.length === 0;
    $("l-checkpoint").hidden = loss.marks.checkpoint.length === 0;
    $("l-restart").hidden = loss.marks.restart.length === 0;
    for (const name of SMALL) {
      const chart = this.small[name];
      if (chart.curve.steps.length) chart.update();
      $(`v-${name}`).textContent = chart.curve.steps.length ? number(chart.curve.last) : "";
    }
    $("by-dataset").hidden = this.parts.parts.size === 0;
    if (this.parts.parts.size) this.parts.update();
    $("by-dataset-legend").replaceChildren(...this.parts.newest.map(([title, place, train, validation]) => element("span", {}, element("i", { class: `c${place}` }), title, " ", element("b", {}, validation === undefined ? number(train) : `${number(train)} · ${number(validation)}`))));
    this.read(null);
  }

  read(at, data) {
    const { train, validation } = this.loss;
    const here = at !== null;
    $("v-train").textContent = here ? number(data[2][at]) : number(train.last);
    $("v-validation").textContent = here ? number(data[3][at]) : number(validation.last);
    $("v-step").textContent = here ? stepText(data[0][at]) : train.steps.length ? stepText(train.steps.at(-1)) : "";
  }
}

class Log {
  constructor() {
    this.node = $("log");
    this.offset = 0;
    this.attempt = null;
    this.chosen = null;
    this.busy = false;
    this.more = calm(() => this.load(), 800);
    this.node.addEventListener("scroll", () => {
      const low = this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < 30;
      if (!low) $("follow").checked = false;
    });
    $("follow").addEventListener("change", () => this.follow());
    $("log-attempt").addEventListener("change", (event) => { this.chosen = Number(event.target.value); this.load(); });
  }

  async load() {
    if (this.busy) return;
    this.busy = true;
    try {
      for (;;) {
        const asked = this.chosen;
        const piece = await api(`/runs/${run}/log?offset=${this.offset}${asked ? `&attempt=${asked}` : ""}`);
        if (asked !== this.chosen || (this.attempt !== null && piece.attempt !== this.attempt)) {
          this.attempt = null;
          this.offset = 0;
          this.node.textContent = "";
          continue;
        }
        this.attempt = piece.attempt;
        this.offer(piece.logs);
        if (piece.offset === this.offset) break;
        this.offset = piece.offset;
        this.node.append(piece.text);
      }
      if (!this.node.textContent) this.node.dataset.waits = "yes"; else delete this.node.dataset.waits;
      this.follow();
    } finally {
      this.busy = false;
    }
  }

  // The logs there are; without a choice the newest is followed.
  offer(logs) {
    const titles = { train: _("training"), evaluate: _("evaluation") };
    $("log-choice").hidden = logs.length < 2;
    if ($("log-attempt").length !== logs.length) $("log-attempt").replaceChildren(...logs.map(({ attempt, stage }) => element("option", { value: String(attempt) }, `#${attempt} · ${titles[stage]}`)));
    $("log-attempt").value = String(this.attempt);
  }

  follow() {
    if ($("follow").checked) this.node.scrollTop = this.node.scrollHeight;
  }
}

const curves = page.dataset.tab === "curves" ? new Curves() : null;
const log = page.dataset.tab === "log" ? new Log() : null;
const refreshSamples = calm(() => htmx.trigger("#samples", "tunery:answered"), 700);
const refreshEvents = calm(() => htmx.ajax("GET", location.href, { target: "#events", select: "#events", swap: "outerHTML" }), 1500);

function onEvent(type, event) {
  if (type === "end") {
    renewHead();
    if ($("diagnosis")) htmx.trigger("#diagnosis", "tunery:measured");
    log?.load();
    if (["evaluation", "events"].includes(page.dataset.tab)) location.reload();
    return;
  }
  curves?.take({ ...event, type: event.type ?? type });
  log?.more();
  if (type === "metric") {
    const bar = $("run-progress");
    if (bar && event.step <= bar.max) bar.value = Math.max(bar.value, event.step);
    return;
  }
  refreshHead();
  if (type === "sample" && $("samples")) refreshSamples();
  if (page.dataset.tab === "events" && $("events")) refreshEvents();
}

await Promise.all([curves?.load(), log?.load()]);
if (!ended) {
  new Stream(`/api/v1/runs/${run}/stream`, { after: Number(page.dataset.last), onEvent, onState: (well) => connection("stream", well) });
}
