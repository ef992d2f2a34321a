// The page: its buttons and what they show. Calls are in call.js, words in sentences.js.

import { Call } from "./call.js";
import { Captions } from "./captions.js";
import { STATES, clock, endSentence, problemSentence } from "./sentences.js";
import { Voices } from "./voices.js";

const $ = (id) => document.getElementById(id);
const IN_CALL = new Set(["answered", "held", "transferring", "bridged", "unstable"]);
const SETTING_UP = new Set(["microphone", "connecting", "ringing"]);

const captions = new Captions($("captions"), $("scroll"), $("spoken"));
const bars = [...$("level").children];
const voices = new Voices($("voices"), showLevel);

let call = null;
let timer = 0;
let answeredAt = 0;
let muted = false;

$("ring").addEventListener("click", ring);
$("hang-up").addEventListener("click", () => call?.hangUp());
$("mute").addEventListener("click", () => mute(!muted));
$("keys").addEventListener("click", () => openKeypad($("keypad").hidden));
$("keypad").addEventListener("click", ({ target }) => {
  const digit = target.closest("[data-digit]")?.dataset.digit;
  if (digit) press(digit);
});
document.addEventListener("keydown", onKey);
window.addEventListener("pagehide", () => call?.hangUp());

function ring() {
  if (call) return;
  captions.clear();
  hideProblem();
  mute(false);
  openKeypad(false);
  $("pressed").textContent = "";
  showTips(false);
  const own = new Call({
    state: (state) => call === own && showState(state),
    caption: (caption) => captions.show(caption),
    sound: (stream) => play(stream),
    ended: (how) => end(how),
  });
  call = own;
  own.start().then(() => {
    if (call === own && own.microphone) voices.listenToCaller(own.microphone);
  });
}

function end({ reason, problem, sentence }) {
  const answered = timer !== 0;
  const lostFocus = $("in-call").contains(document.activeElement);
  call = null;
  clearInterval(timer);
  timer = 0;
  voices.stop();
  $("agent").srcObject = null;
  const outcome = problem
    ? { problem: true, text: problemSentence(problem, sentence) }
    : endSentence(reason);
  showState("ended");
  $("timer").hidden = true;
  if (outcome.problem) {
    $("state").textContent = answered ? `Call ended after ${$("timer").textContent}` : "Not connected";
    showProblem(outcome.text);
  } else $("state").textContent = outcome.text;
  captions.finish();
  openKeypad(false);
  showTips($("captions").childElementCount === 0);
  if (lostFocus) $("ring").focus();
}

function showState(state) {
  const sentence = STATES[state];
  if (!sentence) return;
  document.body.dataset.state = state;
  $("state").textContent = sentence;
  const inCall = IN_CALL.has(state);
  const ringable = !inCall && !SETTING_UP.has(state);
  $("in-call").hidden = ringable;
  // Not `disabled`: that would throw a keyboard user's focus away.
  $("ring").setAttribute("aria-disabled", String(!ringable));
  $("ring-label").textContent = ringable ? (state === "ended" ? "Call again" : "Call") : "";
  $("ring").setAttribute("aria-label", ringable ? $("ring-label").textContent : sentence);
  $("mute").disabled = $("keys").disabled = !inCall;
  document.title = ringable ? "Talk to us" : `${sentence} · Talk to us`;
  if (inCall && !timer) startTimer();
}

function startTimer() {
  answeredAt = performance.now();
  const tick = () => {
    $("timer").textContent = clock((performance.now() - answeredAt) / 1000);
  };
  tick();
  $("timer").hidden = false;
  timer = setInterval(tick, 500);
}

async function play(stream) {
  $("agent").srcObject = stream;
  voices.listenToAgent(stream);
  try {
    await $("agent").play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return;
    showProblem(problemSentence("sound_blocked"));
    document.addEventListener("click", () => $("agent").play().then(hideProblem), { once: true });
  }
}

function mute(on) {
  muted = on;
  call?.mute(on);
  document.body.toggleAttribute("data-muted", on);
  $("mute").setAttribute("aria-pressed", String(on));
  $("mute").querySelector("span").textContent = on ? "Unmute" : "Mute";
  $("level-label").textContent = on ? "Microphone off" : "Microphone";
}

function openKeypad(open) {
  $("keypad").hidden = !open;
  $("keys").setAttribute("aria-expanded", String(open));
  document.body.toggleAttribute("data-keypad", open);
}

function press(digit) {
  call?.press(digit);
  $("pressed").textContent = ($("pressed").textContent + digit).slice(-16);
  const key = $("keypad").querySelector(`[data-digit="${CSS.escape(digit)}"]`);
  key?.classList.add("down");
  setTimeout(() => key?.classList.remove("down"), 150);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !IN_CALL.has(document.body.dataset.state)) {
    return;
  }
  if (event.key === "Escape" && !$("keypad").hidden) {
    openKeypad(false);
    $("keys").focus();
  } else if (event.key.toLowerCase() === "m" && !event.repeat) mute(!muted);
  else if (/^[0-9*#]$/.test(event.key) && !event.repeat) {
    openKeypad(true);
    press(event.key);
  }
}

function showLevel(level) {
  const shown = muted ? 0 : level;
  const lit = Math.round(shown * bars.length);
  bars.forEach((bar, place) => bar.classList.toggle("lit", place < lit));
  const value = String(Math.round((lit / bars.length) * 100));
  if ($("level").getAttribute("aria-valuenow") !== value) {
    $("level").setAttribute("aria-valuenow", value);
  }
}

function showTips(shown) {
  $("tips").hidden = !shown;
  $("talk-title").textContent = shown ? "How it works" : "Conversation";
}

function showProblem(sentence) {
  $("problem").textContent = sentence;
  $("problem").hidden = false;
}

function hideProblem() {
  $("problem").hidden = true;
  $("problem").textContent = "";
}
