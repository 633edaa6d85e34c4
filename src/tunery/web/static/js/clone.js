// What a clone changes of the run it was made from, before it is started.
import { _, element } from "./texts.js";

const told = (value) => (value === null ? _("none") : Array.isArray(value) ? value.join(", ") : String(value));

export function changesOf(clone) {
  if (!clone) return [];
  const title = element("h3", {}, clone.changes.length ? _("Changed from %(run)s", { run: clone.name }) : _("Nothing is changed from %(run)s yet.", { run: clone.name }));
  const facts = element("dl", { class: "facts", id: "changes" });
  for (const { name, before, after } of clone.changes) {
    facts.append(element("dt", {}, element("code", {}, name.replace(/^settings\./, ""))), element("dd", {}, element("s", {}, told(before)), " → ", element("strong", {}, told(after))));
  }
  return [title, facts];
}
