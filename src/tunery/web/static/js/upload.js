// The upload of a dataset, in parts: drop or choose, watch it go, pause it; after a cut line, a new start of the
// server or a reload it goes on where it was. Then to the dataset's page.
import { api } from "./console.js";
import { _, bytes, coded, duration, element } from "./texts.js";

const PART = 8 * 1024 * 1024;
const PASSING = new Set([0, 409, 423, 502, 503, 504]);
const WAITS = [1, 2, 4, 8, 15];

const form = document.getElementById("upload");
const drop = document.getElementById("drop");
const file = document.getElementById("file");
const name = document.getElementById("name");
const problem = document.getElementById("upload-problem");
const area = document.getElementById("upload-progress");
const bar = area.querySelector("progress");
const says = document.getElementById("upload-says");
const submit = form.querySelector("[type=submit]");
const pause = document.getElementById("upload-pause");
const format = document.getElementById("format");
const help = document.getElementById("format-help");
const plainHelp = help.textContent;
let sending = null;

function chosen() {
  const one = file.files[0];
  drop.classList.toggle("chosen", Boolean(one));
  if (!one) return;
  document.getElementById("drop-name").textContent = one.name;
  const came = document.querySelector(`[data-mark="${CSS.escape(mark(one))}"]`);
  document.getElementById("drop-help").textContent = came
    ? _("%(size)s; resumes after the %(done)s already uploaded", { size: bytes(one.size), done: came.dataset.came })
    : bytes(one.size);
  if (!name.value) name.value = one.name.replace(/(\.(jsonl?|csv|tsv|txt|parquet|gz|zst|zip))+$/i, "").replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, 128);
}

function show(title, cure) {
  problem.replaceChildren(element("div", { class: "note bad", role: "alert" }, element("div", { class: "stack-2" }, element("p", {}, element("strong", {}, ...coded(title))), element("p", {}, ...coded(cure)))));
  problem.hidden = false;
  area.hidden = true;
  pause.hidden = true;
  submit.hidden = false;
  submit.disabled = false;
}

file.addEventListener("change", chosen);
format.addEventListener("change", () => {
  const one = format.value !== "registry";
  name.disabled = !one;
  form.elements.salvage.disabled = !one;
  help.textContent = format.selectedOptions[0].dataset.help ?? plainHelp;
});
for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length && !sending) { file.files = event.dataTransfer.files; chosen(); }
});
// A file that misses the zone must not replace the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

form.addEventListener("submit", (event) => {
  event.preventDefault();
  problem.hidden = true;
  const one = file.files[0];
  if (!one) { file.focus(); return show(_("Choose a file first."), _("Drop it above, or click to choose one.")); }
  if (!name.checkValidity()) { name.focus(); return show(_("The dataset needs a name."), _("Letters, digits, dot, hyphen, underscore; a letter or digit first.")); }
  if (one.size > Number(form.dataset.limit)) return show(_("The file is larger than this server accepts (%(limit)s).", { limit: bytes(Number(form.dataset.limit)) }), _("Split it into several files."));
  start(one);
});

pause.addEventListener("click", () => {
  if (sending) sending.stop(); else start(file.files[0]);
});

async function start(one) {
  const this_one = new Sending(one);
  sending = this_one;
  area.hidden = false;
  submit.hidden = true;
  pause.hidden = false;
  pause.textContent = _("Pause");
  try {
    const id = await this_one.run();
    if (id === null) {
      pause.textContent = _("Resume");
      says.textContent = _("Paused at %(done)s of %(total)s", { done: bytes(this_one.offset), total: bytes(one.size) });
      return;
    }
    pause.hidden = true;
    if (format.value === "registry") return await registry(id);
    location.assign(`/datasets/${encodeURIComponent(await imported(id))}`);
  } catch (error) {
    if (error.problem) show(error.problem.message, error.problem.cure);
    else show(_("The connection to the server was lost."), _("What was uploaded is kept. Import the same file again to resume."));
  } finally {
    sending = null;
  }
}

// The dataset's name. An answer that was lost is asked for again; an upload that is gone by then was imported.
async function imported(id) {
  for (let failures = 0; ; failures += 1) {
    try {
      return (await api(`/uploads/${id}/import`, { method: "POST", body: options() })).name;
    } catch (error) {
      if (error.status === 404 && failures) return name.value;
      if (error.problem || failures >= WAITS.length) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * WAITS[failures]); });
    }
  }
}

// Every entry is an import of its own; what is skipped is said before the page is left.
async function registry(id) {
  const body = { accept_bad_rows: form.elements.accept_bad_rows.checked, publish: form.elements.publish.checked };
  const made = await api(`/uploads/${id}/import-registry`, { method: "POST", body });
  const lines = [
    ...made.datasets.map((one) => element("li", {}, element("a", { href: `/datasets/${encodeURIComponent(one.name)}` }, one.name), ` · ${_("importing")}`)),
    ...made.skipped.map((one) => element("li", {}, _("%(name)s is skipped: %(reason)s.", one))),
    ...made.notes.map((one) => element("li", {}, `${one.name}: ${one.reason}.`)),
  ];
  problem.replaceChildren(element("div", { class: `note ${made.skipped.length ? "warn" : "good"}`, role: "status" }, element("div", { class: "stack-2" },
    element("p", {}, element("strong", {}, made.datasets.length === 1 ? _("1 dataset is being imported.") : _("%(n)s datasets are being imported.", { n: made.datasets.length }))), element("ul", { class: "stack-2" }, ...lines))));
  problem.hidden = false;
  area.hidden = true;
  submit.hidden = false;
}

function options() {
  const wanted = { name: name.value, columns: pairs("column"), turns: pairs("turn") };
  if (format.value) wanted.format = format.value;
  for (const key of ["accept_bad_rows", "salvage", "publish"]) wanted[key] = form.elements[key].checked;
  return wanted;
}

function pairs(kind) {
  const found = {};
  for (const row of form.querySelectorAll(`[data-pair=${kind}]`)) {
    const [field, source] = [...row.querySelectorAll("input, select")].map((input) => input.value.trim());
    if (field && source) found[field] = source;
  }
  return found;
}

// Browsers give a page no path, so this is all that tells a file from another.
function mark(one) { return `${one.name}:${one.size}:${one.lastModified}`.slice(-250); }

class Sending {
  constructor(one) { this.one = one; this.offset = 0; this.stopped = false; this.request = null; this.wake = null; }

  stop() { this.stopped = true; this.request?.abort(); this.wake?.(); }

  // The upload's id when all of it is there; null when it was stopped.
  async run() {
    const id = await this.find();
    this.began = performance.now();
    this.first = this.offset;
    let failures = 0;
    while (this.offset < this.one.size && !this.stopped) {
      this.tell(this.offset);
      const answer = await this.part(id);
      if (answer.status === 204) {
        this.offset = Math.min(this.offset + PART, this.one.size);
        failures = 0;
        continue;
      }
      if (this.stopped) break;
      if (!PASSING.has(answer.status) || failures >= 60) throw Object.assign(new Error(), { problem: answer.problem });
      says.textContent = _("Connection lost at %(done)s; trying again …", { done: bytes(this.offset) });
      await new Promise((resolve) => { this.wake = resolve; setTimeout(resolve, 1000 * WAITS[Math.min(failures, WAITS.length - 1)]); });
      failures += 1;
      try { this.offset = (await api(`/uploads/${id}`)).offset; } catch (error) { if (error.problem && !PASSING.has(error.status)) throw error; }
    }
    if (this.offset < this.one.size) return null;
    this.tell(this.offset);
    return id;
  }

  async find() {
    const known = await api(`/uploads?limit=1&fingerprint=${encodeURIComponent(mark(this.one))}`);
    const coded = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
    const upload = known.data[0] ?? await api("/uploads", {
      method: "POST",
      headers: { "Upload-Length": String(this.one.size), "Upload-Metadata": `filename ${coded(this.one.name)},fingerprint ${coded(mark(this.one))}` },
    });
    this.offset = upload.offset;
    return upload.id;
  }

  // fetch tells nothing of how far a body is sent.
  part(id) {
    return new Promise((resolve) => {
      const request = this.request = new XMLHttpRequest();
      request.open("PATCH", `/api/v1/uploads/${id}`);
      request.setRequestHeader("Content-Type", "application/offset+octet-stream");
      request.setRequestHeader("Upload-Offset", String(this.offset));
      const begun = this.offset;
      request.upload.addEventListener("progress", (event) => this.tell(begun + event.loaded));
      request.addEventListener("loadend", () => resolve({ status: request.status, problem: request.status > 204 ? JSON.parse(request.responseText) : undefined }));
      request.send(this.one.slice(this.offset, this.offset + PART));
    });
  }

  tell(done) {
    bar.max = this.one.size || 1;
    bar.value = done;
    const seconds = (performance.now() - this.began) / 1000;
    const rate = (done - this.first) / seconds;
    const left = seconds > 1 && rate > 0 && done < this.one.size ? ` · ${_("%(time)s left", { time: duration((this.one.size - done) / rate) })}` : "";
    says.textContent = `${_("%(done)s of %(total)s", { done: bytes(done), total: bytes(this.one.size) })}${left}`;
  }
}
