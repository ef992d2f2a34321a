// Single keys: what they do, and whether this person wants them (they can be in the way of speech
// input, so that they can be turned off).

import { button, el } from "./dom.js";

const TYPED_IN = "input, textarea, select, [contenteditable]";

export function shortcutsWanted(event) {
  if (localStorage.getItem("keys") === "off" && event.key !== "?") return false;
  return !event.target.closest?.(TYPED_IN) && !document.querySelector("dialog[open]");
}

const IN_A_CALL = [
  ["l", "Listen"], ["w", "Whisper"], ["b", "Barge in"], ["t", "Take over"], ["h", "Hand back"], ["p", "To a person"],
  ["s", "Write to the agent"], ["↑ ↓", "Turn by turn"], ["space", "Play or stop the recording"],
];
const ON_A_BOARD = [["j k", "Next, previous call"], ["enter", "Open the call"], ["/", "Filter"]];
const HANDOFF = [["a", "Accept"], ["d", "Decline"]];

export function showKeys(views) {
  const wanted = el("input", { type: "checkbox", id: "keys-wanted", onchange: () => localStorage.setItem("keys", wanted.checked ? "on" : "off") });
  wanted.checked = localStorage.getItem("keys") !== "off";
  const list = (title, rows) => el("section", {}, el("h3", {}, title),
    el("dl", { class: "keys" }, rows.map(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)])));
  const dialog = el("dialog", { class: "wide-dialog", "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    el("h2", { id: "keys-title" }, "Keys"),
    el("div", { class: "columns" },
      list("Anywhere", [...views.map((view) => [`g ${view.key}`, view.label]), ["?", "This list"]]),
      list("Live board", ON_A_BOARD), list("One call", IN_A_CALL), list("Handoff", HANDOFF)),
    el("p", { class: "row" }, wanted, el("label", { for: "keys-wanted" }, "Use single keys")),
    el("div", { class: "row end" }, button("Close", { tone: "primary", onclick: () => dialog.close() })));
  document.body.append(dialog);
  dialog.showModal();
}
