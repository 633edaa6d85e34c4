// The form of a new run: fields from the method's schema, origins, a live check, the same run as code.
import { api, toast } from "./console.js";
import { codeOf } from "./run-code.js";
import { SettingFields } from "./setting-fields.js";
import { _, element } from "./texts.js";

const { spec: begun, methods, groups, rowKinds } = JSON.parse(document.getElementById("form-data").textContent);
const $ = (id) => document.getElementById(id);
const form = $("run-form");
const state = { preset: begun.preset ?? "recommended", language: "yaml", asked: 0 };
const TYPES = { lora: [_("Adapter (LoRA)"), _("Learns a small addition; quick, and many share one base.")], full: [_("Full"), _("Every weight learns; needs more memory and data.")] };

const fields = new SettingFields({ basic: $("basic"), groups: $("groups"), titles: groups, onChange: changed });
const method = () => methods[form.elements.method.value];

// What is sent: only what differs from leaving it out.
function specOf() {
  const spec = {};
  const text = (id) => $(id).value.trim();
  if (text("name")) spec.name = text("name");
  if (text("description")) spec.description = text("description");
  spec.method = method().name;
  spec.base_model = $("base_model").value;
  spec.data = { train: [{ dataset: $("train").value, ...version("train") }] };
  if ($("validation").value) spec.data.validation = { dataset: $("validation").value };
  if (Object.keys(fields.chosen).length) spec.settings = { ...fields.chosen };
  if (state.preset !== "recommended") spec.preset = state.preset;
  if ($("allow_out_of_range").checked) spec.allow_out_of_range = true;
  if ($("evaluate").value) {
    const metrics = [...form.querySelectorAll("[name=metric]:checked")].map((box) => box.value);
    const more = begun.evaluate ?? {};
    spec.evaluate = { dataset: { dataset: $("evaluate").value }, metrics };
    for (const name of ["max_rows", "max_new_tokens"]) if (more[name] !== undefined) spec.evaluate[name] = more[name];
  }
  if ($("publish").checked) spec.publish = begun.publish?.name ? { auto: true, name: begun.publish.name } : { auto: true };
  return spec;
}

// A clone keeps the version it was trained on while the dataset stays the same.
function version(id) {
  const first = begun.data?.train?.[0];
  return id === "train" && first?.version && first.dataset === $("train").value ? { version: first.version } : {};
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
  $("changed").textContent = n ? _("%(n)s changed by you", { n }) : _("Nothing changed: all values are filled in for you.");
  $("metrics").hidden = !$("evaluate").value;
  showCode();
  clearTimeout(state.timer);
  state.timer = setTimeout(check, 350);
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

// Put a problem at the field it names, else only beside the button.
function showProblem(problem) {
  const place = problem.where?.setting ? `settings.${problem.where.setting}` : problem.where?.field ?? { unknown_base_model: "base_model", model_weights_absent: "base_model", too_few_rows: "data", name_taken: "name" }[problem.code];
  const field = place && [...form.querySelectorAll("[data-field]")].find((one) => place === one.dataset.field || place.startsWith(`${one.dataset.field}.`));
  if (field) {
    const error = field.querySelector(".error");
    error.textContent = `${problem.message} ${problem.cure}`;
    error.hidden = false;
    field.querySelector("input, select")?.setAttribute("aria-invalid", "true");
    const fold = field.closest("details");
    if (fold) fold.open = true;
  }
  $("check").replaceChildren(element("div", { class: "note bad" }, element("div", { class: "stack-2" }, element("p", {}, element("strong", {}, problem.message)), element("p", {}, problem.cure))));
}

async function check() {
  const spec = specOf();
  const turn = (state.asked += 1);
  $("start").disabled = true;
  if (!spec.base_model || !spec.data.train[0].dataset) {
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
    badge("good", _("Fits"));
    const facts = element("dl", { class: "facts" });
    const say = (term, text) => facts.append(element("dt", {}, term), element("dd", {}, text));
    say(_("Name"), spec.name ?? `${resolved.spec.name.replace(/_\d{8}-\d{6}$/, "")}_…`);
    say(_("Data"), Object.keys(resolved.data_hashes).join(", "));
    $("check").replaceChildren(facts, ...resolved.notes.map((note) => element("div", { class: "note" }, note)));
    $("start").disabled = false;
  } catch (error) {
    if (turn !== state.asked) return;
    if (!error.problem) { badge("warn", _("No answer")); state.timer = setTimeout(check, 3000); return; }
    clearErrors();
    if (await importing(spec)) return;
    badge("bad", _("Not yet"));
    showProblem(error.problem);
  }
}

// Data that is still being imported needs no correction, only a little time.
async function importing(spec) {
  const names = [spec.data.train[0].dataset, spec.data.validation?.dataset, spec.evaluate?.dataset?.dataset].filter(Boolean);
  const states = await Promise.all(names.map(async (name) => (await api(`/datasets/${encodeURIComponent(name)}`)).latest?.state));
  const late = names.filter((name, at) => states[at] === "importing");
  if (!late.length) return false;
  badge("live", _("Importing"));
  $("check").replaceChildren(element("p", {}, _("%(names)s is still being imported; the check goes on by itself.", { names: late.join(", ") })), element("progress", { "aria-label": _("Import") }));
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
    else toast(_("The server doesn't answer."), { more: _("Try again in a moment; nothing was started twice."), tone: "bad" });
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
form.addEventListener("input", (event) => { if (["name", "description"].includes(event.target.id)) changed(); });
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
fill("train", begun.data?.train?.[0]?.dataset);
fill("validation", begun.data?.validation?.dataset);
fill("evaluate", begun.evaluate?.dataset?.dataset);
$("allow_out_of_range").checked = Boolean(begun.allow_out_of_range);
// Plain text suits the method that learns from it.
if (!begun.method && rowKinds[$("train").value] === "text" && methods.pretrain) form.elements.method.value = "pretrain";
fields.chosen = { ...(begun.settings ?? {}) };
for (const button of form.querySelectorAll("[data-preset]")) button.setAttribute("aria-pressed", String(button.dataset.preset === state.preset));
rebuild();
