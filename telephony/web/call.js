// One call over WebRTC: sound both ways and the data channel "events" (see telephony/webrtc.py).

const GATHER_MS = 2000;
const CONNECT_MS = 15000;
const GOODBYE_MS = 400;

class CallFailed extends Error {
  constructor(code, sentence) {
    super(code);
    this.code = code;
    this.sentence = sentence;
  }
}

// `on` holds the page's reactions: state(state, reason), caption(caption), sound(stream),
// ended({reason}) or ended({problem}), called exactly once.
export class Call {
  #on;
  #connection = null;
  #channel = null;
  #microphone = null;
  #over = false;
  #patience = 0;
  #state = "connecting";

  constructor(on) {
    this.#on = on;
  }

  get microphone() {
    return this.#microphone;
  }

  async start() {
    try {
      this.#on.state("microphone");
      this.#microphone = await openMicrophone();
      if (this.#over) return this.#release();
      this.#on.state("connecting");
      await this.#connect();
    } catch (error) {
      if (error instanceof CallFailed) this.#end({ problem: error.code, sentence: error.sentence });
      else {
        console.warn("call failed", error);
        this.#end({ problem: "failed" });
      }
    }
    return undefined;
  }

  mute(muted) {
    for (const track of this.#microphone?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  press(digit) {
    this.#send({ event: "digit", digit });
  }

  hangUp() {
    const told = this.#send({ event: "hang_up" });
    this.#end({ reason: "hung_up" }, told ? GOODBYE_MS : 0);
  }

  async #connect() {
    const { ice_servers: iceServers } = await request("config");
    if (this.#over) return;
    const connection = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.#connection = connection;
    this.#channel = connection.createDataChannel("events");
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#channel.onclose = () => this.#end({ problem: "connection_lost" });
    connection.ontrack = ({ track, streams }) =>
      this.#on.sound(streams[0] ?? new MediaStream([track]));
    connection.onconnectionstatechange = () => this.#watch(connection.connectionState);
    for (const track of this.#microphone.getAudioTracks()) {
      connection.addTrack(track, this.#microphone);
      track.onended = () => this.#end({ problem: "microphone_missing" });
    }
    await connection.setLocalDescription();
    await gathered(connection);
    if (this.#over) return;
    const { type, sdp } = connection.localDescription;
    const answer = await request("offer", { type, sdp });
    if (this.#over) return;
    await connection.setRemoteDescription(answer);
    this.#patience = setTimeout(() => this.#end({ problem: "no_sound_path" }), CONNECT_MS);
  }

  #watch(state) {
    if (state === "connected") {
      clearTimeout(this.#patience);
      this.#on.state(this.#state);
    } else if (state === "disconnected") this.#on.state("unstable");
    else if (state === "failed") {
      const never = this.#state === "connecting";
      this.#end({ problem: never ? "no_sound_path" : "connection_lost" });
    }
  }

  #hear(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.event === "caption") this.#on.caption(message);
    else if (message.event === "state" && message.state === "ended") {
      this.#end({ reason: message.reason });
    } else if (message.event === "state") {
      this.#state = message.state;
      this.#on.state(message.state, message.reason);
    }
  }

  #send(message) {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(JSON.stringify(message));
    return true;
  }

  #end(how, lingerMs = 0) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#patience);
    for (const track of this.#microphone?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    // Closing at once would discard the goodbye just sent.
    setTimeout(() => this.#release(), lingerMs);
    this.#on.ended(how);
  }

  #release() {
    for (const track of this.#microphone?.getTracks() ?? []) track.stop();
    this.#connection?.close();
  }
}

async function openMicrophone() {
  if (!window.isSecureContext) throw new CallFailed("insecure");
  if (!navigator.mediaDevices?.getUserMedia || !window.RTCPeerConnection) {
    throw new CallFailed("unsupported");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    const codes = {
      NotAllowedError: "microphone_refused",
      SecurityError: "microphone_refused",
      NotFoundError: "microphone_missing",
      OverconstrainedError: "microphone_missing",
      NotReadableError: "microphone_in_use",
      AbortError: "microphone_in_use",
    };
    throw new CallFailed(codes[error.name] ?? "microphone_missing");
  }
}

// GET, or POST when there is a body; the answer's JSON.
async function request(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(CONNECT_MS) });
  } catch {
    throw new CallFailed("unreachable");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const known = response.status < 500 || response.status === 503;
  throw new CallFailed(
    answer.error?.code ?? (known ? "busy" : "failed"),
    answer.error?.message,
  );
}

function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
  });
}
