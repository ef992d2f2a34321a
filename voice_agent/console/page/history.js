// Calls that are over: found by time, number, outcome or words.

import { get, session } from "./api.js";
import { button, el, setText } from "./dom.js";
import { field } from "./form.js";
import { everySecond } from "./frame.js";
import { live } from "./live.js";
import { Fetched, pager, table } from "./pages.js";
import { GRADES, NONE, OUTCOMES, ROADS, callerOf, clock, count, day, word } from "./words.js";

// What was last looked for, for the way back from a call.
let asked = {};

export function history() {
  return new History();
}

class History {
  title = "History";
  #page = asked.page ?? 1;

  constructor() {
    const text = (label, name, more = {}) => field(label, { name, value: asked[name] ?? "", maxlength: 200, ...more });
    this.from = text("From", "from", { type: "datetime-local" });
    this.to = text("To", "to", { type: "datetime-local" });
    this.number = text("Number", "number", { inputmode: "tel", autocomplete: "off" });
    this.outcome = field("Outcome", { tag: "select", name: "outcome", options: [["", "Any"]] });
    this.words = text("Words", "words", { type: "search", placeholder: "Said by either side" });
    this.results = el("div", {});
    this.fetched = new Fetched(this.results);
    this.node = el("div", { class: "page" },
      el("h1", {}, "History"),
      el("form", {
        class: "filters", role: "search", onsubmit: (event) => {
          event.preventDefault();
          this.#find(1);
        },
      }, this.from, this.to, this.number, this.outcome, session.can("words") ? this.words : null,
      el("div", { class: "row" }, Object.assign(button("Search", { tone: "primary" }), { type: "submit" }),
        button("Clear", { tone: "quiet", onclick: () => this.#clear() }))),
      this.results);
    this.stop = everySecond(() => this.#tick());
    this.#find(this.#page);
  }

  close() {
    this.stop();
  }

  #tick() {
    for (const length of this.results.querySelectorAll("[data-began]")) setText(length, clock(live.now() - length.dataset.began));
  }

  #find(page) {
    const value = (node) => node.input.value.trim();
    const fields = { from: value(this.from), to: value(this.to), number: value(this.number), outcome: value(this.outcome) || asked.outcome || "", words: value(this.words) };
    if (this.listed) fields.outcome = value(this.outcome);
    asked = { ...fields, page };
    const unix = (local) => (local ? String(Math.floor(new Date(local).getTime() / 1000)) : "");
    return this.fetched.show(
      () => get("/api/history", { ...fields, from: unix(fields.from), to: unix(fields.to), page }),
      (found) => this.#draw(found),
    );
  }

  #clear() {
    for (const each of [this.from, this.to, this.number, this.outcome, this.words]) each.input.value = "";
    asked = {};
    this.#find(1);
  }

  #draw(found) {
    this.#outcomes(found.outcomes ?? []);
    const calls = found.calls ?? [];
    if (!calls.length) return el("p", { class: "plain muted" }, "No call fits.");
    return [
      el("p", { class: "muted", role: "status" }, count(found.total ?? calls.length, "call")),
      table("Calls", [["Began"], ["Caller"], ["Length", "figure"], ["Outcome"], ["Road"], ["Turns", "figure"], ["Grade"], ["Recording"]], calls.map((call) => [
        el("a", { href: `#/calls/${encodeURIComponent(call.call_id)}` }, day(call.began_at)),
        callerOf(call),
        lengthOf(call),
        word(OUTCOMES, call.outcome || call.end_reason),
        word(ROADS, call.road),
        String(call.turns ?? NONE),
        call.grade ? el("span", { class: "tag", data: { tone: call.grade === "right" ? "good" : "bad" } }, word(GRADES, call.grade)) : NONE,
        call.recording ? "Yes" : NONE,
      ]), { class: "list", onclick: openRow }),
      pager(found, (page) => this.#find(page)),
    ];
  }

  #outcomes(outcomes) {
    if (this.listed) return;
    this.listed = true;
    this.outcome.input.append(...outcomes.map((outcome) => el("option", { value: outcome }, word(OUTCOMES, outcome))));
    this.outcome.input.value = asked.outcome ?? "";
  }
}

// Of a call that is not over: how long by now.
function lengthOf(call) {
  const length = el("span", {}, clock((call.ended_at ?? live.now()) - call.began_at));
  if (!call.ended_at) length.dataset.began = call.began_at;
  return length;
}

// The whole line opens the call; its link is what the keyboard and screen readers use.
function openRow(event) {
  const row = event.target.closest("tbody tr");
  if (row && !event.target.closest("a") && !String(getSelection())) location.hash = row.querySelector("a").hash;
}
