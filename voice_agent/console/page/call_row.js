// One call as a line of the live board. Only what changed is touched.

import { el, icon, setAttribute, setText } from "./dom.js";
import { MODES, MOODS, NONE, ROADS, STAGES, callerOf, clock, ms, percent, word } from "./words.js";

const SLOW_MS = 1500;
const LATE_MS = 800;
const RISKY = 0.5;
const DOUBTFUL = 0.25;

// What a call's place on the board depends on: who needs somebody at once, who waits, who may need
// somebody, the rest.
function rankOf(call, alarms) {
  if (alarms.some((alarm) => alarm.severity === "critical")) return 0;
  if (call.stage === "waiting") return 1;
  if (alarms.length || ["upset", "vulnerable"].includes(call.mood) || call.risk >= RISKY) return 2;
  return 3;
}

const toneOfRisk = (risk) => (risk >= RISKY ? "bad" : risk >= DOUBTFUL ? "fair" : "good");
const toneOfLatency = (latency) => (latency > SLOW_MS ? "bad" : latency > LATE_MS ? "fair" : "good");

export class CallRow {
  rank = 3;
  since = 0;
  #call = {};

  constructor(id, words) {
    this.id = id;
    this.words = words;
    const cell = (name, ...children) => el("td", { role: "cell", class: `c-${name}` }, ...children);
    this.state = el("span", { class: "state" });
    this.link = el("a", { href: `#/calls/${encodeURIComponent(id)}` });
    this.link.addEventListener("click", () => sessionStorage.setItem("last-call", id));
    this.verified = el("span", { class: "verified", title: "Verified", role: "img", "aria-label": "Verified", hidden: true }, icon("shield"));
    this.line = el("span", { class: "line-kind" });
    this.queue = el("span", {});
    this.length = el("span", {});
    this.wait = el("span", {});
    this.road = el("span", {});
    this.mood = el("span", { class: "mood" });
    this.latency = el("span", {});
    this.risk = el("span", {});
    this.riskBar = el("i", { "aria-hidden": "true" });
    this.last = el("span", {});
    this.node = el("tr", { role: "row", data: { call: id } },
      cell("state", this.state),
      el("th", { scope: "row", role: "rowheader", class: "c-caller" }, this.line, this.link, this.verified),
      cell("queue", this.queue), cell("length", this.length), cell("wait", this.wait), cell("road", this.road),
      cell("mood", this.mood), cell("latency", this.latency), cell("risk", el("span", { class: "risk" }, this.riskBar, this.risk)), cell("last", this.last));
  }

  show(call, alarms, now) {
    this.#call = call;
    this.rank = rankOf(call, alarms);
    this.since = this.rank === 1 ? call.waiting_since ?? call.began_at : call.began_at ?? 0;
    setAttribute(this.node, "data-rank", this.rank);
    setAttribute(this.node, "data-alarm", alarms[0]?.severity ?? null);
    setAttribute(this.node, "title", alarms[0]?.message ?? null);
    const supervisor = call.supervisor;
    setText(this.state, supervisor ? `${word(MODES, supervisor.mode)}: ${supervisor.name}` : word(STAGES, call.stage));
    setAttribute(this.state, "data-stage", supervisor ? "supervised" : call.stage);
    setText(this.link, callerOf(call));
    if (this.lineKind !== call.line) {
      this.lineKind = call.line;
      this.line.replaceChildren(icon(call.line === "webrtc" ? "web" : "phone"));
    }
    this.verified.hidden = !call.verified;
    setText(this.queue, call.queue || call.route || NONE);
    setText(this.road, word(ROADS, call.road));
    setText(this.mood, word(MOODS, call.mood));
    setAttribute(this.mood, "data-mood", call.mood ?? null);
    setText(this.latency, ms(call.latency_ms ?? NaN));
    setAttribute(this.latency, "data-tone", Number.isFinite(call.latency_ms) ? toneOfLatency(call.latency_ms) : null);
    setText(this.risk, percent(call.risk ?? NaN));
    if (this.riskShown !== call.risk) {
      this.riskShown = call.risk;
      this.riskBar.style.setProperty("--share", String(call.risk ?? 0));
      setAttribute(this.riskBar, "data-tone", toneOfRisk(call.risk ?? 0));
    }
    setText(this.last, this.words ? call.snippet ?? "" : "");
    this.tick(now);
  }

  tick(now) {
    setText(this.length, clock(now - (this.#call.answered_at ?? this.#call.began_at ?? now)));
    setText(this.wait, this.#call.waiting_since ? clock(now - this.#call.waiting_since) : NONE);
  }
}
