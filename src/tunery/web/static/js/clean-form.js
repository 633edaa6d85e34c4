// The form that cleans a dataset: steps in order with fields made from their schemas, and the same as a recipe.
import { api, toast } from "./console.js";
import { yaml } from "./run-code.js";
import { _, coded, element } from "./texts.js";

const { dataset, others, steps, begun } = JSON.parse(document.getElementById("form-data").textContent);
const $ = (id) => document.getElementById(id);
const chosen = $("chosen");
const title = (name) => name.replace(/_/g, " ").replace(/^./, (letter) => letter.toUpperCase());
let made = 0;

function plain(schema, root) {
  const one = schema.anyOf ? schema.anyOf.find((kind) => kind.type !== "null") : schema;
  return one.$ref ? root.$defs[one.$ref.split("/").at(-1)] : one;
}

function kindOf(schema) {
  if (schema.enum) return "choice";
  if (schema.type === "array") return schema.items?.enum ? "some" : "list";
  return { boolean: "switch", integer: "number", number: "number" }[schema.type] ?? "text";
}

function add(name, settings = {}) {
  const { title: heading, help, json_schema: root } = steps[name];
  const id = `step-${(made += 1)}`;
  const fields = Object.entries(root.properties ?? {}).map(([key, schema]) => field(`${id}-${key}`, key, schema, root, settings[key] ?? schema.default));
  const button = (label, sign, act) => {
    const one = element("button", { type: "button", class: "btn small quiet icon-only", title: label, "aria-label": label }, sign);
    one.addEventListener("click", act);
    return one;
  };
  const item = element("li", { class: "card", "data-step": name },
    element("div", { class: "card-head" }, element("h2", { id: `${id}-h`, tabindex: "-1" }, heading), element("div", { class: "row row-tight" },
      button(_("Move up"), "↑", () => move(item, -1)), button(_("Move down"), "↓", () => move(item, 1)), button(_("Remove"), "×", () => remove(item)))),
    element("div", { class: "card-body fields" }, element("p", { class: "small muted full" }, help), ...fields, element("p", { class: "error full", hidden: true })));
  chosen.append(item);
  return item;
}

function field(id, key, schema, root, value) {
  const one = plain(schema, root);
  const kind = kindOf(one);
  const shared = { id, "data-key": key, "data-kind": kind, "aria-describedby": `${id}-help` };
  const help = element("span", { class: "help", id: `${id}-help` }, ...coded(schema.description ?? ""));
  if (kind === "switch") {
    const box = element("input", { ...shared, type: "checkbox" });
    box.checked = Boolean(value);
    return element("div", { class: "field" }, element("label", { class: "check", for: id }, box, element("span", {}, title(key), help)));
  }
  if (kind === "some") {
    const boxes = one.items.enum.map((option) => {
      const box = element("input", { type: "checkbox", value: option });
      box.checked = (value ?? []).includes(option);
      return element("label", { class: "check" }, box, element("span", {}, option));
    });
    return element("fieldset", { ...shared, class: "field full" }, element("legend", { class: "label small" }, title(key)), element("div", { class: "row row-3" }, ...boxes), help);
  }
  if (kind === "choice") {
    const input = element("select", { ...shared, class: "input" }, ...one.enum.map((option) => element("option", { value: option }, option)));
    input.value = value;
    return element("div", { class: "field" }, element("label", { for: id }, title(key)), input, help);
  }
  const input = element("input", { ...shared, class: "input", autocomplete: "off", spellcheck: "false", inputmode: kind === "number" ? "decimal" : null, list: key === "tests" ? "other-datasets" : null });
  input.value = Array.isArray(value) ? value.join(", ") : value ?? "";
  return element("div", { class: kind === "number" ? "field" : "field full" }, element("label", { for: id }, title(key)), input, help);
}

function read(node) {
  const kind = node.dataset.kind;
  if (kind === "switch") return node.checked;
  if (kind === "some") return [...node.querySelectorAll(":checked")].map((box) => box.value);
  // A pattern may begin or end with a space.
  if (kind === "text") return node.value === "" ? undefined : node.value;
  const text = node.value.trim();
  if (text === "") return undefined;
  if (kind === "list") return text.split(",").map((one) => one.trim()).filter(Boolean);
  return kind === "number" && !Number.isNaN(Number(text)) ? Number(text) : text;
}

// Only what differs from leaving it out.
function wanted() {
  return [...chosen.children].map((item) => {
    const name = item.dataset.step;
    const properties = steps[name].json_schema.properties ?? {};
    const settings = {};
    for (const node of item.querySelectorAll("[data-key]")) {
      const value = read(node);
      const before = properties[node.dataset.key].default;
      if (value !== undefined && JSON.stringify(value) !== JSON.stringify(before)) settings[node.dataset.key] = value;
    }
    return Object.keys(settings).length ? { step: name, settings } : { step: name };
  });
}

function move(item, by) {
  const to = by < 0 ? item.previousElementSibling : item.nextElementSibling;
  if (!to) return;
  if (by < 0) to.before(item); else to.after(item);
  item.querySelector("h2").focus();
  changed();
}

function remove(item) {
  const next = item.nextElementSibling ?? item.previousElementSibling;
  item.remove();
  (next?.querySelector("h2") ?? document.querySelector("[data-add]")).focus();
  changed();
}

function changed() {
  const list = wanted();
  $("start").disabled = list.length === 0;
  $("code").textContent = `# tunery data clean ${dataset} --recipe FILE\n${list.length ? yaml({ steps: list }) : "steps: []"}\n`;
  $("clean-problem").replaceChildren();
  for (const error of chosen.querySelectorAll(".error")) error.hidden = true;
}

function showProblem({ message, cure, where }) {
  const at = /^steps\.(\d+)/.exec(where?.field ?? "")?.[1];
  const error = chosen.children[at]?.querySelector(".error");
  if (error) {
    error.replaceChildren(...coded(message));
    error.hidden = false;
    error.closest("li").querySelector("h2").focus();
  }
  $("clean-problem").replaceChildren(element("div", { class: "note bad" }, element("div", { class: "stack-2" }, element("p", {}, element("strong", {}, ...coded(message))), element("p", {}, ...coded(cure)))));
}

async function start() {
  $("start").disabled = true;
  const name = $("name").value.trim();
  const body = { steps: wanted(), version: Number($("version").value), publish: $("publish").checked };
  if (name && name !== dataset) body.name = name;
  try {
    const { name: target } = await api(`/datasets/${encodeURIComponent(dataset)}/clean`, { method: "POST", body });
    location.assign(`/datasets/${encodeURIComponent(target)}?tab=report`);
  } catch (error) {
    $("start").disabled = false;
    if (error.problem) showProblem(error.problem);
    else toast(_("The server isn't responding."), { more: _("Try again in a moment."), tone: "bad" });
  }
}

document.body.append(element("datalist", { id: "other-datasets" }, ...others.map((name) => element("option", { value: name }))));
for (const one of begun) if (steps[one.step]) add(one.step, one.settings);
$("clean-form").addEventListener("submit", (event) => { event.preventDefault(); if (!$("start").disabled) start(); });
$("clean-form").addEventListener("input", changed);
$("clean-form").addEventListener("click", (event) => {
  const name = event.target.closest("[data-add]")?.dataset.add;
  if (!name) return;
  const item = add(name);
  changed();
  (item.querySelector("[data-key]:not(fieldset)") ?? item.querySelector("h2")).focus();
});
changed();
