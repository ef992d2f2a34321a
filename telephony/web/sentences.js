// What the caller reads: every state, every way a call can fail or end, as a clear sentence.

export const STATES = {
  idle: "Ready when you are",
  microphone: "Asking for your microphone…",
  connecting: "Connecting…",
  ringing: "Ringing…",
  answered: "You’re connected",
  held: "You’re on hold",
  transferring: "Putting you through to a person…",
  bridged: "You’re speaking with a person",
  unstable: "The connection is weak. Trying to hold on…",
  ended: "Call ended",
};

const PROBLEMS = {
  insecure: "Your browser only shares a microphone with secure pages. Open this page over https.",
  unsupported: "This browser cannot place calls. Please try a current version of another browser.",
  microphone_refused:
    "Your browser blocked the microphone. Allow it for this page in the address bar, then call again.",
  microphone_missing: "No microphone was found. Plug one in, then call again.",
  microphone_in_use: "Another program is using your microphone. Close it, then call again.",
  unreachable: "We can’t reach the service right now. Check your connection and try again.",
  no_sound_path:
    "No connection for sound could be made. Your network may be blocking it; try another network.",
  connection_lost: "The connection was lost. Please call again.",
  sound_blocked: "Your browser is holding back the sound. Click anywhere on the page to hear us.",
  busy: "All lines are busy. Please try again in a few minutes.",
  too_many_offers: "A lot of calls are coming in at once. Please try again in a moment.",
  nobody_available: "Nobody can take your call just now. Please call again later.",
  stopped: "The service was switched off during your call. Please call again in a few minutes.",
  failed: "Something went wrong on our side. Please call again.",
};

// Reasons the server gives, by what they mean to a caller. Those not here are an ordinary end.
const MEANINGS = {
  busy: "busy",
  refused: "busy",
  nobody_available: "nobody_available",
  gateway_stopped: "stopped",
  line_closed: "stopped",
  failed: "failed",
  answer_failed: "failed",
  connection_lost: "connection_lost",
  vanished: "connection_lost",
};

const ENDINGS = {
  hung_up: "You ended the call.",
  human_hung_up: "The other person ended the call.",
};

// The sentence for a problem; `fallback` is what the server said, for problems new to this page.
export function problemSentence(code, fallback) {
  return PROBLEMS[code] ?? fallback ?? PROBLEMS.failed;
}

// How a call ended: {problem: true} when the caller has to do something about it.
export function endSentence(reason) {
  const meaning = MEANINGS[reason];
  if (meaning) return { problem: true, text: PROBLEMS[meaning] };
  return { problem: false, text: ENDINGS[reason] ?? "The call has ended. Thank you for calling." };
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
