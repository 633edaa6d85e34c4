// A quarantine file with fixed rows, given back: those that can be used now wait for the next import.
import { api, toast } from "./console.js";
import { _ } from "./texts.js";

document.addEventListener("change", async (event) => {
  const input = event.target.closest("#fixed-file");
  const one = input?.files[0];
  if (!one) return;
  try {
    const fixes = (await one.text()).split("\n").filter((line) => line.trim()).map((line) => {
      const { file, row, text } = JSON.parse(line);
      return { file, row, text };
    });
    const found = await api(input.dataset.address, { method: "POST", body: { fixes } });
    sessionStorage.setItem("tunery:fixed", JSON.stringify(found));
    location.reload();
  } catch (error) {
    toast(error.problem?.message ?? _("This isn't a file of bad rows."), { more: error.problem?.cure ?? _("Upload the downloaded file of bad rows, with the text of the rows fixed."), tone: "bad" });
    input.value = "";
  }
});

const said = sessionStorage.getItem("tunery:fixed");
if (said) {
  sessionStorage.removeItem("tunery:fixed");
  const { kept, problems } = JSON.parse(said);
  toast(_("%(n)s fixed rows are valid now.", { n: kept }), { more: problems.length ? _("%(n)s are still invalid.", { n: problems.length }) : "", tone: problems.length ? "" : "good" });
}
