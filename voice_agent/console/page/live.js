// What goes on now: calls, alarms and who answers, kept up to date from /api/events.

import { whoAmI } from "./api.js";
import { oncePerFrame } from "./frame.js";

const RETRY_MS = [500, 1000, 2000, 5000];
const QUIET_MS = 45_000;
const REST_MS = 120;
const ALARMS_KEPT = 50;
const FAILURES_BEFORE_ASKING = 2;

const WEIGHT = { critical: 0, warning: 1, info: 2 };

class Live {
  calls = new Map();
  alarms = new Map();
  switches = [];
  connected = false;
  gatewayUp = true;
  // Since when what is shown is not known to be so; null while it is.
  staleSince = null;

  #source = null;
  #failures = 0;
  #retry = 0;
  #heardAt = 0;
  #watch = 0;
  #began = performance.timeOrigin / 1000;
  #listeners = new Set();
  #turnListeners = new Map();
  #changed = oncePerFrame((keys) => {
    for (const listener of [...this.#listeners]) listener(keys);
  }, REST_MS);

  // `listener(keys)` hears once a frame what changed: ids of calls, "*all", "*alarms",
  // "*answering", "*connection". Returns how to stop.
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // Turns of one call, each as it comes.
  listenToTurns(callId, listener) {
    const listeners = this.#turnListeners.get(callId) ?? new Set();
    this.#turnListeners.set(callId, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (!listeners.size) this.#turnListeners.delete(callId);
    };
  }

  // Seconds since 1970 by the console's clock: a supervisor's own may be wrong, or jump.
  now() {
    return performance.now() / 1000 + this.#began;
  }

  start() {
    this.stop();
    this.#open();
    this.#watch = setInterval(() => {
      // A line that died with a laptop's sleep says nothing: after a long silence it is made anew.
      if (this.connected && performance.now() - this.#heardAt > QUIET_MS) this.#open();
    }, 5000);
  }

  stop() {
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#source?.close();
    this.#source = null;
    this.connected = false;
    this.staleSince = null;
    this.calls.clear();
    this.alarms.clear();
    this.switches = [];
    this.#changed("*all");
  }

  alarmsNow() {
    return [...this.alarms.values()].sort(
      (a, b) => (WEIGHT[a.severity] ?? 1) - (WEIGHT[b.severity] ?? 1) || b.at - a.at,
    );
  }

  alarmsOf(callId) {
    return this.alarmsNow().filter((alarm) => alarm.call_id === callId);
  }

  hideAlarm(id) {
    if (this.alarms.delete(id)) this.#changed("*alarms");
  }

  // What the page itself learned from an answer, ahead of the event.
  setSwitches(switches) {
    this.switches = switches ?? [];
    this.#changed("*answering");
  }

  #open() {
    this.#source?.close();
    this.#heardAt = performance.now();
    const source = new EventSource("/api/events");
    this.#source = source;
    source.onopen = () => this.#heard();
    source.onmessage = ({ data }) => {
      this.#heard();
      let event;
      try {
        event = JSON.parse(data);
      } catch {
        return;
      }
      this.#take(event);
    };
    source.onerror = () => this.#lost();
  }

  #heard() {
    this.#heardAt = performance.now();
    this.#failures = 0;
    if (this.connected) return;
    this.connected = true;
    this.#changed("*connection");
  }

  #lost() {
    this.#source?.close();
    if (this.connected) this.staleSince ??= this.now();
    this.connected = false;
    this.#changed("*connection");
    clearTimeout(this.#retry);
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    // A stream does not tell why it was refused: a session that is over leads to the sign-in.
    if (this.#failures >= FAILURES_BEFORE_ASKING) whoAmI().catch(() => {});
    // Not all browsers of a floor at the same moment.
    this.#retry = setTimeout(() => this.#open(), wait * (0.75 + Math.random() / 2));
  }

  #take(event) {
    switch (event.event) {
      case "snapshot":
        if (event.at) this.#began = event.at - performance.now() / 1000;
        this.calls = new Map((event.calls ?? []).map((call) => [call.call_id, call]));
        this.alarms = new Map((event.alarms ?? []).filter((a) => !a.cleared).map((a) => [a.id, a]));
        this.switches = event.answering ?? this.switches;
        this.#gatewayIs(event.gateway);
        this.#changed("*all");
        break;
      case "call_began":
      case "call_changed":
        this.#merge(event.call);
        break;
      case "call_ended": {
        const id = event.call?.call_id ?? event.call_id;
        this.calls.delete(id);
        for (const alarm of this.alarmsOf(id)) this.hideAlarm(alarm.id);
        this.#tell(id, { ended: true, call: event.call });
        this.#changed(id);
        break;
      }
      case "answering_changed":
        this.setSwitches(event.switches);
        break;
      case "turn":
        if (event.call) this.#merge(event.call);
        this.#tell(event.call_id ?? event.call?.call_id, { turn: event.turn });
        break;
      case "suggestions":
        this.#tell(event.call_id, { suggestions: event.suggestions });
        break;
      case "gateway":
        this.#gatewayIs(event.state);
        this.#changed("*connection");
        break;
      case "alarm":
        this.#alarm(event.alarm ?? event);
        break;
      default:
    }
  }

  #gatewayIs(state) {
    this.gatewayUp = state !== "down";
    this.staleSince = this.gatewayUp ? null : this.staleSince ?? this.now();
  }

  #merge(call) {
    if (!call?.call_id) return;
    this.calls.set(call.call_id, { ...this.calls.get(call.call_id), ...call });
    this.#changed(call.call_id);
  }

  #alarm(alarm) {
    if (!alarm.id) return;
    if (alarm.cleared) this.alarms.delete(alarm.id);
    else this.alarms.set(alarm.id, alarm);
    if (this.alarms.size > ALARMS_KEPT) this.alarms.delete(this.alarms.keys().next().value);
    this.#changed("*alarms");
    if (alarm.call_id) this.#changed(alarm.call_id);
  }

  #tell(callId, news) {
    for (const listener of this.#turnListeners.get(callId) ?? []) listener(news);
  }
}

export const live = new Live();
