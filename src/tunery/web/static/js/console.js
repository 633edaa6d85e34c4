// What every page has: toasts, dialogs, copying, moments that stay fresh, the banner while the server is away.
import { _, coded, element } from "./texts.js";

export function toast(text, { more = "", tone = "" } = {}) {
  const made = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  if (tone) made.classList.add(tone);
  made.querySelector("span").append(element("p", {}, ...coded(text)), ...(more ? [element("p", {}, ...coded(more))] : []));
  const leave = () => made.remove();
  made.querySelector("button").addEventListener("click", leave);
  document.getElementById("toasts").append(made);
  setTimeout(leave, tone === "bad" ? 12000 : 5000);
}

const banner = document.getElementById("connection");
const away = new Set();

// Parts of the page that lost the server say so here; the banner stays until all have it again.
export function connection(who, well) {
  if (well) away.delete(who); else away.add(who);
  banner.hidden = away.size === 0;
}

// An answer of the API, or null after a problem was shown. `quiet`: the caller shows it.
export async function api(path, { method = "GET", body, headers = {}, signal } = {}) {
  const answer = await fetch(`/api/v1${path}`, {
    method,
    signal,
    headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) { location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`); }
  const value = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(value.message), { problem: value, status: answer.status });
  return value;
}

async function copy(button) {
  const choice = button.dataset.copy;
  const source = choice ? document.querySelector(choice) : button.closest(".code").querySelector("code");
  const label = button.querySelector("span");
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent);
    label.textContent = _("Copied");
    if (label.classList.contains("sr")) toast(_("Copied"), { tone: "good" });
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    label.textContent = _("Press Ctrl+C");
  }
  setTimeout(() => { label.textContent = before; }, 1600);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.opens) document.getElementById(button.dataset.opens).showModal();
  else if ("close" in button.dataset) button.closest("dialog").close();
  else if ("copy" in button.dataset) copy(button);
  else if ("back" in button.dataset) history.back();
});

// A click beside a dialog closes it.
document.addEventListener("mousedown", (event) => { if (event.target.tagName === "DIALOG") event.target.close(); });

document.addEventListener("submit", (event) => {
  const button = event.target.querySelector("[data-once]");
  if (button) setTimeout(() => { button.disabled = true; }, 0);
});
// A page that comes back from the browser's cache has its buttons again.
addEventListener("pageshow", () => { for (const button of document.querySelectorAll("[data-once]")) button.disabled = false; });

document.addEventListener("input", (event) => {
  const target = event.target.dataset.filters;
  if (!target) return;
  const wanted = event.target.value.toLowerCase();
  for (const row of document.querySelectorAll(`${target} tbody tr`)) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});

// What an open dialog's form was refused for stands in the dialog: behind it nobody would see it.
function refusal(dialog, { text, more }) {
  dialog.querySelector("[data-refusal]")?.remove();
  const note = element("div", { class: "note bad", role: "alert", "data-refusal": "" }, element("div", { class: "stack-2" }, element("p", {}, element("strong", {}, ...coded(text))), element("p", {}, ...coded(more))));
  dialog.querySelector(".d-body").append(note);
  note.scrollIntoView({ block: "nearest" });
}

document.addEventListener("tunery:toast", (event) => {
  const dialog = document.querySelector("dialog[open]");
  if (dialog && event.detail.tone === "bad") refusal(dialog, event.detail);
  else toast(event.detail.text, event.detail);
});
document.addEventListener("close", (event) => event.target.querySelector?.("[data-refusal]")?.remove(), true);
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && "closes" in event.detail.elt.dataset) event.detail.elt.closest("dialog").close();
});
document.addEventListener("htmx:sendError", () => connection("page", false));
document.addEventListener("htmx:afterOnLoad", () => connection("page", true));

function ago(moment) {
  const seconds = (Date.now() - moment) / 1000;
  if (seconds < 45) return _("just now");
  if (seconds < 3600) return _("%(n)s min ago", { n: Math.max(1, Math.round(seconds / 60)) });
  if (seconds < 86400) return _("%(n)s h ago", { n: Math.round(seconds / 3600) });
  if (seconds < 7 * 86400) return _("%(n)s d ago", { n: Math.round(seconds / 86400) });
  return null;
}
function refreshTimes() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = ago(Date.parse(time.dateTime));
    if (text && text !== time.textContent) time.textContent = text;
  }
}
setInterval(refreshTimes, 30000);

// A strict cookie doesn't come with a link from another site: ask once more from here, and go on when signed in.
const login = document.querySelector("[data-login]");
if (login) {
  const answer = await fetch("/login", { redirect: "manual" });
  if (answer.type === "opaqueredirect") location.replace(login.dataset.next);
}

