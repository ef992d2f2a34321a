// The human agent's screen: callers who come to a person, why, and accept or decline.

import { get, post, session } from "./api.js";
import { button, el, replace, setText } from "./dom.js";
import { everySecond } from "./frame.js";
import { say } from "./form.js";
import { live } from "./live.js";
import { Fetched } from "./pages.js";
import { Story, Suggestions } from "./story.js";
import { Transcript } from "./transcript.js";
import { NONE, REASONS, callerOf, clock, plain, word } from "./words.js";

const ASK_MS = 2000;
const OPEN = ["offered", "asked", "ringing", "answered", "waiting", "queued", "announcing"];
const STATES = {
  offered: "Ringing you", ringing: "Ringing you", answered: "On your phone", accepted: "With you", bridged: "With you", connected: "With you", talking: "With you",
  transferred: "With you",
};

const path = (id, what = "") => `/api/handoffs/${encodeURIComponent(id)}${what ? `/${what}` : ""}`;

export function handoffs(id = "") {
  return id ? new Handoff(id) : new Handoffs();
}

class Handoffs {
  title = "Handoffs";

  constructor() {
    this.list = el("div", { role: "status" });
    this.fetched = new Fetched(this.list);
    this.node = el("div", { class: "page" }, el("h1", {}, "Callers for a person"), this.list);
    this.#load();
    const stopListening = live.listen((keys) => {
      if ([...keys].some((key) => this.#matters(key))) this.#load();
    });
    const stopTicking = everySecond(() => this.#tick());
    // A human agent is told of no other calls, and so has to ask.
    const asking = session.can("live") ? 0 : setInterval(() => this.#look(), ASK_MS);
    this.close = () => {
      stopListening();
      stopTicking();
      clearInterval(asking);
    };
  }

  // Asks again; what is on screen, and who has the focus, changes only with the answer.
  async #look() {
    const found = await get("/api/handoffs").catch(() => null);
    if (found && JSON.stringify(found) !== this.shown) this.#load();
  }

  // Not every event of a hundred calls asks the server again: only where a handoff moved.
  #seen = new Map();
  #matters(id) {
    if (id === "*all") return true;
    if (id.startsWith("*")) return false;
    const state = JSON.stringify([live.calls.get(id)?.handoff ?? null, live.calls.get(id)?.stage ?? null]);
    const moved = this.#seen.get(id) !== state;
    this.#seen.set(id, state);
    return moved;
  }

  #load() {
    return this.fetched.show(() => get("/api/handoffs"), (answer) => {
      this.shown = JSON.stringify(answer);
      const found = answer.handoffs ?? [];
      this.waits = [];
      if (!found.length) return el("p", { class: "plain muted" }, "Nobody is waiting for a person.");
      return el("ul", { class: "cards" }, found.map((each) => {
        const wait = el("span", { class: "figure" });
        this.waits.push([wait, each.waiting_since]);
        return el("li", {}, el("a", { class: "card", href: `#/handoffs/${encodeURIComponent(each.call_id)}` },
          el("span", { class: "row" }, el("strong", { class: "grow" }, each.who || callerOf({ caller: each.number })), wait),
          el("span", { class: "muted" }, `${word(REASONS, each.reason)} · ${plain(each.state)}`),
          el("span", {}, each.wants || NONE)));
      }));
    }).then(() => this.#tick());
  }

  #tick() {
    for (const [node, since] of this.waits ?? []) setText(node, since ? clock(live.now() - since) : "");
  }
}

class Handoff {
  title = "Handoff";
  #stops = [];
  #brief = {};
  #told = "";
  #closed = false;

  constructor(id) {
    this.id = id;
    this.node = el("div", { class: "page handoff" }, el("p", { class: "plain muted" }, "Loading…"));
    this.#load();
  }

  close() {
    this.#closed = true;
    for (const stop of this.#stops) stop();
  }

  key(event) {
    const target = { a: this.accept, d: this.decline }[event.key];
    if (!target || target.disabled || this.decide.hidden) return;
    event.preventDefault();
    target.click();
  }

  async #load() {
    try {
      this.#brief = await get(path(this.id));
    } catch (error) {
      if (!this.#closed) replace(this.node, el("div", { class: "plain", role: "alert" }, el("h1", {}, "No such handoff"), el("p", {}, error.message), el("a", { class: "button", href: "#/handoffs" }, "All handoffs")));
      return;
    }
    if (this.#closed) return;
    const brief = this.#brief;
    this.accept = button("Accept", { icon: "check", tone: "primary", key: "a", onclick: () => this.#decide("accept") });
    this.decline = button("Decline", { icon: "cross", key: "d", onclick: () => this.#decide("decline") });
    this.decide = el("div", { class: "row" }, this.accept, this.decline);
    this.state = el("p", { class: "state", role: "status" });
    this.wait = el("span", { class: "figure" });
    this.transcript = new Transcript(() => {}, true);
    (brief.turns ?? []).forEach((turn, at) => this.transcript.put({ turn_id: `last-${at}`, index: at, ...asTurn(turn) }));
    this.suggestions = new Suggestions(() => {}, false);
    this.suggestions.show(brief.suggestions);
    replace(this.node,
      el("header", { class: "call-head" },
        el("div", { class: "grow" }, el("div", { class: "row" }, el("h1", {}, brief.who || callerOf({ caller: brief.number })), this.state, this.wait),
          el("p", { class: "muted" }, [brief.number, word(REASONS, brief.reason)].filter(Boolean).join("  ·  "))),
        this.decide),
      el("div", { class: "handoff-body" },
        el("div", {}, new Story(brief).node, this.suggestions.node),
        el("section", { "aria-label": "Last turns" }, el("h2", {}, "Last turns"), this.transcript.node)));
    this.#stops.push(
      everySecond(() => this.#tick()),
      live.listenToTurns(this.id, (news) => this.#news(news)),
    );
    this.#told = live.calls.get(this.id)?.handoff?.state ?? "ringing";
    this.#show(brief.state);
    this.#follow();
  }

  // The agent stays as a silent assistant: its transcript and passages go on after the handoff.
  #news({ turn, suggestions, ended }) {
    if (turn) this.transcript.put({ ...turn, at_ms: undefined, index: 1000 + (turn.index ?? 0) });
    if (suggestions) this.suggestions.show(suggestions);
    if (ended) this.#show("over");
  }

  // A human agent does not watch the live board, and so has a stream of this one call.
  #follow() {
    if (session.can("live")) {
      this.#stops.push(live.listen((keys) => {
        if (keys.has(this.id)) this.#moved(live.calls.get(this.id));
      }));
      return;
    }
    const source = new EventSource(path(this.id, "events"));
    source.onmessage = ({ data }) => {
      let event;
      try {
        event = JSON.parse(data);
      } catch {
        return;
      }
      if (["turn", "suggestions"].includes(event.event)) this.#news(event);
      else if (event.event === "call_ended") this.#news({ ended: true });
      else this.#moved(event.call);
    };
    this.#stops.push(() => source.close());
  }

  // What the gateway says of it. A click is ahead of that, but not of what comes after: who accepts
  // and hangs up at once has the next person rung, or themselves again.
  #moved(call) {
    const state = call?.handoff?.state;
    const old = state === this.#told || state === "answered";
    this.#told = state ?? this.#told;
    if (state && !(this.stateName === "accepted" && old)) this.#show(state);
  }

  async #decide(what) {
    this.accept.disabled = this.decline.disabled = true;
    try {
      const answer = await post(path(this.id, what), {});
      this.#show(answer.state ?? (what === "accept" ? "accepted" : "declined"));
      say(what === "accept" ? "The caller is put through to you." : "The next person is rung.");
    } catch (error) {
      say(error.message, "bad");
      this.accept.disabled = this.decline.disabled = false;
    }
  }

  #show(state) {
    this.stateName = state;
    setText(this.state, STATES[state] ?? plain(state));
    this.state.dataset.stage = OPEN.includes(state) ? "waiting" : STATES[state] === "With you" ? "bridged" : "ended";
    this.decide.hidden = !OPEN.includes(state);
    if (!this.decide.hidden) this.accept.disabled = this.decline.disabled = false;
    this.#tick();
  }

  #tick() {
    const waits = !this.decide.hidden && this.#brief.waiting_since;
    setText(this.wait, waits ? clock(live.now() - this.#brief.waiting_since) : "");
  }
}

function asTurn(turn) {
  return Array.isArray(turn) ? { caller: turn[0], agent: turn[1] } : turn;
}
