// The playground: the same words to one model or two, answers as they are written, the request as code.
import { connection } from "./console.js";
import { python, quoted } from "./run-code.js";
import { _, element } from "./texts.js";

const $ = (id) => document.getElementById(id);
const CHAT = "/v1/chat/completions";

class Side {
  constructor(node) {
    this.node = node;
    this.turns = node.querySelector(".turns");
    this.select = node.querySelector("select");
    this.speed = node.querySelector("[data-speed]");
    this.start = this.turns.firstElementChild;
    this.messages = [];
  }

  get shown() { return !this.node.hidden; }

  clear() {
    this.messages = [];
    this.turns.replaceChildren(this.start);
    this.speed.textContent = "";
  }

  bubble(role, text, more = "") {
    this.start.remove();
    const words = element("div", { class: "bubble" }, text);
    const turn = element("div", { class: `turn ${role} ${more}` }, element("span", { class: "who" }, role === "user" ? _("You") : this.select.value), words);
    this.turns.append(turn);
    this.turns.scrollTop = this.turns.scrollHeight;
    return { turn, words };
  }

  async ask(text, settings, signal) {
    this.messages.push({ role: "user", content: text });
    this.bubble("user", text);
    const { turn, words } = this.bubble("assistant", "", "waiting");
    const began = performance.now();
    this.speed.textContent = _("loading …");
    let answer = "";
    try {
      const result = await this.read(settings, signal, (piece) => {
        answer += piece;
        words.textContent = answer;
        this.turns.scrollTop = this.turns.scrollHeight;
      });
      const seconds = (performance.now() - began) / 1000;
      this.speed.textContent = result.tokens ? _("%(n)s tokens · %(s)s s", { n: result.tokens, s: seconds.toFixed(1) }) : `${seconds.toFixed(1)} s`;
      if (result.reason === "length") this.speed.textContent += ` · ${_("cut off at the maximum length")}`;
    } catch (error) {
      if (error.name === "AbortError") this.speed.textContent = _("stopped");
      else { turn.classList.add("bad"); words.textContent = answer ? `${answer}\n\n${error.message}` : error.message; this.speed.textContent = ""; }
      if (!answer && error.name !== "AbortError") { this.messages.pop(); turn.classList.remove("waiting"); return; }
    }
    turn.classList.remove("waiting");
    this.messages.push({ role: "assistant", content: answer });
    if (!answer && !turn.classList.contains("bad")) words.textContent = _("(empty answer)");
  }

  // Reads the answer piece by piece; returns why it ended and how many tokens it has.
  async read(settings, signal, onPiece) {
    const body = { ...requestOf(this, settings), stream: true, stream_options: { include_usage: true } };
    const answer = await fetch(CHAT, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal }).catch((error) => {
      if (error.name === "AbortError") throw error;
      connection("chat", false);
      throw new Error(_("The server isn't responding."));
    });
    connection("chat", true);
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const result = { reason: null, tokens: 0 };
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return result;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") return result;
        const chunk = JSON.parse(data);
        if (chunk.error) throw new Error(chunk.error.message);
        const choice = chunk.choices?.[0];
        if (choice?.delta?.content) onPiece(choice.delta.content);
        result.reason = choice?.finish_reason ?? result.reason;
        result.tokens = chunk.usage?.completion_tokens ?? result.tokens;
      }
    }
  }
}

const sides = [...document.querySelectorAll(".chat")].map((node) => new Side(node));
let running = null;

function settingsNow() {
  const most = Number($("max_tokens").value);
  return { system: $("system").value.trim(), temperature: Number($("temperature").value), ...(most >= 1 ? { max_tokens: Math.round(most) } : {}) };
}

function requestOf(side, { system, ...rest }, messages = side.messages) {
  return { model: side.select.value, messages: [...(system ? [{ role: "system", content: system }] : []), ...messages], ...rest };
}

// What would be sent next; while nothing is being written, what brought the last answer.
function messagesAsCode({ messages }) {
  const words = $("message").value.trim();
  if (words || !messages.length) return [...messages, { role: "user", content: words || "…" }];
  return messages.slice(0, messages.findLastIndex((message) => message.role === "user") + 1);
}

function showCode() {
  const body = requestOf(sides[0], settingsNow(), messagesAsCode(sides[0]));
  const given = Object.entries(body).map(([name, value]) => `    ${name}=${python(value, "    ")},`).join("\n");
  $("code-curl").textContent = `curl ${location.origin}${CHAT} \\\n  -H "Authorization: Bearer $TUNERY_TOKEN" \\\n  -H "Content-Type: application/json" \\\n  -d ${quoted(JSON.stringify(body, null, 2))}\n`;
  $("code-python").textContent = `import os\n\nfrom openai import OpenAI\n\nclient = OpenAI(base_url="${location.origin}/v1", api_key=os.environ["TUNERY_TOKEN"])\nanswer = client.chat.completions.create(\n${given}\n)\nprint(answer.choices[0].message.content)\n`;
}

function busy(on) {
  $("send").hidden = on;
  $("stop").hidden = !on;
}

async function send() {
  const text = $("message").value.trim();
  if (!text || running) return;
  $("message").value = "";
  running = new AbortController();
  busy(true);
  await Promise.all(sides.filter((side) => side.shown).map((side) => side.ask(text, settingsNow(), running.signal)));
  running = null;
  busy(false);
  showCode();
  $("message").focus();
}

function remember() {
  const query = new URLSearchParams({ model: sides[0].select.value });
  if (sides[1].shown) query.set("against", sides[1].select.value);
  history.replaceState(null, "", `${location.pathname}?${query}`);
  showCode();
}

if (sides.length) {
  $("composer").addEventListener("submit", (event) => { event.preventDefault(); send(); });
  $("message").addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); } });
  $("stop").addEventListener("click", () => running?.abort());
  $("clear").addEventListener("click", () => { running?.abort(); for (const side of sides) side.clear(); showCode(); });
  $("side-by-side").addEventListener("change", (event) => {
    sides[1].node.hidden = !event.target.checked;
    $("chats").classList.toggle("two", event.target.checked);
    sides[1].clear();
    remember();
  });
  for (const side of sides) side.select.addEventListener("change", () => { side.clear(); remember(); });
  $("temperature").addEventListener("input", (event) => { $("temperature-value").textContent = event.target.value; });
  $("play").addEventListener("input", showCode);
  addEventListener("pagehide", () => running?.abort());
  showCode();
}
