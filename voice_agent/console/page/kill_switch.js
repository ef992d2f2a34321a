// Taking agents off the phones, and putting them back. Always with a reason.

import { put } from "./api.js";
import { live } from "./live.js";
import { ask, field, say } from "./form.js";

const name = ({ scope, name: which }) => (scope === "all" ? "all calls" : `${scope} ${which}`);

// Asks for a reason and does it; `given` is what to switch, or all.
export async function offerSwitch(given = { scope: "all", name: "" }) {
  const now = live.switches.find((each) => each.scope === given.scope && (each.name ?? "") === (given.name ?? ""));
  const off = Boolean(now?.on);
  const reason = field("Reason", {
    name: "reason", required: true, maxlength: 300, autocomplete: "off",
    "data-missing": "A reason is needed: it is kept, and others see it.",
  });
  await ask({
    title: off ? `Let agents answer again: ${name(given)}` : `Take agents off the phones: ${name(given)}`,
    text: off
      ? `Switched off by ${now.by || "somebody"}: ${now.reason || "no reason given"}.`
      : "New calls go straight to people. Live calls hear a sentence and are queued for a person. It works even when no agent answers.",
    asked: [reason],
    confirm: off ? "Let agents answer" : "Take agents off",
    tone: off ? "primary" : "danger",
    act: async (values) => {
      const answer = await put("/api/answering", { ...given, on: !off, reason: values.reason });
      if (answer.switches) live.setSwitches(answer.switches);
      const lost = answer.kept === false ? " The switch's file cannot be written yet: until it can, a restart of the gateway would forget it." : "";
      say((off ? "Agents answer again." : "Agents are being taken off the phones.") + lost + (answer.warning ? ` ${answer.warning}` : ""));
    },
  });
}
