// Answers that somebody proposed to have said as they are; somebody else approves or rejects them.

import { get, post, session } from "./api.js";
import { button, el, icon } from "./dom.js";
import { ask, say } from "./form.js";
import { Fetched } from "./pages.js";
import { NONE, day, plain } from "./words.js";

const short = (version) => String(version).slice(0, 12);

export function proposals() {
  const content = el("div", {});
  const fetched = new Fetched(content);
  const load = () => fetched.show(() => get("/api/proposals"), (answer) => {
    const found = answer.proposals ?? [];
    return found.length
      ? [waiting(answer), el("ul", { class: "proposals" }, found.map(item))]
      : el("p", { class: "plain muted" }, "No answer has been proposed. Propose one from a turn of a call.");
  });

  // What is approved and not heard yet, and what makes it heard.
  function waiting({ proposals: found, is_source: isSource, watched_s: watched, version, build, file }) {
    const late = found.filter((each) => each.state === "approved" && !each.version).length;
    if (!late) return null;
    return el("section", { class: "card sheet wide-sheet" },
      el("h2", {}, late === 1 ? "One approved answer is not said yet" : `${late} approved answers are not said yet`),
      isSource === false
        ? el("p", { class: "muted" }, "No source of knowledge reads them. An engineer names the folder of ", el("code", {}, file ?? NONE), " under ", el("code", {}, "knowledge.sources"), " and then builds.")
        : el("p", { class: "muted" }, "The next build of the knowledge takes them in; the gate holds it back if it answers worse. ", watched ? `Changes are looked for every ${watched} s; at once with:` : "An engineer runs:"),
      el("code", { class: "command" }, build ?? "voice-agent knowledge build"),
      el("p", { class: "muted" }, version ? `Version ${short(version)} answers now.` : "No version has been built."));
  }

  // Proposed → approved → said, or rejected.
  function road(each) {
    if (each.state === "rejected") return el("span", { class: "tag", data: { tone: "bad" } }, "Rejected");
    const steps = [["Proposed", true], ["Approved", each.state === "approved"], [each.version ? `In version ${short(each.version)}` : "In a version", Boolean(each.version)]];
    return el("ol", { class: "steps", "aria-label": "How far it is" }, steps.map(([label, done]) => el("li", { data: { done: String(done) } }, done ? icon("check") : null, label, done ? null : el("span", { class: "unseen" }, " (not yet)"))));
  }

  function item(each) {
    const open = each.state === "proposed";
    return el("li", { class: "card", data: { proposal: each.id } },
      el("div", { class: "grow" },
        el("h2", {}, each.question),
        el("p", {}, each.answer),
        road(each),
        el("p", { class: "muted" }, `Proposed by ${each.by}, ${day(each.at)}${each.decided_by ? ` · ${plain(each.state)} by ${each.decided_by}, ${day(each.decided_at)}` : ""}`)),
      open && session.can("approve") && each.by !== session.user
        ? el("div", { class: "row" },
          button("Approve", { icon: "check", tone: "primary small", "aria-label": `Approve: ${each.question}`, onclick: () => decide(each, "approve") }),
          button("Reject", { icon: "cross", tone: "small", "aria-label": `Reject: ${each.question}`, onclick: () => decide(each, "reject") }))
        : open ? el("span", { class: "tag" }, "Waits for approval") : null);
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
