// One call, going on or over.

import { callPath, get, session } from "./api.js";
import { el, icon, replace, setAttribute, setText } from "./dom.js";
import { everySecond } from "./frame.js";
import { live } from "./live.js";
import { line } from "./line.js";
import { Replay } from "./replay.js";
import { Steer } from "./steer.js";
import { Story, Suggestions, interventions } from "./story.js";
import { Supervise } from "./supervise.js";
import { Transcript } from "./transcript.js";
import { TurnPanel } from "./turn_panel.js";
import { MODES, MOODS, NONE, OUTCOMES, REASONS, STAGES, callerOf, clock, day, percent, recordedAs, recordingOf, word } from "./words.js";

export function callView(id = "") {
  return new CallView(id);
}

class CallView {
  title = "Call";
  #stops = [];
  #call = null;
  #closed = false;
  // What happens while the server is asked is put on top of its answer.
  #meanwhile = new Set();

  constructor(id) {
    this.id = id;
    this.node = el("div", { class: "call" }, el("p", { class: "plain muted" }, "Loading…"));
    this.#stops.push(live.listenToTurns(id, (news) => this.#news(news)));
    this.#load();
  }

  close() {
    this.#closed = true;
    for (const stop of this.#stops) stop();
    this.supervise?.close();
    this.replay?.close();
  }

  key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.transcript?.step(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === " " && this.replay && !event.target.closest("button, a, audio")) {
      event.preventDefault();
      this.replay.toggle();
    } else if (event.key === "s" && this.steer && !this.steer.node.hidden) {
      event.preventDefault();
      this.steer.focus();
    } else if (this.supervise?.key(event.key)) event.preventDefault();
  }

  async #ask(take) {
    const missed = [];
    this.#meanwhile.add(missed);
    try {
      const answer = await get(callPath(this.id));
      if (this.#closed) return;
      take(answer);
    } finally {
      this.#meanwhile.delete(missed);
    }
    for (const news of missed) this.#news(news);
  }

  async #load() {
    try {
      await this.#ask((answer) => this.#take(answer));
    } catch (error) {
      if (this.#closed) return;
      replace(this.node, el("div", { class: "plain", role: "alert" },
        el("h1", {}, error.status === 404 ? "No such call" : "The call cannot be shown"), el("p", {}, error.message),
        el("a", { class: "button", href: "#/live" }, "To the live board")));
    }
  }

  // After a break of the stream nobody tells what happened meanwhile.
  #catchUp() {
    this.#ask((answer) => {
      for (const turn of answer.turns ?? []) this.transcript.put(turn);
      if (answer.suggestions?.length) this.suggestions.show(answer.suggestions);
    }).catch(() => {}); // the next snapshot asks again
  }

  #take(answer) {
    this.#call = { call_id: this.id, ...answer.call, ...live.calls.get(this.id) };
    this.recorded = answer.recorded;
    this.going = answer.call?.live ?? live.calls.has(this.id);
    this.#build(answer);
  }

  #build(answer) {
    this.panel = new TurnPanel({ over: !this.going, onGrade: (turn) => this.transcript.put(turn) });
    this.transcript = new Transcript((turn, chosen) => {
      this.panel.show(turn);
      if (chosen && this.replay) this.replay.seek(turn.at_ms ?? 0);
    }, this.going);
    for (const turn of answer.turns ?? []) this.transcript.put(turn);
    this.suggestions = new Suggestions((sentence) => this.steer?.suggest(sentence), this.going && session.can("steer"));
    this.suggestions.show(answer.suggestions);
    const story = answer.brief ? new Story(answer.brief).node : null;
    if (this.going) this.#buildLive();
    else if (answer.recording && session.can("recording")) {
      const { began_at: began, ended_at: ended, duration_s: duration } = this.#call;
      this.replay = new Replay(answer.recording, this.transcript.ordered, duration ?? (ended && began ? ended - began : 0), (atMs) => this.transcript.playing(atMs));
    }
    replace(this.node,
      el("div", { class: "call-main" }, this.#head(), this.supervise?.node, this.replay?.node, this.transcript.node, this.steer?.node),
      el("aside", { class: "call-side", "aria-label": "Details", tabindex: "0" }, story, interventions(answer.interventions), this.suggestions.node, this.panel.node));
    this.#show();
  }

  #buildLive() {
    if (["listen", "whisper", "barge", "takeover", "end", "pause_recording"].some((name) => session.can(name))) this.supervise = new Supervise(this.id);
    if (session.can("steer")) this.steer = new Steer(this.id);
    this.#stops.push(
      live.listen((keys) => {
        if (keys.has(this.id) || keys.has("*all")) this.#refresh();
        if (keys.has("*all") && live.connected && this.going) this.#catchUp();
      }),
      everySecond(() => this.#tick()),
    );
  }

  #news(news) {
    for (const missed of this.#meanwhile) missed.push(news);
    if (!this.transcript) return;
    const { turn, suggestions, ended, call } = news;
    if (turn) this.transcript.put(turn);
    if (suggestions) this.suggestions.show(suggestions);
    if (ended) {
      this.#call = { ...this.#call, ...call, stage: "ended", ended_at: call?.ended_at ?? live.now() };
      this.#over();
    }
  }

  #refresh() {
    const now = live.calls.get(this.id);
    if (now) {
      this.#call = { ...this.#call, ...now };
      this.#show();
    } else if (live.connected && this.going && this.seenLive) this.#over();
  }

  #over() {
    if (!this.going) return;
    this.going = false;
    const outcome = this.#call.outcome === "live" ? null : this.#call.outcome;
    this.#call = { ...this.#call, outcome, stage: "ended", ended_at: this.#call.ended_at ?? live.now() };
    if (this.supervise) this.supervise.node.hidden = true;
    if (this.supervise?.end) this.supervise.end.hidden = true;
    if (this.steer) this.steer.node.hidden = true;
    if (line.on(this.id)) line.drop("ended");
    this.#show();
  }

  #head() {
    this.name = el("h1", {});
    this.state = el("span", { class: "state" });
    this.length = el("span", { class: "figure" });
    this.verified = el("span", { class: "tag", hidden: true }, icon("shield"), "Verified");
    this.facts = el("p", { class: "call-facts muted" });
    this.alarm = el("p", { class: "problem", hidden: true });
    return el("header", { class: "call-head" },
      el("a", { class: "button quiet icon-only", href: this.going ? "#/live" : "#/history", "aria-label": "Back", title: "Back" }, icon("back")),
      el("div", { class: "grow" }, el("div", { class: "row" }, this.name, this.verified, this.state, this.length), this.facts), this.supervise?.end, this.alarm);
  }

  #show() {
    const call = this.#call;
    this.seenLive ||= live.calls.has(this.id);
    setText(this.name, callerOf(call));
    const title = `${callerOf(call)}`;
    if (this.title !== title) this.title = title;
    const stage = this.going ? call.stage : "ended";
    setText(this.state, call.supervisor && this.going ? `${word(MODES, call.supervisor.mode)}: ${call.supervisor.name}` : word(STAGES, stage));
    setAttribute(this.state, "data-stage", stage);
    this.verified.hidden = !call.verified;
    const facts = [
      call.name && call.caller ? call.caller : null,
      call.queue ? `Queue ${call.queue}` : call.route ? `Route ${call.route}` : null,
      call.dialled ? `Dialled ${call.dialled}` : null,
      call.began_at ? `Began ${day(call.began_at)}` : null,
      call.mood ? `Mood: ${word(MOODS, call.mood)}` : null,
      Number.isFinite(call.risk) ? `Grounding risk ${percent(call.risk)}` : null,
      this.going ? recordingOf(call) : recordedAs(this.recorded),
      call.outcome && !this.going ? `Outcome: ${word(OUTCOMES, call.outcome)}` : null,
      call.handoff ? `Handoff: ${word(REASONS, call.handoff.cause || call.handoff.reason)}, ${word({}, call.handoff.state).toLowerCase()}${call.handoff.target ? ` (${call.handoff.target})` : ""}` : null,
    ].filter(Boolean);
    setText(this.facts, facts.join("  ·  "));
    const alarm = this.going ? live.alarmsOf(this.id)[0] : null;
    this.alarm.hidden = !alarm;
    setText(this.alarm, alarm?.message ?? "");
    this.supervise?.show(call);
    this.#tick();
  }

  #tick() {
    const call = this.#call;
    const until = this.going ? live.now() : call.ended_at;
    const length = call.duration_s ?? until - (call.answered_at ?? call.began_at);
    setText(this.length, Number.isFinite(length) ? clock(length) : NONE);
  }
}
