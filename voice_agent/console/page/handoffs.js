// The human agent's screen: callers who come to a person, why, and accept or decline.

import { get, post, session } from "./api.js";
import { button, el, replace, setText } from "./dom.js";
import { everySecond } from "./frame.js";
import { say } from "./form.js";
import { live } from "./live.js";
import { Fetched } from "./pages.js";
import { Story, Suggestions } from "./story.js";
import { Transcript } from "./transcript.js";
import { REASONS, callerOf, clock, plain, word } from "./words.js";

const ASK_MS = 2000;
const RETRY_MS = 2000;
const OPEN = ["waiting", "ringing", "answered"];
const CLOSED = ["over", "ended", "failed"];
const STATES = {
  ringing: "Ringing: pick up to take the caller", answered: "Picked up: accept or decline",
  accepted: "With you", bridged: "With you", transferred: "With you",
  failed: "Nobody could be reached",
};
const WAITS = {
  unreachable: "No telephone could be reached: trying again", no_answer: "Nobody picked up: trying again",
  declined: "Declined: trying again", no_line: "No telephone line: trying again", busy: "Everybody is busy",
};

const DONE = { accept: "The caller is put through to you.", decline: "The next person is rung." };

const stateOf = (state, why) => (state === "waiting" ? WAITS[why] ?? "Waiting for somebody free" : STATES[state] ?? plain(state));

// What a click can do: decline while a telephone rings, accept once it was picked up.
const may = (state) => ({ accept: state === "answered", decline: ["ringing", "answered"].includes(state) });

const path = (id, what = "") => `/api/handoffs/${encodeURIComponent(id)}${what ? `/${what}` : ""}`;

// Said while the console does not answer: what is shown may not be so any more.
function lostNote() {
  return el("p", { class: "problem", role: "status", hidden: true }, "The console does not answer. Trying again…");
}

export function handoffs(id = "") {
  return id ? new Handoff(id) : new Handoffs();
}

class Handoffs {
  title = "Handoffs";

  constructor() {
    this.list = el("div", { role: "status" });
    this.fetched = new Fetched(this.list);
    this.lost = lostNote();
    this.node = el("div", { class: "page" }, el("h1", {}, "Callers for a person"), this.lost, this.list);
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

  // Where one caller waits it is clear whom a key is about.
  key(event) {
    const what = { a: "accept", d: "decline" }[event.key];
    if (!what || !this.found?.length) return;
    event.preventDefault();
    const [only, ...more] = this.found;
    if (more.length) say("Several callers wait: open one first.");
    else if (!may(only.state)[what]) say(stateOf(only.state, only.why));
    else this.#decide(only.call_id, what);
  }

  async #decide(id, what) {
    try {
      await post(path(id, what), {});
      say(DONE[what]);
    } catch (error) {
      say(error.message, "bad");
    }
    this.#load();
  }

  // Asks again; what is on screen, and who has the focus, changes only with the answer.
  async #look() {
    const found = await get("/api/handoffs").catch(() => null);
    this.lost.hidden = Boolean(found);
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
      this.found = found;
      if (!found.length) return el("p", { class: "plain muted" }, "Nobody is waiting for a person.");
      return el("ul", { class: "cards" }, found.map((each) => {
        const wait = el("span", { class: "figure" });
        this.waits.push([wait, each.waiting_since]);
        return el("li", {}, el("a", { class: "card", href: `#/handoffs/${encodeURIComponent(each.call_id)}` },
          el("span", { class: "row" }, el("strong", { class: "grow" }, each.who || "A caller"), wait),
          el("span", { class: "muted" }, `${word(REASONS, each.reason)} · ${stateOf(each.state, each.why)}`),
          each.queue ? el("span", {}, `Queue ${each.queue}`) : null));
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
  #source = null;
  #retry = 0;
  #lostOnce = false;
  // Told before the answer that it belongs to.
  #early = [];

  constructor(id) {
    this.id = id;
    this.node = el("div", { class: "page handoff" }, el("p", { class: "plain muted" }, "Loading…"));
    this.lost = lostNote();
    this.#follow();
    this.#load();
  }

  close() {
    this.#closed = true;
    for (const stop of this.#stops) stop();
  }

  key(event) {
    const target = { a: this.accept, d: this.decline }[event.key];
    if (!target || target.disabled || target.hidden) return;
    event.preventDefault();
    target.click();
  }

  async #load() {
    try {
      this.#brief = await get(path(this.id));
    } catch (error) {
      this.#source?.close();
      if (!this.#closed) replace(this.node, el("div", { class: "plain", role: "alert" }, el("h1", {}, "No such handoff"), el("p", {}, error.message), el("a", { class: "button", href: "#/handoffs" }, "All handoffs")));
      return;
    }
    if (this.#closed) return;
    const brief = this.#brief;
    this.accept = button("Accept", { icon: "check", tone: "primary", key: "a", onclick: () => this.#decide("accept") });
    this.decline = button("Decline", { icon: "cross", key: "d", onclick: () => this.#decide("decline") });
    this.state = el("p", { class: "state", role: "status" });
    this.wait = el("span", { class: "figure" });
    this.transcript = new Transcript(() => {}, true);
    (brief.turns ?? []).forEach((turn, at) => this.transcript.put({ turn_id: `last-${at}`, ...inPlace(asTurn(turn), at) }));
    this.suggestions = new Suggestions(() => {}, false);
    this.suggestions.show(brief.suggestions);
    replace(this.node,
      this.lost,
      el("header", { class: "call-head" },
        el("div", { class: "grow" }, el("div", { class: "row" }, el("h1", {}, brief.who || callerOf({ caller: brief.number })), this.state, this.wait),
          el("p", { class: "muted" }, [brief.who ? brief.number : null, word(REASONS, brief.reason)].filter(Boolean).join("  ·  "))),
        el("div", { class: "row" }, this.accept, this.decline)),
      el("div", { class: "handoff-body" },
        el("div", {}, new Story(brief).node, this.suggestions.node),
        el("section", { "aria-label": "Last turns" }, el("h2", {}, "Last turns"), this.transcript.node)));
    this.#stops.push(everySecond(() => this.#tick()));
    this.#told = live.calls.get(this.id)?.handoff?.state ?? "ringing";
    this.#show(brief.state, brief.why);
    for (const event of this.#early.splice(0)) this.#hear(event);
    if (this.#source?.readyState === EventSource.CLOSED) this.#tryAgain();
  }

  // The agent stays as a silent assistant: its transcript and passages go on after the handoff.
  #news({ turn, suggestions, ended }) {
    if (turn) this.transcript.put(inPlace(turn));
    if (suggestions) this.suggestions.show(suggestions);
    if (ended) this.#show("over");
  }

  // A human agent does not watch the live board, and so has a stream of this one call.
  #follow() {
    if (session.can("live")) {
      this.#stops.push(live.listenToTurns(this.id, (news) => {
        if (this.transcript) this.#news(news);
        else this.#early.push({ event: news.turn ? "turn" : news.ended ? "call_ended" : "suggestions", ...news });
      }), live.listen((keys) => {
        if (!this.transcript) return;
        if (keys.has(this.id)) this.#moved(live.calls.get(this.id));
        if (keys.has("*all") && live.connected) this.#catchUp().catch(() => {});
      }));
      return;
    }
    this.#open();
    this.#stops.push(() => this.#source?.close(), () => clearTimeout(this.#retry));
  }

  #open() {
    this.#source?.close();
    const source = new EventSource(path(this.id, "events"));
    this.#source = source;
    let opened = false;
    source.onopen = () => {
      this.lost.hidden = true;
      // Subscribed again, and what happened in between is asked for.
      if (this.transcript && (opened || this.#lostOnce)) this.#catchUp().catch(() => {});
      opened = true;
    };
    // The browser tries again by itself, but not once it was refused.
    source.onerror = () => {
      this.#lostOnce = true;
      if (this.#over) return;
      this.lost.hidden = false;
      if (source.readyState === EventSource.CLOSED && this.transcript) this.#tryAgain();
    };
    source.onmessage = ({ data }) => {
      try {
        this.#hear(JSON.parse(data));
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
      }
    };
  }

  #hear(event) {
    if (!this.transcript) this.#early.push(event);
    else if (["turn", "suggestions"].includes(event.event)) this.#news(event);
    else if (event.event === "call_ended") this.#news({ ended: true });
    else this.#moved(event.call);
  }

  #tryAgain() {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#again(), RETRY_MS);
  }

  async #again() {
    if (this.#closed || this.#over) return;
    try {
      await this.#catchUp();
    } catch (error) {
      if (error.status === 404) this.#show("over");
      else if (error.status !== 401) this.#tryAgain();
      return;
    }
    if (!this.#closed && !this.#over) this.#open();
  }

  // What was missed, from the server; what is told meanwhile is newer than its answer.
  async #catchUp() {
    const before = this.stateName;
    const brief = await get(path(this.id));
    if (this.#closed) return;
    for (const turn of brief.turns ?? []) if (turn.turn_id) this.transcript.put(inPlace(turn));
    if (brief.suggestions?.length) this.suggestions.show(brief.suggestions);
    const clicked = before === "accepted" && OPEN.includes(brief.state);
    if (this.stateName === before && !clicked) this.#show(brief.state, brief.why);
  }

  get #over() {
    return CLOSED.includes(this.stateName);
  }

  // What the gateway says of it. A click is ahead of that, but not of what comes after: who accepts
  // and hangs up at once has the next person rung, or themselves again.
  #moved(call) {
    const state = call?.handoff?.state;
    const old = state === this.#told || state === "answered";
    this.#told = state ?? this.#told;
    if (state && !(this.stateName === "accepted" && old)) this.#show(state, call.handoff.reason);
  }

  async #decide(what) {
    this.accept.disabled = this.decline.disabled = true;
    try {
      await post(path(this.id, what), {});
      this.#show(what === "accept" ? "accepted" : "declined");
      say(DONE[what]);
    } catch (error) {
      say(error.message, "bad");
      this.accept.disabled = this.decline.disabled = false;
    }
  }

  #show(state, why = "") {
    this.stateName = state;
    setText(this.state, stateOf(state, why));
    this.state.dataset.stage = OPEN.includes(state) ? "waiting" : STATES[state] === "With you" ? "bridged" : "ended";
    const can = may(state);
    this.accept.hidden = !can.accept;
    this.decline.hidden = !can.decline;
    this.accept.disabled = this.decline.disabled = false;
    if (this.#over) {
      this.#source?.close();
      this.lost.hidden = true;
    }
    this.#tick();
  }

  #tick() {
    const waits = OPEN.includes(this.stateName) && this.#brief.waiting_since;
    setText(this.wait, waits ? clock(live.now() - this.#brief.waiting_since) : "");
  }
}

// Turns of the brief first, then those of the live call in their order.
function inPlace(turn, at = 0) {
  return { ...turn, at_ms: undefined, index: turn.turn_id ? 1000 + (turn.index ?? at) : at };
}

function asTurn(turn) {
  return Array.isArray(turn) ? { caller: turn[0], agent: turn[1] } : turn;
}
