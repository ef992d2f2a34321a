// One caller's right to what is known of them: all of it given out as a file, or erased for good.

import { postForFile, postForLong, session } from "./api.js";
import { button, el, replace } from "./dom.js";
import { ask, field, say } from "./form.js";
import { plain } from "./words.js";

const REASON = { name: "reason", required: true, maxlength: 300, autocomplete: "off", "data-missing": "A reason is needed: it is kept in the audit log." };

// What names a caller, as the server sees it: the digits of a number, or all of another address.
function named(given) {
  const user = given.trim().replace(/^(sips?|tel):/i, "").split("@")[0];
  const digits = user.replaceAll(/[\s()./-]/g, "").replace(/^\++/, "");
  return /^\d{3,}$/.test(digits) ? digits : given.trim().toLowerCase();
}

export function callerData() {
  const number = field("Caller's whole number", {
    name: "number", type: "tel", maxlength: 200, autocomplete: "off", required: true,
    hint: "As calls show it. Spaces and dashes do not matter, but +49 30…, 0049 30… and 030… are three numbers: try each. Or a SIP address.",
  });
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const result = el("div", { role: "status" });
  const mayExport = session.can("export");
  const mayErase = session.can("erase");
  const form = el("form", { class: "card sheet", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    if (mayExport) give();
  } },
    el("h2", {}, "Whose data?"),
    number, problem,
    el("div", { class: "row wrap" },
      mayExport ? button("Export…", { tone: "primary", onclick: give }) : null,
      mayErase ? button("Erase…", { tone: "danger", onclick: erase }) : null));

  function wanted() {
    const given = number.input.value.trim();
    const whole = named(given).length >= 3;
    problem.hidden = whole;
    problem.textContent = whole ? "" : "Enter the caller's whole number.";
    if (!whole) number.input.focus();
    return whole ? given : null;
  }

  async function give() {
    const given = wanted();
    if (!given) return;
    const done = await ask({
      title: `Export what is recorded of ${given}?`,
      text: "Calls, transcripts, handoffs, actions, recordings, messages, call-backs and grades, as one ZIP file. It holds personal data: keep it safe.",
      confirm: "Export", asked: [field("Reason", REASON)],
      act: async (values) => save(await postForFile("/api/export", { number: given, ...values }), `caller-${named(given).replaceAll(/[^\w.-]+/g, "_")}.zip`),
    });
    if (done) say("The file is being saved.");
  }

  async function erase() {
    const given = wanted();
    if (!given) return;
    let report = null;
    const done = await ask({
      title: `Erase everything recorded of ${given}?`,
      text: "Calls, transcripts, recordings, grades, messages, call-backs, and what was taken from them for evaluation or as approved answers are deleted for good. This cannot be undone.",
      confirm: "Erase for good", tone: "danger",
      asked: [
        field("Reason", REASON),
        field("The number again", { name: "again", type: "tel", required: true, maxlength: 200, autocomplete: "off", "data-missing": "Enter the number again, to be sure that it is the right one." }),
      ],
      act: async ({ reason, again }) => {
        if (named(again) !== named(given)) throw new Error("That is another number.");
        report = await postForLong("/api/erase", { number: given, reason });
      },
    });
    if (!done) return;
    replace(result, erased(report));
    number.input.value = "";
  }

  return {
    title: "Caller data",
    node: el("div", { class: "page" }, el("h1", {}, "Caller data"),
      el("p", { class: "muted lead" }, "A caller may ask what is kept of them, and to have it deleted. Both are written into the audit log, with who did it and why. What other systems were sent already is not reached."),
      el("div", { class: "sheets" }, form, result)),
  };
}

function erased({ calls = 0, turns = 0, handoffs = 0, recordings = 0, other = {}, failed = [], live = [] }) {
  const counts = Object.entries({ calls, turns, handoffs, recordings, ...other });
  const nothing = counts.every(([, count]) => !count);
  return el("section", { class: "card sheet" },
    el("div", { class: "row" }, el("h2", { class: "grow" }, nothing ? "Nothing was recorded" : "Erased"),
      el("span", { class: "tag", data: { tone: failed.length ? "bad" : "good" } }, failed.length ? "Not all of it" : "Done")),
    nothing ? el("p", { class: "muted" }, "Of that number nothing is kept here.")
      : el("dl", { class: "pairs" }, counts.map(([name, count]) => [el("dt", {}, plain(name)), el("dd", { class: "figure" }, String(count))])),
    failed.length ? el("p", { class: "problem" }, `Could not be deleted: ${failed.join("; ")}`) : null,
    live.length ? el("p", { class: "problem" }, "The caller may be on the line just now: erase again once the call is over, since what is said from now on is recorded anew.") : null);
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
