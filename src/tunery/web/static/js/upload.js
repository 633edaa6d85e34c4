// The upload of a dataset: drop or choose, watch it go, then to the dataset's page.
import { _, bytes, duration, element } from "./texts.js";

const form = document.getElementById("upload");
const drop = document.getElementById("drop");
const file = document.getElementById("file");
const name = document.getElementById("name");
const problem = document.getElementById("upload-problem");
const area = document.getElementById("upload-progress");
const bar = area.querySelector("progress");
const says = document.getElementById("upload-says");
const format = document.getElementById("format");
const help = document.getElementById("format-help");
const plainHelp = help.textContent;
let request = null;

function chosen() {
  const one = file.files[0];
  drop.classList.toggle("chosen", Boolean(one));
  if (!one) return;
  document.getElementById("drop-name").textContent = one.name;
  document.getElementById("drop-help").textContent = bytes(one.size);
  if (!name.value) name.value = one.name.replace(/(\.(jsonl?|csv|tsv|txt|parquet|gz|zst|zip))+$/i, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, 128);
}

function show(title, cure) {
  problem.replaceChildren(element("div", { class: "note bad", role: "alert" }, element("div", { class: "stack-2" }, element("p", {}, element("strong", {}, title)), element("p", {}, cure))));
  problem.hidden = false;
  area.hidden = true;
  form.querySelector("[type=submit]").disabled = false;
}

file.addEventListener("change", chosen);
format.addEventListener("change", () => { help.textContent = format.selectedOptions[0].dataset.help ?? plainHelp; });
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) { file.files = event.dataTransfer.files; chosen(); }
});
// A file that misses the zone must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
document.getElementById("upload-cancel").addEventListener("click", () => request?.abort());

form.addEventListener("submit", (event) => {
  event.preventDefault();
  problem.hidden = true;
  const one = file.files[0];
  if (!one) { file.focus(); return show(_("Choose a file first."), _("Drop it into the field above, or click the field.")); }
  if (!name.checkValidity()) { name.focus(); return show(_("The dataset needs a name."), _("Letters, digits, dot, hyphen, underscore; a letter or digit first.")); }
  if (one.size > Number(form.dataset.limit)) return show(_("The file is larger than this server takes (%(limit)s).", { limit: bytes(Number(form.dataset.limit)) }), _("Split it into several files."));
  send(one);
});

function send(one) {
  const body = new FormData();
  body.append("name", name.value);
  if (format.value) body.append("format", format.value);
  for (const key of ["accept_bad_rows", "publish"]) body.append(key, form.elements[key].checked ? "true" : "false");
  body.append("file", one);
  request = new XMLHttpRequest();
  const began = performance.now();
  request.upload.addEventListener("progress", (event) => {
    bar.max = event.total;
    bar.value = event.loaded;
    const seconds = (performance.now() - began) / 1000;
    const left = seconds > 1 && event.loaded < event.total ? ` · ${_("%(time)s left", { time: duration((event.total - event.loaded) / (event.loaded / seconds)) })}` : "";
    says.textContent = `${_("%(done)s of %(total)s", { done: bytes(event.loaded), total: bytes(event.total) })}${left}`;
  });
  request.addEventListener("load", () => {
    const answer = JSON.parse(request.responseText);
    if (request.status === 202) location.assign(`/datasets/${encodeURIComponent(answer.name)}`);
    else if (request.status === 401) location.assign("/login?next=/datasets/new");
    else show(answer.message, answer.cure);
  });
  request.addEventListener("error", () => show(_("The connection to the server broke off."), _("Nothing was stored. Try again when the server is back.")));
  request.open("POST", "/api/v1/datasets");
  request.send(body);
  area.hidden = false;
  form.querySelector("[type=submit]").disabled = true;
}
