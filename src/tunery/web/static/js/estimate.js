// Time and memory of a run that isn't made yet: asked for by a button, measured by an engine, told when it is there.
import { api } from "./console.js";
import { _, duration, element } from "./texts.js";

const POLL = 1000;
const whole = (value) => Math.round(value).toLocaleString("en");
const pause = () => new Promise((done) => { setTimeout(done, POLL); });

export class Estimating {
  constructor({ button, place, spec }) {
    Object.assign(this, { button, place, spec, turn: 0 });
    button.addEventListener("click", () => this.ask());
    this.clear();
  }

  // What was told was about another run.
  clear() {
    this.turn += 1;
    this.place.replaceChildren();
    this.button.disabled = true;
  }

  ready() { this.button.disabled = false; }

  async ask() {
    const turn = (this.turn += 1);
    const spec = this.spec();
    const ask = () => api("/runs/estimate", { method: "POST", body: spec });
    this.button.disabled = true;
    try {
      let asked = await ask();
      while (!asked.found) {
        if (turn !== this.turn) return;
        const task = await api(`/tasks/${asked.task}`);
        if (task.state === "failed") throw Object.assign(new Error(), { problem: task.reason });
        if (task.state === "succeeded") asked = await ask();
        else { this.wait(task); await pause(); }
      }
      if (turn === this.turn) this.show(asked.found);
    } catch (error) {
      if (turn === this.turn) this.place.replaceChildren(element("div", { class: "note bad" }, error.problem ? `${error.problem.message} ${error.problem.cure}` : _("The server doesn't answer.")));
    } finally {
      if (turn === this.turn) this.button.disabled = false;
    }
  }

  wait({ state, progress }) {
    const says = state === "queued" ? _("Waiting for a free engine") : progress?.stage === "try" ? _("Trying some batches") : _("Reading rows");
    this.place.replaceChildren(element("p", { class: "muted" }, says), element("progress", { "aria-label": _("Measuring"), ...(progress ? { max: progress.total, value: progress.done } : {}) }));
  }

  show({ tokens, steps, train_seconds: time, other_seconds: other, memory_mb: memory, machine_mb: machine, longest_batch: longest, fits }) {
    const facts = element("dl", { class: "facts" });
    const say = (term, text) => facts.append(element("dt", {}, term), element("dd", {}, text));
    say(_("Training"), _("about %(time)s (%(low)s to %(high)s)", { time: duration(time.value), low: duration(time.low), high: duration(time.high) }));
    say(_("Beside it"), _("about %(time)s for loading and validation", { time: duration(other) }));
    say(_("Tokens"), _("%(tokens)s in %(steps)s steps; the longest batch has %(longest)s", { tokens: whole(tokens), steps: whole(steps), longest: whole(longest) }));
    say(_("Memory"), _("about %(n)s MB (up to %(high)s); this machine has %(all)s MB", { n: whole(memory.value), high: whole(memory.high), all: whole(machine) }));
    this.place.replaceChildren(facts, ...(fits ? [] : [element("div", { class: "note warn" }, _("This may not fit into memory. Lower batch_size or max_sequence_length, or train an adapter (lora)."))]));
  }
}
