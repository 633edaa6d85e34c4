// The recipe in the form of a new run: datasets with rates and shares, the general corpus, live totals.
import { api } from "./console.js";
import { _, element } from "./texts.js";

const LOWEST = 0.01;
const HIGHEST = 10;
const count = (value) => Math.round(value).toLocaleString("en");
const shown = (value, digits) => String(Number(value.toFixed(digits)));

export class Recipe {
  constructor({ root, begun = {}, sizes, onChange }) {
    Object.assign(this, { root, sizes, onChange, begun, found: null, asked: 0 });
    this.mix = document.getElementById("mix");
    this.own = document.getElementById("mix-own");
    this.totals = document.getElementById("recipe-totals");
    const [first, ...more] = begun.train ?? [];
    if (first) this.fill(this.rows()[0], first);
    for (const ref of more) this.fill(this.add(), ref);
    this.mix.checked = Boolean(begun.mix);
    if (begun.mix?.ratio) this.own.value = shown(1 / begun.mix.ratio, 2);
    document.getElementById("recipe-add").addEventListener("click", () => { this.add().querySelector("select").focus(); this.changed(); });
    root.addEventListener("click", (event) => { if (event.target.closest("[data-remove]")) this.remove(event.target.closest("[data-dataset]")); });
    root.addEventListener("input", (event) => this.typed(event.target));
    for (const input of [this.mix, this.own]) input.addEventListener("input", () => this.changed());
    this.refresh();
  }

  rows() { return [...this.root.querySelectorAll("[data-dataset]")]; }

  used() { return this.rows().filter((row) => row.querySelector("select").value); }

  names() { return this.used().map((row) => row.querySelector("select").value); }

  add() {
    const made = document.getElementById("recipe-row").content.firstElementChild.cloneNode(true);
    this.root.append(made);
    return made;
  }

  // The first row stays: what stands in the next one moves up.
  remove(row) {
    const all = this.rows();
    for (let at = all.indexOf(row); at < all.length - 1; at += 1) {
      for (const part of ["select", "[data-rate]", "[data-share]"]) all[at].querySelector(part).value = all[at + 1].querySelector(part).value;
    }
    if (all.length > 1) all.at(-1).remove();
    all[Math.max(0, Math.min(all.indexOf(row), all.length - 2))].querySelector("select").focus();
    this.changed();
  }

  fill(row, ref) {
    const select = row.querySelector("select");
    if ([...select.options].some((option) => option.value === ref.dataset)) select.value = ref.dataset;
    if (ref.sampling_rate && ref.sampling_rate !== 1) row.querySelector("[data-rate]").value = shown(ref.sampling_rate, 4);
  }

  // What the run is sent: a rate of 1 needs no word; a version stays while its dataset does.
  data() {
    const train = this.used().map((row) => {
      const dataset = row.querySelector("select").value;
      const rate = row.querySelector("[data-rate]").value.trim();
      const before = this.begun.train?.find((ref) => ref.dataset === dataset && ref.version);
      const ref = { dataset };
      if (before) ref.version = before.version;
      if (rate && Number(rate) !== 1) ref.sampling_rate = Number.isNaN(Number(rate)) ? rate : Number(rate);
      return ref;
    });
    const data = { train };
    if (this.mix.checked) data.mix = this.mixed();
    if (this.begun.seed) data.seed = this.begun.seed;
    return data;
  }

  mixed() {
    const own = Number(this.own.value);
    const { dataset, version } = this.begun.mix ?? {};
    const named = dataset ? { dataset, version } : {};
    if (own === 5 && !dataset) return true;
    return { ratio: own > 0 ? Number((1 / own).toPrecision(6)) : this.own.value, ...named };
  }

  typed(input) {
    if ("share" in input.dataset) this.follow(input);
    this.changed();
  }

  // A share that is typed moves its row's rate; the others keep theirs.
  follow(input) {
    const share = Number(input.value) / 100;
    const row = input.closest("[data-dataset]");
    const size = this.sizes[row.querySelector("select").value];
    if (!(share > 0 && share < 1) || !size) return;
    const others = this.used().filter((one) => one !== row).reduce((sum, one) => sum + this.rate(one) * (this.sizes[one.querySelector("select").value] ?? 0), 0);
    const general = this.mix.checked ? 1 / (1 + 1 / Number(this.own.value)) : 1;
    const whole = share / general;
    if (whole >= 1 || !others) return;
    const rate = (whole * others) / ((1 - whole) * size);
    row.querySelector("[data-rate]").value = shown(Math.min(HIGHEST, Math.max(LOWEST, rate)), 4);
  }

  rate(row) {
    const rate = Number(row.querySelector("[data-rate]").value || 1);
    return rate > 0 ? rate : 0;
  }

  changed() {
    this.refresh();
    this.onChange();
  }

  refresh() {
    const several = this.used().length > 1;
    document.getElementById("mix-part").hidden = !this.mix.checked;
    for (const row of this.rows()) {
      row.querySelector("[data-share]").disabled = !several || !row.querySelector("select").value;
      row.querySelector("[data-rate]").disabled = !row.querySelector("select").value;
      row.querySelector("[data-remove]").hidden = this.rows().length === 1;
    }
    this.shares();
  }

  // By characters; the server's word replaces it as soon as it comes.
  shares() {
    const rows = this.used();
    const sizes = rows.map((row) => this.rate(row) * (this.sizes[row.querySelector("select").value] ?? 0));
    const own = sizes.reduce((sum, size) => sum + size, 0);
    const all = this.mix.checked && Number(this.own.value) > 0 ? own * (1 + 1 / Number(this.own.value)) : own;
    for (const row of this.rows()) {
      const at = rows.indexOf(row);
      const input = row.querySelector("[data-share]");
      if (input !== document.activeElement) input.value = at < 0 || !all ? "" : shown((100 * sizes[at]) / all, 1);
    }
  }

  clear() {
    this.asked += 1;
    this.totals.hidden = true;
  }

  async preview(spec) {
    const turn = (this.asked += 1);
    try {
      const found = await api("/runs/preview", { method: "POST", body: spec });
      if (turn === this.asked) this.show(found);
    } catch {
      // The check beside the button says what is wrong.
      if (turn === this.asked) this.totals.hidden = true;
    }
  }

  show({ parts, rows, characters, tokens, general_tokens: general, replay_tokens: replay, minimum, leaks, cost }) {
    const line = (...texts) => element("p", {}, ...texts);
    const facts = [
      line(element("strong", {}, _("%(rows)s training rows", { rows: count(rows.train) })), ` · ${_("%(n)s characters", { n: count(characters) })} · ${_("about %(n)s tokens per epoch", { n: count(tokens) })}`),
    ];
    const mixed = parts.find((part) => part.kind === "general");
    if (mixed) facts.push(line(_("The general corpus %(name)s adds %(rows)s rows, about %(tokens)s tokens (%(share)s %).", { name: mixed.dataset, rows: count(mixed.rows), tokens: count(general), share: shown(mixed.share, 1) })));
    const again = parts.filter((part) => part.kind === "replay");
    if (again.length) facts.push(line(_("Learnt before and mixed in again: %(names)s, %(rows)s rows, about %(tokens)s tokens.", { names: again.map((part) => part.dataset).join(", "), rows: count(again.reduce((sum, part) => sum + part.rows, 0)), tokens: count(replay) })));
    if (rows.set_aside) facts.push(line(_("%(n)s validation rows", { n: count(rows.validation) }), rows.returned ? `; ${_("%(drawn)s were drawn, and %(back)s go back to training", { drawn: count(rows.set_aside), back: count(rows.returned) })}` : ""));
    if (cost) facts.push(this.costs(cost));
    facts.push(line(element("span", { class: "muted" }, _("Rows needed: %(n)s.", { n: minimum.minimum }), ` ${minimum.arithmetic}`)));
    if (leaks?.rows.length) facts.push(this.leaked(leaks));
    this.totals.replaceChildren(...facts);
    this.totals.hidden = false;
  }

  // The sum where it is known, and what it is made of.
  costs({ micro, hours, tokens, prices, basis }) {
    const unit = prices.currency ? ` ${prices.currency}` : "";
    const by = [prices.per_hour !== null && _("%(price)s an hour", { price: prices.per_hour + unit }), prices.per_million_tokens !== null && _("%(price)s a million tokens", { price: prices.per_million_tokens + unit })].filter(Boolean).join(" · ");
    const sum = micro === null ? _("The cost depends on the time, which no earlier run of this kind tells.") : _("About %(sum)s", { sum: (micro / 1e6).toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 }) + unit });
    const parts = [hours !== null && prices.per_hour !== null && `${hours} h`, prices.per_million_tokens !== null && _("%(n)s tokens", { n: count(tokens) }), by, basis].filter(Boolean).join(" · ");
    return element("p", {}, element("strong", {}, sum), ` ${parts}`);
  }

  leaked({ exact, near, rows }) {
    const list = element("ul", {}, ...rows.slice(0, 5).map((leak) => element("li", {}, _("%(test)s row %(n)s = %(train)s row %(m)s: %(text)s", { test: leak.test, n: leak.test_row + 1, train: leak.train, m: leak.train_row + 1, text: leak.excerpt }))));
    return element("details", { class: "note warn" }, element("summary", {}, _("Rows that are also in the training data: %(n)s", { n: count(exact + near) })), list);
  }
}
