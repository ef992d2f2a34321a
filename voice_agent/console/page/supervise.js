// What a supervisor can do with a live call: the buttons, and the questions some of them ask.

import { callPath, post, session } from "./api.js";
import { button, el, setAttribute, setText } from "./dom.js";
import { ask, field, say } from "./form.js";
import { line } from "./line.js";
import { live } from "./live.js";

const DEEDS = [
  { mode: "listen", label: "Listen", key: "l" },
  { mode: "whisper", label: "Whisper", key: "w" },
  { mode: "barge", label: "Barge in", key: "b" },
  { mode: "takeover", label: "Take over", key: "t" },
];

// A person is being rung, or has the caller.
const PUTTING_THROUGH = ["waiting", "ringing", "answered", "bridged"];

export class Supervise {
  #callId;
  #busy = false;
  #buttons = new Map();
  #stops = [];

  constructor(callId) {
    this.#callId = callId;
    for (const deed of DEEDS.filter(({ mode }) => session.can(mode))) {
      this.#buttons.set(deed.mode, button(deed.label, {
        icon: deed.mode, key: deed.key, tone: deed.mode === "takeover" ? "primary" : "", "aria-pressed": "false",
        onclick: () => this.join(deed.mode),
      }));
    }
    this.through = field("Through", { tag: "select", name: "through", options: [["", "This browser"], ...session.phones.map((phone) => [phone.uri, phone.name || phone.uri])] });
    this.through.hidden = !session.phones.length;
    this.handBack = session.can("handback") ? button("Hand back", { icon: "handback", key: "h", onclick: () => this.#askHandBack() }) : null;
    this.toPerson = session.can("to_person") ? button("To a person", { icon: "handoff", key: "p", onclick: () => this.#askToPerson() }) : null;
    this.pause = session.can("pause_recording") ? button("Pause recording", { hidden: true, onclick: () => this.#pauseOrResume() }) : null;
    this.end = session.can("end") ? button("End call", { icon: "end", tone: "danger", onclick: () => this.#askEnd() }) : null;
    this.note = el("p", { class: "muted", role: "status" });
    // The view puts `end` into its head, away from what does no harm.
    this.node = el("section", { class: "supervise", "aria-label": "Supervise" },
      el("div", { class: "row wrap" }, [...this.#buttons.values()], this.handBack, this.toPerson, this.pause, this.through), this.note);
    const show = () => this.show(live.calls.get(callId));
    line.addEventListener("change", show);
    this.#stops.push(() => line.removeEventListener("change", show));
  }

  close() {
    for (const stop of this.#stops) stop();
  }

  key(key) {
    const deed = DEEDS.find((each) => each.key === key);
    const target = deed ? this.#buttons.get(deed.mode) : key === "h" ? this.handBack : key === "p" ? this.toPerson : null;
    if (!target || target.disabled || target.hidden) return false;
    target.click();
    return true;
  }

  show(call) {
    if (!call) return;
    const mine = line.on(this.#callId);
    const other = call.supervisor && call.supervisor.name !== session.user ? call.supervisor : null;
    const person = call.stage === "bridged" || (call.stage === "supervised" && call.handoff?.state === "bridged");
    for (const [mode, node] of this.#buttons) {
      const here = mine && line.mode === mode;
      setAttribute(node, "aria-pressed", String(here));
      if (mode === "takeover") node.classList.toggle("primary", !here);
      node.disabled = this.#busy || call.stage === "closing" || call.stage === "ringing";
    }
    const whisper = this.#buttons.get("whisper");
    if (whisper) {
      whisper.hidden = !person && !(mine && line.mode === "whisper");
      whisper.title = "Only the person hears you";
    }
    if (this.toPerson) this.toPerson.hidden = !["with_agent", "waiting"].includes(call.stage) || PUTTING_THROUGH.includes(call.handoff?.state);
    if (this.handBack) this.handBack.hidden = !(mine && line.mode !== "listen") && !(call.supervisor?.name === session.user && call.supervisor.mode === "takeover");
    if (this.pause) {
      this.paused = call.recording?.state === "paused";
      this.pause.hidden = !["on", "paused", "waiting"].includes(call.recording?.state);
      setText(this.pause.querySelector("span"), this.paused ? "Resume recording" : "Pause recording");
    }
    setText(this.note, other ? `${other.name} is in this call (${other.mode}).`
      : mine && line.mode === "takeover" ? "The caller hears you. The agent only listens."
        : mine && line.mode === "barge" ? "Everybody hears you."
          : mine && line.mode === "whisper" ? "Only the person hears you." : "");
    this.note.hidden = !this.note.textContent;
  }

  async join(mode) {
    if (this.#busy || (line.on(this.#callId) && line.mode === mode)) return;
    this.#busy = true;
    this.show(live.calls.get(this.#callId));
    try {
      await line.join(this.#callId, mode, this.through.input.value);
    } catch (error) {
      say(error.message, "bad");
    } finally {
      this.#busy = false;
      this.show(live.calls.get(this.#callId));
    }
  }

  async #askHandBack() {
    const agreed = field("What was agreed?", {
      tag: "textarea", name: "agreed", rows: 3, maxlength: 1000, required: true,
      "data-missing": "The agent goes on from this: say what was agreed.",
      hint: "The agent knows this when it goes on, and keeps to it.",
    });
    await ask({
      title: "Hand back to the agent", asked: [agreed], confirm: "Hand back",
      act: async (values) => {
        if (line.on(this.#callId)) await line.handBack(values.agreed);
        else await post(callPath(this.#callId, "hand-back"), values);
        say("The agent goes on.");
      },
    });
  }

  async #askToPerson() {
    const queue = field("People", { tag: "select", name: "queue", options: [["", "The usual people"], ...session.queues.map((name) => [name, name])] });
    await ask({
      title: "Send the caller to a person", text: "The agent says so and people are rung at once. It works even when the agent hangs.",
      asked: [queue], confirm: "Put through",
      act: async (values) => {
        await post(callPath(this.#callId, "to-person"), values);
        say("People are being rung.");
      },
    });
  }

  async #pauseOrResume() {
    const path = callPath(this.#callId, "recording");
    if (this.paused) {
      try {
        await post(path, { paused: false });
        say("The call is recorded again.");
      } catch (error) {
        say(error.message, "bad");
      }
      return;
    }
    const reason = field("Why?", {
      name: "reason", maxlength: 300, required: true, "data-missing": "Say why: it is kept with the recording.",
      hint: "The recording goes on in silence, in step with the transcript.",
    });
    await ask({
      title: "Pause the recording", asked: [reason], confirm: "Pause",
      act: async (values) => {
        await post(path, { paused: true, ...values });
        say("The recording is paused.");
      },
    });
  }

  async #askEnd() {
    await ask({
      title: "End this call?", text: "The caller is disconnected at once.", confirm: "End call", tone: "danger",
      act: () => post(callPath(this.#callId, "end")),
    });
  }
}
