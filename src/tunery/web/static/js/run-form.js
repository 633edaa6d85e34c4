// The form of a new run: fields from the method's schema, origins, a live check, the same run as code.
import { changesOf } from "./clone.js";
import { api, toast } from "./console.js";
import { Estimating } from "./estimate.js";
import { Recipe } from "./recipe.js";
import { codeOf } from "./run-code.js";
import { SettingFields } from "./setting-fields.js";
import { _, coded, element } from "./texts.js";

const { spec: begun, methods, groups, rowKinds, characters, models } = JSON.parse(document.getElementById("form-data").textContent);
const $ = (id) => document.getElementById(id);
const form = $("run-form");
const state = { preset: begun.preset ?? "recommended", language: "yaml", asked: 0 };
const TYPES = { lora: [_("Adapter (LoRA)"), _("Trains a small adapter: fast, and many adapters can share one base model.")], full: [_("Full"), _("Trains all weights: needs more memory and data.")] };

const fields = new SettingFields({ basic: $("basic"), groups: $("groups"), titles: groups, onChange: changed });
const recipe = new Recipe({ root: $("recipe"), begun: begun.data, sizes: characters, onChange: changed });
const estimating = new Estimating({ button: $("do-estimate"), place: $("estimate"), spec: specOf });
const method = () => methods[form.elements.method.value];

// What is sent: only what differs from leaving it out.
function specOf() {
  const spec = {};
  const text = (id) => $(id).value.trim();
  if (text("name")) spec.name = text("name");
  if (text("description")) spec.description = text("description");
  spec.method = method().name;
  if (begun.clone_of) spec.clone_of = begun.clone_of;
  if ($("replay")) spec.continue_from = continueFrom();
  else spec.base_model = $("base_model").value;
  spec.data = recipe.data();
  if ($("validation").value) spec.data.validation = chosen("validation", begun.data?.validation);
  if (Object.keys(fields.chosen).length) spec.settings = { ...fields.chosen };
  if (state.preset !== "recommended") spec.preset = state.preset;
  if ($("allow_out_of_range").checked) spec.allow_out_of_range = true;
  if ($("evaluate").value) {
    const metrics = [...form.querySelectorAll("[name=metric]:checked:enabled")].map((box) => box.value);
    const more = begun.evaluate ?? {};
    spec.evaluate = { dataset: chosen("evaluate", more.dataset), metrics };
    for (const name of ["max_rows", "max_new_tokens"]) if (more[name] !== undefined) spec.evaluate[name] = more[name];
  }
  if ($("publish").checked) spec.publish = begun.publish?.name ? { auto: true, name: begun.publish.name } : { auto: true };
  const { idle_time, priority, ...resources } = begun.resources ?? {};
  if ($("idle_time").checked) resources.idle_time = true;
  if (Number($("priority").value)) resources.priority = Number($("priority").value);
  if (Object.keys(resources).length) spec.resources = resources;
  return spec;
}

// The dataset of a field; its version stays while it does.
function chosen(id, before) {
  const dataset = $(id).value;
  return before?.version && before.dataset === dataset ? { dataset, version: before.version } : { dataset };
}

// The base model goes without saying; a tenth is mixed in again without saying, too.
function continueFrom() {
  const { run } = begun.continue_from;
  const share = $("replay").value.trim();
  const from = { run, step: Number($("continue-step").value) };
  if (share !== $("replay").defaultValue || begun.continue_from.replay !== undefined) from.replay = Number.isNaN(Number(share)) || !share ? share : Number((Number(share) / 100).toPrecision(6));
  return from;
}

function showTypes() {
  const allowed = ($("base_model").selectedOptions[0]?.dataset.methods ?? "").split(" ").filter(Boolean);
  const offered = fields.options("finetuning_type").filter((type) => !allowed.length || allowed.includes(type));
  const now = offered.includes(fields.value("finetuning_type")) ? fields.value("finetuning_type") : offered[0];
  if (now !== fields.value("finetuning_type")) fields.choose("finetuning_type", now);
  $("types").replaceChildren(...offered.map((type) => {
    const box = element("input", { type: "radio", name: "finetuning_type", value: type });
    box.checked = type === now;
    const [title, help] = TYPES[type] ?? [type, ""];
    return element("label", { class: "choice" }, box, element("strong", {}, title), element("span", {}, help));
  }));
}

function rebuild() {
  fields.use(method(), state.preset);
  showTypes();
  changed();
}

function changed() {
  const n = Object.keys(fields.chosen).length;
  $("changed").textContent = n ? _("%(n)s changed by you", { n }) : _("All settings have their recommended or default value.");
  showMetrics();
  showCode();
  estimating.clear();
  state.asked += 1; // what is still being answered was asked about something else
  clearTimeout(state.timer);
  state.timer = setTimeout(check, 350);
}

// Rows without a worse answer have no preference to measure, and a reward model has nothing else.
function showMetrics() {
  const compared = rowKinds[$("evaluate").value] === "preference";
  const scores = method().needs.includes("score");
  $("metrics").hidden = !$("evaluate").value;
  for (const box of form.querySelectorAll("[name=metric]")) {
    box.disabled = box.dataset.needs === "preference" ? !compared : scores;
    box.closest("label").hidden = box.disabled;
  }
}

function showCode() {
  $("code").textContent = codeOf(specOf(), state.language, location.origin);
  for (const button of form.querySelectorAll("[data-code]")) button.setAttribute("aria-pressed", String(button.dataset.code === state.language));
}

function badge(tone, text) {
  $("check-badge").className = `badge ${tone}`;
  $("check-badge").textContent = text;
}

function clearErrors() {
  for (const error of form.querySelectorAll(".error")) { error.hidden = true; error.textContent = ""; }
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

// Everything that is wrong: each at the field it names, and all of them beside the button.
function showProblem(problem) {
  const all = problem.errors ?? [problem];
  all.forEach(showAtField);
  const many = all.length > 1 ? [element("p", {}, element("strong", {}, _("%(n)s things to correct", { n: all.length })))] : [];
  $("check").replaceChildren(element("div", { class: "note bad" }, element("div", { class: "stack-2" }, ...many,
    ...all.map((one) => element("p", {}, element(many.length ? "span" : "strong", {}, ...coded(one.message)), " ", ...coded(one.cure))))));
}

function showAtField(problem) {
  const place = problem.where?.setting ? `settings.${problem.where.setting}` : problem.where?.field ?? { unknown_base_model: "base_model", model_weights_absent: "base_model", too_few_rows: "data", name_taken: "name" }[problem.code];
  const all = [...form.querySelectorAll("[data-field]")];
  const field = place && (all.find((one) => place === one.dataset.field) ?? all.find((one) => place.startsWith(`${one.dataset.field}.`)));
  if (field) {
    const error = field.querySelector(".error");
    error.replaceChildren(...coded(`${problem.message} ${problem.cure}`));
    error.hidden = false;
    field.querySelector("input, select")?.setAttribute("aria-invalid", "true");
    const fold = field.closest("details");
    if (fold) fold.open = true;
  }
}

// What would happen and what would not, in words.
function factsOf(spec, { spec: filled, outlook, origins }) {
  const facts = element("dl", { class: "facts" });
  const say = (term, text) => facts.append(element("dt", {}, term), element("dd", {}, text));
  const count = (value) => (outlook.rough ? _("about %(n)s", { n: value.toLocaleString("en") }) : value.toLocaleString("en"));
  const { settings } = filled;
  say(_("Name"), spec.name ?? `${filled.name.replace(/_\d{8}-\d{6}$/, "")}_…`);
  say(_("Trains on"), `${_("%(n)s rows of %(data)s", { n: count(outlook.rows), data: filled.data.train.map((one) => `${one.dataset}@${one.version}`).join(", ") })}${settings.epochs > 1 ? `, ${_("%(n)s times", { n: settings.epochs })}` : ""}`);
  say(_("Steps"), settings.packing ? count(outlook.steps) : _("%(n)s, of %(rows)s rows each", { n: count(outlook.steps), rows: outlook.rows_per_step }));
  say(_("Validation"), outlook.validation_rows && settings.eval_steps ? _("%(n)s rows, every %(steps)s steps", { n: outlook.validation_rows.toLocaleString("en"), steps: settings.eval_steps })
    : outlook.validation_rows ? _("none: %(n)s rows are set aside, but eval_steps is 0", { n: outlook.validation_rows.toLocaleString("en") }) : _("none during training"));
  say(_("Evaluation"), outlook.held_out_rows ? _("%(n)s held-out rows of %(data)s", { n: outlook.held_out_rows.toLocaleString("en"), data: `${filled.evaluate.dataset.dataset}@${filled.evaluate.dataset.version}` }) : _("none: no held-out data chosen"));
  say(_("Publishing"), filled.publish.auto ? publishedAs(filled, spec) : _("not automatic; you can publish after the run"));
  say(_("Settings"), valuesFrom(origins, settings.finetuning_type));
  return facts;
}

function publishedAs({ publish }, spec) {
  const name = publish.name ?? spec.name;
  if (!name) return _("as a new model with the run's name");
  return models.includes(name) ? _("as the next version of %(name)s", { name }) : _("as a new model, %(name)s", { name });
}

function valuesFrom(origins, type) {
  const n = { user: 0, continued: 0, recommended: 0, template: 0, default: 0 };
  for (const origin of Object.values(origins)) n[origin] += 1;
  return [
    n.user && _("%(n)s changed by you", { n: n.user }),
    n.continued && _("%(n)s of the earlier run", { n: n.continued }),
    n.recommended && _("%(n)s recommended for %(method)s (%(type)s)", { n: n.recommended, method: method().title, type }),
    n.template && _("%(n)s from the template", { n: n.template }),
    n.default && _("%(n)s defaults", { n: n.default }),
  ].filter(Boolean).join(" · ");
}

async function check() {
  const spec = specOf();
  const turn = (state.asked += 1);
  $("start").disabled = true;
  if (!(spec.base_model || spec.continue_from) || !spec.data.train.length) {
    recipe.clear();
    badge("plain", _("Waiting"));
    clearErrors();
    $("check").replaceChildren(element("p", { class: "muted" }, _("Choose a base model and training data.")));
    return;
  }
  try {
    const resolved = await api("/runs/resolve", { method: "POST", body: spec });
    if (turn !== state.asked) return;
    clearErrors();
    fields.resolved(resolved);
    badge("good", _("Ready"));
    recipe.preview(spec);
    $("check").replaceChildren(factsOf(spec, resolved), ...changesOf(resolved.clone), ...resolved.leaks.map((leak) => element("div", { class: "note warn" }, leak.message)), ...resolved.notes.map((note) => element("div", { class: "note" }, element("p", {}, ...coded(note)))));
    $("start").disabled = false;
    estimating.ready();
  } catch (error) {
    if (turn !== state.asked) return;
    if (!error.problem) { badge("warn", _("No answer")); state.timer = setTimeout(check, 3000); return; }
    clearErrors();
    if (await importing(spec)) return;
    badge("bad", _("Not ready"));
    recipe.clear();
    showProblem(error.problem);
  }
}

// Data that is still being imported needs no correction, only a little time.
async function importing(spec) {
  const names = [...spec.data.train.map((one) => one.dataset), spec.data.validation?.dataset, spec.evaluate?.dataset?.dataset].filter(Boolean);
  const states = await Promise.all(names.map(async (name) => (await api(`/datasets/${encodeURIComponent(name)}`)).latest?.state));
  const late = names.filter((name, at) => states[at] === "importing");
  if (!late.length) return false;
  badge("live", _("Importing"));
  $("check").replaceChildren(element("p", {}, _("%(names)s is still being imported; the check continues automatically.", { names: late.join(", ") })), element("progress", { "aria-label": _("Import") }));
  state.timer = setTimeout(check, 1200);
  return true;
}

async function start() {
  $("start").disabled = true;
  state.key ??= [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    const run = await api("/runs", { method: "POST", body: specOf(), headers: { "Idempotency-Key": state.key } });
    location.assign(`/runs/${run.id}`);
  } catch (error) {
    state.key = null;
    $("start").disabled = false;
    if (error.problem) showProblem(error.problem);
    else toast(_("The server isn't responding."), { more: _("Try again in a moment; nothing was started twice."), tone: "bad" });
  }
}

form.addEventListener("submit", (event) => { event.preventDefault(); if (!$("start").disabled) start(); });
form.addEventListener("change", (event) => {
  state.key = null;
  if (event.target.name === "method") rebuild();
  else if (event.target.name === "finetuning_type") { fields.choose("finetuning_type", event.target.value); changed(); }
  else if (event.target.id === "base_model") { showTypes(); changed(); }
  else if (!event.target.closest("[data-setting]")) changed();
});
form.addEventListener("input", (event) => { if (["name", "description", "priority", "replay"].includes(event.target.id)) changed(); });
form.addEventListener("click", (event) => {
  const { code, preset } = event.target.closest("button")?.dataset ?? {};
  if (code) { state.language = code; showCode(); }
  if (preset) {
    state.preset = preset;
    for (const button of form.querySelectorAll("[data-preset]")) button.setAttribute("aria-pressed", String(button.dataset.preset === preset));
    rebuild();
  }
});

function fill(id, value) { if (value && [...$(id).options].some((option) => option.value === value)) $(id).value = value; }
fill("validation", begun.data?.validation?.dataset);
fill("evaluate", begun.evaluate?.dataset?.dataset);
$("allow_out_of_range").checked = Boolean(begun.allow_out_of_range);
// Plain text suits the method that learns from it.
if (!begun.method && rowKinds[$("train").value] === "text" && methods.pretrain) form.elements.method.value = "pretrain";
fields.chosen = { ...(begun.settings ?? {}) };
for (const button of form.querySelectorAll("[data-preset]")) button.setAttribute("aria-pressed", String(button.dataset.preset === state.preset));
rebuild();
