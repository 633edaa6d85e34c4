// Fields for the settings of a method, made from its JSON schema. Keeps what the person chose; all else is filled in.
import { _, coded, element } from "./texts.js";

const ORIGINS = { user: _("changed"), recommended: _("recommended"), default: _("default"), continued: _("earlier run"), template: _("template") };
const SPELT = { lora: "LoRA", rslora: "rsLoRA", dora: "DoRA", lr: "LR", nf4: "NF4", int8: "INT8", neftune: "NEFTune" };
const title = (name) => name.split("_").map((word) => SPELT[word] ?? word).join(" ").replace(/^./, (letter) => letter.toUpperCase());

function kindOf(schema) {
  const options = schema.enum ?? schema.anyOf?.flatMap((one) => one.enum ?? (one.const === undefined ? [] : [one.const]));
  if (schema.enum) return { kind: "choice", options };
  if (schema.anyOf?.some((one) => one.type === "array")) return { kind: "list", options };
  if (schema.type === "boolean") return { kind: "switch" };
  if (schema.type === "integer" || schema.type === "number") return { kind: schema.type };
  return { kind: "text" };
}

export class SettingFields {
  constructor({ basic, groups, titles, onChange }) {
    Object.assign(this, { basic, groups, titles, onChange, chosen: {}, filled: {}, origins: {}, nodes: {} });
  }

  use(method, preset) {
    this.schema = method.json_schema.properties;
    this.recommended = preset === "recommended" ? method.recommended : {};
    for (const name of Object.keys(this.chosen)) if (!(name in this.schema)) delete this.chosen[name];
    this.fill();
    this.build();
  }

  // Before the server has answered: defaults, and what the method recommends for this type.
  fill() {
    const type = this.chosen.finetuning_type ?? this.schema.finetuning_type.default;
    const recommended = this.recommended[type] ?? {};
    this.filled = Object.fromEntries(Object.entries(this.schema).map(([name, one]) => [name, recommended[name] ?? one.default]));
    this.origins = Object.fromEntries(Object.keys(this.schema).map((name) => [name, name in recommended ? "recommended" : "default"]));
  }

  options(name) { return this.schema[name]?.enum ?? []; }

  value(name) { return this.chosen[name] ?? this.filled[name]; }

  choose(name, value) {
    if (JSON.stringify(value) === JSON.stringify(this.filled[name])) delete this.chosen[name];
    else this.chosen[name] = value;
    if (name === "finetuning_type") {
      if (value === this.schema[name].default) delete this.chosen[name];
      this.fill();
      this.dropUseless();
    }
    this.refresh();
  }

  resolved({ spec, origins }) {
    for (const [name, value] of Object.entries(spec.settings)) {
      if (!(name in this.chosen)) { this.filled[name] = value; this.origins[name] = origins[name] ?? this.origins[name]; }
    }
    this.refresh();
  }

  // Whether a setting does anything, given those it depends on.
  works(name) {
    return Object.entries(this.schema[name].only_with ?? {}).every(([other, needed]) => (needed === "above 0" ? this.value(other) > 0 : this.value(other) === needed));
  }

  dropUseless() {
    for (const name of Object.keys(this.chosen)) if (!this.works(name)) delete this.chosen[name];
  }

  build() {
    this.nodes = {};
    const byGroup = {};
    for (const [name, schema] of Object.entries(this.schema)) {
      if (name !== "finetuning_type") (byGroup[schema.group ?? "advanced"] ??= []).push(this.field(name, schema));
    }
    this.basic.replaceChildren(...(byGroup.basic ?? []));
    const open = new Set([...this.groups.querySelectorAll("details[open]")].map((one) => one.dataset.group));
    this.groups.replaceChildren(...Object.entries(this.titles).filter(([key]) => key !== "basic" && byGroup[key]).map(([key, label]) => {
      const fold = element("details", { class: "fold", "data-group": key }, element("summary", {}, chevron(), element("span", {}, label), element("span", { class: "tag user", hidden: true })), element("div", { class: "fold-body" }, element("div", { class: "fields" }, ...byGroup[key])));
      fold.open = open.has(key);
      return fold;
    }));
    this.refresh();
  }

  field(name, schema) {
    const id = `set-${name}`;
    const { kind, options } = kindOf(schema);
    const tag = element("span", { class: "tag" });
    const reset = element("button", { type: "button", class: "reset", "aria-label": _("Reset %(name)s", { name: title(name) }) }, _("reset"));
    reset.addEventListener("click", () => { delete this.chosen[name]; this.refresh(); this.onChange(); });
    const input = this.input(id, kind, options, schema);
    input.addEventListener("input", () => this.typed(name, kind, input));
    this.nodes[name] = { input, tag, reset, kind };
    const range = schema.range ? ` ${_("Range %(low)s … %(high)s.", { low: schema.range[0], high: schema.range[1] })}` : "";
    const help = element("span", { class: "help", id: `${id}-help` }, ...coded((schema.description ?? "") + range));
    const label = kind === "switch"
      ? element("div", { class: "label" }, element("label", { class: "check", for: id }, input, element("span", {}, title(name))), element("span", {}, reset, tag))
      : element("div", { class: "label" }, element("label", { for: id, title: name }, title(name)), element("span", {}, reset, tag));
    const field = element("div", { class: "field", "data-field": `settings.${name}`, "data-setting": name }, label, kind === "switch" ? null : input, help, element("p", { class: "error", hidden: true }));
    this.nodes[name].field = field;
    return field;
  }

  input(id, kind, options, schema) {
    const shared = { id, "aria-describedby": `${id}-help` };
    if (kind === "choice") return element("select", { ...shared, class: "input" }, ...options.map((option) => element("option", { value: String(option) }, String(option))));
    if (kind === "switch") return element("input", { ...shared, type: "checkbox" });
    if (kind === "integer") return element("input", { ...shared, class: "input num", type: "number", step: "1", inputmode: "numeric", min: schema.minimum === undefined ? null : String(schema.minimum) });
    // Text, not number: browsers rewrite 4e-4 and refuse some decimals in number fields.
    return element("input", { ...shared, class: "input num", type: "text", inputmode: kind === "number" ? "decimal" : null, autocomplete: "off", spellcheck: "false", placeholder: kind === "list" ? "all-linear" : null });
  }

  typed(name, kind, input) {
    const value = read(kind, input);
    if (value === undefined) delete this.chosen[name];
    else this.chosen[name] = value;
    this.dropUseless();
    this.refresh(name);
    this.onChange();
  }

  refresh(except) {
    for (const [name, { input, tag, reset, field, kind }] of Object.entries(this.nodes)) {
      const own = name in this.chosen;
      const origin = own ? "user" : this.origins[name];
      tag.className = `tag ${origin}`;
      tag.textContent = ORIGINS[origin] ?? origin;
      reset.hidden = !own;
      field.hidden = !this.works(name);
      if (name !== except && document.activeElement !== input) write(kind, input, this.value(name));
    }
    for (const fold of this.groups.querySelectorAll("details")) {
      const inside = [...fold.querySelectorAll("[data-setting]")];
      fold.hidden = inside.every((one) => one.hidden);
      const n = inside.filter((one) => one.dataset.setting in this.chosen).length;
      const tag = fold.querySelector("summary .tag");
      tag.hidden = n === 0;
      tag.textContent = _("%(n)s changed", { n });
    }
  }
}

// What a field says; undefined when it is empty. What isn't a number goes as text, and the check names it.
function read(kind, input) {
  if (kind === "switch") return input.checked;
  const text = input.value.trim();
  if (!text) return undefined;
  if (kind === "integer" || kind === "number") return Number.isNaN(Number(text)) ? text : Number(text);
  if (kind === "list") return text === "all-linear" ? text : text.split(",").map((one) => one.trim()).filter(Boolean);
  return text;
}

function write(kind, input, value) {
  if (kind === "switch") input.checked = Boolean(value);
  else input.value = Array.isArray(value) ? value.join(", ") : value ?? "";
}

function chevron() {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon chev");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", "M9 5.5 15.5 12 9 18.5");
  svg.append(path);
  return svg;
}
