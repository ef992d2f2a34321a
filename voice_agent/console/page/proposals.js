// Answers that somebody proposed to have said as they are; somebody else approves or rejects them.

import { get, post, session } from "./api.js";
import { button, el } from "./dom.js";
import { ask, say } from "./form.js";
import { Fetched } from "./pages.js";
import { day, plain } from "./words.js";

export function proposals() {
  const content = el("div", {});
  const fetched = new Fetched(content);
  const load = () => fetched.show(() => get("/api/proposals"), ({ proposals: found = [] }) => (found.length
    ? el("ul", { class: "proposals" }, found.map(item))
    : el("p", { class: "plain muted" }, "No answer has been proposed. Propose one from a turn of a call.")));

  function item(each) {
    const open = each.state === "proposed";
    return el("li", { class: "card", data: { proposal: each.id } },
      el("div", { class: "grow" },
        el("h2", {}, each.question),
        el("p", {}, each.answer),
        el("p", { class: "muted" }, `Proposed by ${each.by}, ${day(each.at)}${each.decided_by ? ` · ${plain(each.state)} by ${each.decided_by}, ${day(each.decided_at)}` : ""}`)),
      open && session.can("approve") && each.by !== session.user
        ? el("div", { class: "row" },
          button("Approve", { icon: "check", tone: "primary small", "aria-label": `Approve: ${each.question}`, onclick: () => decide(each, "approve") }),
          button("Reject", { icon: "cross", tone: "small", "aria-label": `Reject: ${each.question}`, onclick: () => decide(each, "reject") }))
        : el("span", { class: "tag", data: { tone: { approved: "good", rejected: "bad" }[each.state] ?? "" } }, open ? "Waits for approval" : plain(each.state)));
  }

  async function decide(each, what) {
    const approves = what === "approve";
    const done = await ask({
      title: approves ? "Have this said as it is?" : "Reject this answer?",
      text: `“${each.answer}”`, confirm: approves ? "Approve" : "Reject", tone: approves ? "primary" : "danger",
      act: () => post(`/api/proposals/${encodeURIComponent(each.id)}/${what}`),
    });
    if (!done) return;
    say(approves ? "Approved: it is said from the next build of the knowledge on." : "Rejected.");
    load();
  }

  load();
  return { title: "Answers", node: el("div", { class: "page" }, el("h1", {}, "Verified answers"), content) };
}
