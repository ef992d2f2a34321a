// Why a caller comes to a person, and passages that may help that person.

import { button, el, icon, replace } from "./dom.js";
import { MOODS, NONE, REASONS, callerOf, plain, word } from "./words.js";

export class Story {
  constructor(brief) {
    const list = (items) => (items?.length ? el("ul", {}, items.map((item) => el("li", {}, String(item)))) : NONE);
    const who = brief.who || callerOf({ caller: brief.number ?? brief.caller });
    this.node = el("section", { class: "part story", "aria-label": "The story so far" },
      el("h2", {}, "The story so far"),
      brief.spoken_brief || brief.spoken ? el("p", { class: "spoken" }, brief.spoken_brief || brief.spoken) : null,
      el("dl", { class: "pairs" },
        pair("Who", who, brief.verified ? el("span", { class: "tag", data: { tone: "good" } }, icon("shield"), "Verified") : el("span", { class: "tag" }, "Not verified")),
        pair("Wants", brief.wants || NONE),
        pair("Why a person", word(REASONS, brief.reason)),
        pair("Tried", list(brief.tried)),
        pair("Promised", list(brief.promised)),
        pair("Mood", word(MOODS, brief.mood)),
        pair("Suggested", brief.suggested || brief.next_step || NONE)));
  }
}

// What supervisors had the agent say in this call, or agreed with the caller.
export function interventions(rows) {
  if (!rows?.length) return null;
  return el("section", { class: "part", "aria-label": "From supervisors" }, el("h2", {}, "From supervisors"),
    el("dl", { class: "pairs" }, rows.map((row) => pair(`${plain(row.action)}, ${row.by}`, row.text))));
}

const pair = (name, ...values) => [el("dt", {}, name), el("dd", {}, values)];

export class Suggestions {
  // `use(sentence)`: a person wants it said; without `usable` it is only for reading.
  constructor(use, usable) {
    this.use = usable ? use : null;
    this.list = el("ul", { class: "suggestions" });
    this.node = el("section", { class: "part", "aria-label": "Suggested passages", hidden: true }, el("h2", {}, "May help"), this.list);
  }

  show(passages) {
    this.node.hidden = !passages?.length;
    if (!passages?.length) return;
    replace(this.list, passages.map((passage) => el("li", {},
      el("strong", {}, passage.title || passage.passage_id),
      el("p", {}, passage.text ?? ""),
      this.use ? button("Say this", { tone: "small", onclick: () => this.use(passage.text ?? "") }) : null)));
  }
}
