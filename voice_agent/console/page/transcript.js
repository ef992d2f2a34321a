// What was said, turn by turn: what the caller heard, what was cut off, what stands behind it.

import { el, icon, setAttribute, setText } from "./dom.js";
import { oncePerFrame } from "./frame.js";
import { spokenParts } from "./spoken_parts.js";
import { GRADES, ROADS, clock, ms, percent, plain, word } from "./words.js";

const NEAR_END_PX = 80;
const PASSED = ["passed", "allowed", "ok"];
const STOPPED = ["refused", "blocked", "stopped"];

export class Transcript {
  turns = new Map();
  selected = null;
  following = true;
  #nodes = new Map();
  #onSelect;
  #dirty = oncePerFrame((ids) => this.#draw(ids));

  // `onSelect(turn)`: a person, or a new turn while nobody chose, made this the turn to look at.
  constructor(onSelect, liveCall) {
    this.#onSelect = onSelect;
    this.list = el("ol", { class: "turns", "aria-label": "Transcript" });
    this.empty = el("p", { class: "plain muted" }, "Nothing has been said yet.");
    this.node = el("div", { class: "transcript", tabindex: "0", role: liveCall ? "log" : "region", "aria-label": "Conversation" }, this.empty, this.list);
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("[data-turn]");
      if (item && !String(getSelection())) this.select(item.dataset.turn, true);
    });
  }

  put(turn) {
    if (!turn?.turn_id) return;
    this.turns.set(turn.turn_id, { ...this.turns.get(turn.turn_id), ...turn });
    this.#dirty(turn.turn_id);
  }

  get ordered() {
    return [...this.turns.values()].sort(inOrder);
  }

  select(id, chosen = false) {
    if (!this.turns.has(id)) return;
    if (chosen) this.following = id === this.ordered.at(-1)?.turn_id;
    if (this.selected !== id) {
      if (this.selected) setAttribute(this.#nodes.get(this.selected)?.node ?? this.node, "aria-current", null);
      this.selected = id;
      setAttribute(this.#nodes.get(id)?.node, "aria-current", "true");
    }
    this.#onSelect(this.turns.get(id), chosen);
  }

  step(by) {
    const ids = this.ordered.map((turn) => turn.turn_id);
    const at = ids.indexOf(this.selected);
    const id = ids[Math.min(ids.length - 1, Math.max(0, at + by))];
    if (!id) return;
    this.select(id, true);
    this.show(id);
  }

  // Brings a turn into sight without moving more of the page than is needed.
  show(id) {
    this.#nodes.get(id)?.node.scrollIntoView({ block: "nearest" });
  }

  // The turn at this time of the recording is marked.
  playing(atMs) {
    let now = null;
    for (const turn of this.ordered) if ((turn.at_ms ?? 0) <= atMs) now = turn.turn_id;
    if (now === this.playingId) return;
    setAttribute(this.#nodes.get(this.playingId)?.node ?? this.node, "data-playing", null);
    this.playingId = now;
    if (!now) return;
    setAttribute(this.#nodes.get(now)?.node ?? this.node, "data-playing", "");
    this.show(now);
  }

  #draw(ids) {
    const { scrollTop, scrollHeight, clientHeight } = this.node;
    const atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    for (const id of ids) {
      let drawn = this.#nodes.get(id);
      if (!drawn) {
        drawn = new TurnItem(id);
        this.#nodes.set(id, drawn);
        const after = this.ordered[this.ordered.findIndex((turn) => turn.turn_id === id) + 1];
        this.list.insertBefore(drawn.node, this.#nodes.get(after?.turn_id)?.node ?? null);
      }
      drawn.show(this.turns.get(id));
    }
    this.empty.hidden = this.turns.size > 0;
    const last = this.ordered.at(-1)?.turn_id;
    if (this.following && last && (last !== this.selected || ids.has(last))) this.select(last);
    else if (ids.has(this.selected)) this.#onSelect(this.turns.get(this.selected), false);
    if (atEnd && this.following) this.node.scrollTop = this.node.scrollHeight;
  }
}

// By when they began; of a turn that has just begun that is not told yet.
function inOrder(a, b) {
  const [first, second] = [a.at_ms ?? Infinity, b.at_ms ?? Infinity];
  if (first !== second) return first < second ? -1 : 1;
  const [one, other] = [a.index ?? Infinity, b.index ?? Infinity];
  return one === other ? 0 : one < other ? -1 : 1;
}

class TurnItem {
  constructor(id) {
    this.at = el("span", { class: "at" });
    this.caller = el("p", { class: "said" });
    this.agent = el("p", { class: "said" });
    this.facts = el("p", { class: "facts" });
    this.asked = el("div", { class: "line caller" }, el("span", { class: "who" }, "Caller"), this.caller);
    this.answered = el("div", { class: "line agent" }, this.name = el("span", { class: "who" }, "Agent"), this.agent);
    this.open = el("button", { type: "button", class: "unseen-until-focus" }, "Look at this turn");
    this.node = el("li", { data: { turn: id } }, this.at, el("div", { class: "lines" }, this.asked, this.answered, this.facts, this.open));
  }

  show(turn) {
    setText(this.at, Number.isFinite(turn.at_ms) ? clock(turn.at_ms / 1000) : "");
    this.asked.hidden = !turn.caller;
    setText(this.caller, turn.caller ?? "");
    this.answered.hidden = !turn.agent;
    if (turn.agent) this.agent.replaceChildren(...partsOf(turn));
    setText(this.name, turn.speaker === "person" ? "Person" : "Agent");
    this.facts.replaceChildren(...factsOf(turn));
  }
}

function partsOf(turn) {
  const cutOff = Boolean(turn.cut_off);
  return spokenParts(turn.agent, turn.heard, cutOff, turn.sources).map((part) => {
    const notes = part.sources.map((index) => el("sup", { title: turn.sources[index].title ?? "" }, String(index + 1)));
    const classes = part.sources.length ? "backed" : "";
    if (part.heard) return el("span", { class: classes || null }, part.text, notes);
    if (!part.text.trim()) return document.createTextNode(part.text);
    return el("del", { class: classes || null, title: "Cut off: the caller did not hear this" }, el("span", { class: "unseen" }, "Not heard: "), part.text, notes);
  });
}

function factsOf(turn) {
  const facts = [];
  const fact = (tone, ...what) => facts.push(el("span", { data: tone ? { tone } : {} }, what));
  const wait = turn.voice_to_voice_ms ?? totalOf(turn.stages_ms);
  if (wait) fact("", ms(wait));
  if (turn.road) fact("", word(ROADS, turn.road), turn.confidence > 0 ? ` (${percent(turn.confidence)} sure)` : "");
  if (turn.state === "speaking") fact("", "Answering…");
  if (turn.cut_off) fact("fair", "Interrupted");
  for (const action of turn.actions ?? []) fact(["failed", "refused"].includes(action.state) ? "bad" : "", icon("check"), action.name);
  for (const guard of turn.guards ?? []) {
    if (!PASSED.includes(guard.decision)) fact(STOPPED.includes(guard.decision) ? "bad" : "", icon("shield"), `${plain(guard.guard)}: ${plain(guard.decision).toLowerCase()}`);
  }
  if (turn.grade) fact(turn.grade.grade === "right" ? "good" : "bad", word(GRADES, turn.grade.grade));
  return facts;
}

function totalOf(stages) {
  const values = Object.values(stages ?? {}).filter(Number.isFinite);
  return values.length ? values.reduce((sum, value) => sum + value, 0) : 0;
}
