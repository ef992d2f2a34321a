// The supervisor's own line into one call, over WebRTC. There is one at a time.
//
// The first offer always has sound both ways: silence while only listening (the gateway takes a line
// without sound for a dead one), the microphone from the moment it is wanted. So that a change of
// mode needs no new offer, and a takeover is one short request.

import { ApiError, callPath, post, postLast, session } from "./api.js";

const GATHER_MS = 1500;
const CONNECT_MS = 12_000;
const LEAVE_MS = 3000;
const SPEAKING = new Set(["whisper", "barge", "takeover"]);

class Line extends EventTarget {
  callId = null;
  mode = null;
  state = "off";
  muted = false;
  byPhone = false;
  stream = null;
  #connection = null;
  #sender = null;
  #microphone = null;
  #context = null;
  #patience = 0;
  #leaving = null;

  constructor() {
    super();
    window.addEventListener("pagehide", () => {
      if (this.callId) postLast(callPath(this.callId, "leave"));
    });
  }

  on(callId) {
    return this.callId === callId && this.state !== "off";
  }

  // Listen, whisper, barge or take over; changes the mode when this line is in the call already.
  async join(callId, mode, uri = "") {
    if (this.#leaving) await this.#leaving;
    if (this.state !== "off" && this.callId !== callId) await this.leave();
    if (this.state !== "off") {
      await this.#change(mode);
      return;
    }
    this.callId = callId;
    this.mode = mode;
    this.byPhone = Boolean(uri);
    this.#set("connecting");
    try {
      if (uri) await post(callPath(callId, "supervise"), { mode, uri });
      else await this.#connect(callId, mode);
      if (uri) this.#set("ringing");
    } catch (error) {
      this.#release();
      if (error instanceof ApiError) throw error;
      console.warn("line failed", error);
      postLast(callPath(callId, "leave"));
      throw new ApiError(0, "line", "The line into the call could not be set up. Try again, or let your phone be rung.");
    }
  }

  // The agent goes on; this line stays, to hear how.
  async handBack(agreed) {
    await post(callPath(this.callId, "hand-back"), { agreed });
    if (this.state === "off") return;
    this.mode = "listen";
    if (!this.byPhone) await this.#useSilence();
    this.#tell();
  }

  // The gateway rings a phone by itself; it tells when somebody picked up.
  pickedUp() {
    if (this.state === "ringing") this.#set("on");
  }

  // Said before the sound ends: a connection that just ends counts as broken off.
  leave() {
    if (this.callId) this.#leaving ??= this.#sayLeft();
    return this.#leaving ?? Promise.resolve();
  }

  async #sayLeft() {
    const connection = this.#connection;
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = false;
    this.#set("leaving");
    const said = post(callPath(this.callId, "leave")).catch(() => {}); // gone already is as good as left
    await Promise.race([said, new Promise((resolve) => setTimeout(resolve, LEAVE_MS))]);
    this.#leaving = null;
    if (this.state === "leaving" && this.#connection === connection) this.#release();
  }

  // The call is over: nothing is left to be told.
  drop(reason = "ended") {
    if (this.state === "off") return;
    this.#release(this.#leaving ? "left" : reason);
  }

  mute(on) {
    this.muted = on;
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !on;
    this.#tell();
  }

  async #change(mode) {
    if (mode === this.mode) return;
    const was = this.mode;
    // Asked for at the same time: the caller should not wait for a microphone to open.
    const microphone = SPEAKING.has(mode) && !this.byPhone ? this.#useMicrophone() : Promise.resolve();
    const changed = post(callPath(this.callId, "mode"), { mode });
    const [opened, agreed] = await Promise.allSettled([microphone, changed]);
    if (agreed.status === "rejected") {
      if (!SPEAKING.has(was)) await this.#useSilence();
      throw agreed.reason;
    }
    if (opened.status === "rejected") {
      await post(callPath(this.callId, "mode"), { mode: was }).catch(() => {});
      throw opened.reason;
    }
    if (!SPEAKING.has(mode)) await this.#useSilence();
    this.mode = mode;
    this.#tell();
  }

  async #connect(callId, mode) {
    const connection = new RTCPeerConnection({ iceServers: session.iceServers, bundlePolicy: "max-bundle" });
    this.#connection = connection;
    connection.createDataChannel("events").onmessage = ({ data }) => this.#hear(data);
    this.#context = new AudioContext();
    this.#sender = connection.addTrack(this.#silence());
    connection.ontrack = ({ track, streams }) => {
      this.stream = streams[0] ?? new MediaStream([track]);
      this.#tell();
    };
    connection.onconnectionstatechange = () => this.#watch(connection);
    if (SPEAKING.has(mode)) await this.#useMicrophone();
    await connection.setLocalDescription();
    await gathered(connection);
    const answer = await post(callPath(callId, "supervise"), { mode, sdp: connection.localDescription.sdp });
    if (this.#connection !== connection) throw new ApiError(0, "left", "You left before the line was there.");
    await connection.setRemoteDescription({ type: "answer", sdp: answer.sdp });
    this.#patience = setTimeout(() => this.#lost(), CONNECT_MS);
  }

  #watch(connection) {
    if (connection !== this.#connection || this.#leaving) return;
    const state = connection.connectionState;
    if (state === "connected") {
      clearTimeout(this.#patience);
      this.#set("on");
    } else if (state === "disconnected") this.#set("unstable");
    else if (state === "failed" || state === "closed") this.#lost();
  }

  #hear(text) {
    try {
      const message = JSON.parse(text);
      if (message.event === "state" && message.state === "ended") this.drop(message.reason);
    } catch {
      // Not for us.
    }
  }

  #lost() {
    if (this.#leaving) return;
    postLast(callPath(this.callId, "leave"));
    this.#release("lost");
  }

  // A source that plays nothing: without one the browser would send no packets at all.
  #silence() {
    const source = this.#context.createConstantSource();
    const out = this.#context.createMediaStreamDestination();
    source.offset.value = 0;
    source.connect(out);
    source.start();
    return out.stream.getAudioTracks()[0];
  }

  async #useSilence() {
    await this.#sender?.replaceTrack(this.#silence());
    this.#closeMicrophone();
  }

  async #useMicrophone() {
    if (this.#microphone) return;
    try {
      this.#microphone = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      const refused = ["NotAllowedError", "SecurityError"].includes(error.name);
      throw new ApiError(0, "microphone", refused
        ? "The browser blocked the microphone. Allow it in the address bar, then try again."
        : "No microphone can be used. Plug one in, or let your phone be rung.");
    }
    this.mute(false);
    await this.#sender?.replaceTrack(this.#microphone.getAudioTracks()[0]);
  }

  #closeMicrophone() {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#microphone = null;
  }

  #release(reason = "left") {
    clearTimeout(this.#patience);
    const connection = this.#connection;
    this.#connection = this.#sender = this.stream = null;
    connection?.close();
    this.#closeMicrophone();
    this.#context?.close();
    this.#context = null;
    const { callId, mode } = this;
    this.callId = this.mode = null;
    this.state = "off";
    this.dispatchEvent(new CustomEvent("over", { detail: { callId, mode, reason } }));
    this.#tell();
  }

  #set(state) {
    this.state = state;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

export const line = new Line();

function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
  });
}
