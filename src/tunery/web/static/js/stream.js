// Server-sent events by fetch: begins at a known event, goes on after a break or a restart of the server by itself.
const QUIET = 45000;

export class Stream {
  // `onEvent(type, body)`, `onState(well)`; ends after an `end` event.
  constructor(address, { after = 0, onEvent, onState }) {
    Object.assign(this, { address, last: after, onEvent, onState, wait: 500, closed: false });
    this.run();
    addEventListener("online", () => this.wake?.());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.wake?.(); });
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  close() {
    this.closed = true;
    this.abort?.abort();
  }

  async run() {
    while (!this.closed) {
      try {
        await this.listen();
      } catch {
        // Whatever broke, the next try tells: the state below says so to the person.
      }
      if (this.closed) break;
      this.onState(false);
      await new Promise((go) => { this.wake = go; setTimeout(go, this.wait); });
      this.wait = Math.min(this.wait * 1.6, 8000);
    }
  }

  async listen() {
    this.abort = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (this.last) headers["Last-Event-ID"] = String(this.last);
    const answer = await fetch(this.address, { headers, signal: this.abort.signal, cache: "no-store" });
    if (answer.status === 401) return location.reload();
    if (answer.status === 404) return this.close();
    if (!answer.ok) throw new Error(String(answer.status));
    this.wait = 500;
    this.onState(true);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let silence = 0;
    for (;;) {
      clearTimeout(silence);
      silence = setTimeout(() => this.abort.abort(), QUIET);
      const { value, done } = await reader.read();
      if (done) { clearTimeout(silence); return; }
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) if (this.take(block)) { clearTimeout(silence); return; }
    }
  }

  // True after the last event.
  take(block) {
    let type = "message";
    const data = [];
    for (const line of block.split(/\r?\n/)) {
      const [, field, value] = /^([a-z]*): ?(.*)$/s.exec(line) ?? [];
      if (field === "id") this.last = Number(value) || this.last;
      else if (field === "event") type = value;
      else if (field === "data") data.push(value);
    }
    if (type === "end") { this.close(); this.onState(true); this.onEvent("end", {}); return true; }
    if (data.length) this.onEvent(type, JSON.parse(data.join("\n")));
    return false;
  }
}
