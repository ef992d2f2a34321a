// One turn looked at closely: waterfall, sources, actions, guards, and what people think of it.

import { session } from "./api.js";
import { el, replace } from "./dom.js";
import { Grading } from "./grading.js";
import { waterfall } from "./waterfall.js";
import { NONE, ROADS, clock, number, percent, plain, word } from "./words.js";

export class TurnPanel {
  #shown = "";
  #turn = null;

  // `over`: the call has ended, so that its answers can be graded. `onGrade(turn)`: it was.
  constructor({ over, onGrade }) {
    this.over = over;
    this.onGrade = onGrade;
    this.node = el("section", { class: "turn-panel", "aria-label": "Turn" }, el("p", { class: "muted" }, "Choose a turn to see what stands behind it."));
  }

  show(turn) {
    // A live turn is sent again with each word: drawn again only when something else changed.
    const { caller, agent, heard, ...rest } = turn;
    const now = JSON.stringify({ ...rest, agent });
    if (now === this.#shown) return;
    this.#shown = now;
    const other = this.#turn?.turn_id !== turn.turn_id;
    this.#turn = turn;
    if (!other && this.node.contains(document.activeElement)) {
      replace(this.facts, this.#facts(turn));
      return;
    }
    this.facts = el("div", {}, this.#facts(turn));
    const gradeable = session.can("grade") && turn.agent;
    replace(this.node,
      el("h2", {}, Number.isFinite(turn.at_ms) ? `Turn at ${clock(turn.at_ms / 1000)}` : `Turn ${turn.index ?? ""}`),
      this.facts,
      gradeable ? new Grading(turn, this.onGrade).node : null);
  }

  #facts(turn) {
    return [
      el("dl", { class: "pairs" },
        el("dt", {}, "Way to answer"), el("dd", {}, word(ROADS, turn.road), turn.runner_up ? el("span", { class: "muted" }, `second choice: ${word(ROADS, turn.runner_up)}`) : null),
        el("dt", {}, "Sure of that way"), el("dd", {}, turn.confidence > 0 ? percent(turn.confidence) : NONE)),
      part("Wait", waterfall(turn.stages_ms)),
      part("Sources", (turn.sources ?? []).length
        ? el("ol", { class: "sources" }, turn.sources.map((source) => el("li", {},
          el("strong", {}, source.title || source.passage_id || NONE),
          Number.isFinite(source.score) ? el("span", { class: "muted" }, ` ${number(source.score)}`) : null,
          source.sentence ? el("q", {}, source.sentence) : null)))
        : el("p", { class: "muted" }, "No passage stands behind this turn.")),
      (turn.actions ?? []).length ? part("Actions", el("ul", { class: "facts-list" }, turn.actions.map((action) => el("li", {},
        el("strong", {}, plain(action.name)), el("span", { class: "tag", data: { tone: toneOf(action.state) } }, plain(action.state)),
        details(action.arguments), details(action.result))))) : null,
      (turn.guards ?? []).length ? part("Guards", el("ul", { class: "facts-list" }, turn.guards.map((guard) => el("li", {},
        el("strong", {}, plain(guard.guard)), el("span", { class: "tag", data: { tone: toneOf(guard.decision) } }, plain(guard.decision)),
        guard.reason ? el("p", { class: "muted" }, plain(guard.reason)) : null)))) : null,
    ];
  }
}

function part(title, ...content) {
  return el("section", { class: "part" }, el("h3", {}, title), content);
}

function details(values) {
  if (values === null || values === undefined || values === "") return null;
  const text = typeof values === "object"
    ? Object.entries(values).map(([name, value]) => `${plain(name)}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ")
    : String(values);
  return text ? el("p", { class: "muted" }, text) : null;
}

function toneOf(state) {
  if (["done", "passed", "allowed", "ok", "confirmed"].includes(state)) return "good";
  if (["failed", "refused", "blocked", "stopped"].includes(state)) return "bad";
  return "fair";
}
