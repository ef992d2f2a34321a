// The strip at the bottom that says which call a supervisor is in, whatever view is open, and plays it.

import { session } from "./api.js";
import { button, el, setAttribute, setText } from "./dom.js";
import { say } from "./form.js";
import { line } from "./line.js";
import { live } from "./live.js";
import { MODES, callerOf, word } from "./words.js";

const LOUDNESS_MS = 125;
const STATES = { connecting: "Connecting…", ringing: "Ringing your phone…", leaving: "Leaving…", unstable: "Your line is unstable…" };

export class LineDock {
  #stops = [];
  #meter = 0;

  constructor() {
    this.sound = el("audio", { autoplay: true });
    this.what = el("strong", {});
    this.who = el("a", {});
    this.level = el("meter", { min: 0, max: 1, "aria-label": "Loudness of the call" });
    this.mute = button("Mute", { icon: "mute", tone: "small", "aria-pressed": "false", onclick: () => line.mute(!line.muted) });
    this.node = el("section", { class: "dock", "aria-label": "Your line", hidden: true },
      el("p", { role: "status" }, this.what, " ", this.who), this.level, this.mute,
      button("Leave", { icon: "leave", tone: "small", onclick: () => this.leave() }), this.sound);
    const listen = (name, react) => {
      line.addEventListener(name, react);
      this.#stops.push(() => line.removeEventListener(name, react));
    };
    listen("change", () => this.#show());
    listen("over", ({ detail }) => this.#over(detail));
    this.#stops.push(live.listen((keys) => {
      if (line.callId && (keys.has(line.callId) || keys.has("*alarms"))) this.#follow(live.calls.get(line.callId));
    }));
  }

  close() {
    for (const stop of this.#stops) stop();
    clearInterval(this.#meter);
  }

  leave() {
    return line.leave();
  }

  #follow(call) {
    if (!call) {
      if (live.connected) line.drop("ended");
    } else if (line.state === "ringing") {
      if (call.supervisor?.name === session.user) line.pickedUp();
      else if (live.alarmsOf(call.call_id).some((alarm) => alarm.code === "supervisor_not_reached")) line.drop("unreached");
    }
  }

  #show() {
    this.node.hidden = line.state === "off";
    if (line.state === "off") return;
    const call = live.calls.get(line.callId);
    setText(this.what, STATES[line.state] ?? `${word(MODES, line.mode)}${line.byPhone ? " by phone" : ""}`);
    setText(this.who, call ? callerOf(call) : line.callId);
    setAttribute(this.who, "href", `#/calls/${encodeURIComponent(line.callId)}`);
    this.node.dataset.mode = line.mode;
    this.mute.hidden = line.byPhone || line.mode === "listen";
    setText(this.mute.querySelector("span"), line.muted ? "Unmute" : "Mute");
    this.mute.setAttribute("aria-pressed", String(line.muted));
    this.level.hidden = line.byPhone;
    if (line.stream && this.sound.srcObject !== line.stream) this.#play(line.stream);
  }

  async #play(stream) {
    this.sound.srcObject = stream;
    this.#listenTo(stream);
    try {
      await this.sound.play();
    } catch (error) {
      if (error.name === "NotAllowedError") say("The browser holds the sound back: click anywhere.", "bad");
    }
  }

  #listenTo(stream) {
    clearInterval(this.#meter);
    const context = new AudioContext();
    const node = context.createAnalyser();
    node.fftSize = 512;
    context.createMediaStreamSource(stream).connect(node);
    const wave = new Float32Array(node.fftSize);
    this.#meter = setInterval(() => {
      if (line.stream !== stream) {
        clearInterval(this.#meter);
        context.close();
        return;
      }
      node.getFloatTimeDomainData(wave);
      const power = wave.reduce((sum, sample) => sum + sample * sample, 0) / wave.length;
      this.level.value = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 55) / 45));
    }, LOUDNESS_MS);
  }

  #over({ mode, reason }) {
    this.sound.srcObject = null;
    if (reason === "lost") {
      say(mode === "listen" ? "Your line was lost." : "Your line was lost. The caller is told and goes back; join again to go on.", "bad");
    } else if (reason === "unreached") say("Your phone was not picked up.", "bad");
    else if (reason !== "left") say("The call has ended.");
  }
}
