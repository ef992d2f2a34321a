// How numbers, times and states are written.

const OF_DAY = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const TIME = new Intl.DateTimeFormat(undefined, OF_DAY);
const DATE = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", ...OF_DAY });

export const NONE = "–";

export const STAGES = {
  ringing: "Ringing",
  with_agent: "With agent",
  waiting: "Waiting",
  bridged: "With a person",
  supervised: "Supervised",
  closing: "Ending",
  ended: "Ended",
};
export const ROADS = {
  verified: "Verified answer",
  answer: "From documents",
  action: "Action",
  small_talk: "Small talk",
  clarify: "Asked back",
  person: "Person",
  out_of_scope: "Out of scope",
  decline: "Declined",
  quote: "Quoted",
  consent: "Consent to recording",
};
// Parts of the wait, wherever it is shown.
export const PARTS = {
  silence: "Silence after the question",
  transcription: "Writing it down",
  retrieval: "Searching",
  first_token: "Model's first word",
  first_clause: "First clause checked",
  synthesis: "Making the voice",
  gate: "Kept until the turn was over",
  playout: "To the line",
};
const SIDES = { input: "What callers say", output: "What the agent says", steer: "Supervisors' words", recording: "Recordings", document: "Documents" };
export const MOODS = { calm: "Calm", annoyed: "Annoyed", upset: "Upset", vulnerable: "Vulnerable" };
export const MODES = { listen: "Listening", whisper: "Whispering", barge: "In the call", takeover: "Taken over" };
const RECORDINGS = { waiting: "starts once its notice was heard", on: "on", paused: "paused", refused: "off", failed: "failed" };
const PERMISSIONS = {
  notice_heard: "after a notice",
  agreed_by_word: "agreed by word",
  agreed_by_key: "agreed by key",
  refused: "refused by the caller",
  unanswered: "no answer to the question",
  not_heard: "the notice was not heard",
  none_needed: "no notice needed",
};
export const OUTCOMES = {
  live: "Live",
  ended_by_caller: "Ended by the caller",
  ended_by_agent: "Ended by the agent",
  ended_by_supervisor: "Ended by a supervisor",
  handed_over: "Handed over to a person",
  call_back_promised: "Call-back promised",
  nobody_available: "Nobody was available",
  replaced: "Replaced by another call",
  gateway_stopped: "The gateway was stopped",
  agent_gone: "The agent lost the caller",
  failed: "Failed",
};
export const GRADES = { right: "Right", wrong: "Wrong", unsafe: "Unsafe", person: "Should have been a person" };
export const REASONS = {
  asked: "Asked for a person",
  not_understood: "Not understood twice",
  unsure: "The agent was not sure",
  unknown: "Not in the documents",
  repeated: "Asked the same again",
  upset: "Upset",
  vulnerable: "Vulnerable",
  legal: "Legal matter",
  medical: "Health or injury",
  policy: "Only a person may decide",
  over_limit: "Above the agent's limit",
  limit: "Above the agent's limit",
  action: "An action did not work",
  language: "Another language",
  supervisor: "Supervisor's choice",
  failed: "Technical trouble",
};

// "sent_to_person" → "Sent to person": for what the tables above do not know.
export function plain(code) {
  if (!code) return NONE;
  const words = String(code).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// What a counter counts: "gateway_calls_total{line=sip}" → "Gateway calls: sip".
export function counted(name) {
  const [what, labels = ""] = String(name).split("{");
  const values = labels.replace("}", "").split(",").filter(Boolean).map((label) => plain(label.split("=").at(-1)).toLowerCase());
  return [plain(what.replace(/_total$/, "")), values.join(", ")].filter(Boolean).join(": ");
}

// "reason=payment,side=recording" → "Recordings: payment".
export function guarded(labels) {
  const given = Object.fromEntries(String(labels).split(",").map((label) => label.split("=")));
  const { side, ...rest } = given;
  return [side ? word(SIDES, side) : null, Object.values(rest).map((each) => plain(each).toLowerCase()).join(", ")].filter(Boolean).join(": ");
}

export function word(table, code) {
  return Object.hasOwn(table, code ?? "") ? table[code] : plain(code);
}

// Seconds as 0:07, 12:40 or 1:02:05.
export function clock(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

export function time(unixS) {
  return unixS ? TIME.format(unixS * 1000) : NONE;
}

export function day(unixS) {
  return unixS ? DAY.format(unixS * 1000) : NONE;
}

export function date(unixS) {
  return unixS ? DATE.format(unixS * 1000) : NONE;
}

export function ms(value) {
  if (!Number.isFinite(value)) return NONE;
  return value < 10_000 ? `${Math.round(value).toLocaleString()} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function percent(share) {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : NONE;
}

export function number(value) {
  if (value === null || value === undefined) return NONE;
  if (!Number.isFinite(value)) return String(value);
  return value.toLocaleString(undefined, { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 1 });
}

export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}

// A browser caller has no number of its own.
export function callerOf(call) {
  return call.name || call.caller || (call.line === "webrtc" ? "Web caller" : "Unknown number");
}

// Whether a live call is recorded, and why: "Recording paused (payment)".
export function recordingOf(call) {
  const told = call.recording;
  if (!told || typeof told !== "object" || told.state === "off") return null;
  const why = PERMISSIONS[told.why] ?? told.why;
  return `Recording ${RECORDINGS[told.state] ?? told.state}${why ? ` (${why})` : ""}`;
}

// How a recording came about and where it is silent: "Recorded, agreed by key; silent 0:12–0:40 (payment)".
export function recordedAs(recorded) {
  if (!recorded) return null;
  const parts = [`Recorded, ${PERMISSIONS[recorded.permission] ?? plain(recorded.permission).toLowerCase()}`];
  for (const pause of recorded.pauses ?? []) {
    const until = Number.isFinite(pause.to_ms) ? clock(pause.to_ms / 1000) : "the end";
    parts.push(`silent ${clock(pause.from_ms / 1000)}–${until} (${pause.by ? `${pause.cause}: ${pause.by}` : pause.cause})`);
  }
  if (Number.isFinite(recorded.stopped_by_caller_ms)) parts.push(`stopped by the caller at ${clock(recorded.stopped_by_caller_ms / 1000)}`);
  return parts.join("; ");
}
