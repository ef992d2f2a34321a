// Telling the agent what to do, or giving it the sentence to say next. Its guards decide as they do
// for every other sentence, and their answer is shown.

import { callPath, post } from "./api.js";
import { button, el } from "./dom.js";

const MAX = 500;

export class Steer {
  #callId;
  #say = false;

  constructor(callId) {
    this.#callId = callId;
    this.text = el("textarea", {
      rows: 2, maxlength: MAX, "aria-label": "Instruction to the agent", placeholder: "Tell the agent what to do…",
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          this.send();
        } else if (event.key === "Escape") this.text.blur();
      },
    });
    this.result = el("p", { class: "steer-result", role: "status" });
    const choices = [["Instruction", false], ["Say this next", true]].map(([label, say]) => el("button", {
      type: "button", "aria-pressed": String(say === this.#say),
      onclick: () => {
        this.#choose(say);
        this.text.focus();
      },
      data: { say: String(say) },
    }, label));
    this.choices = el("div", { class: "segments", role: "group", "aria-label": "How the agent takes it" }, choices);
    this.sendButton = button("Send", { tone: "primary small", onclick: () => this.send() });
    this.node = el("section", { class: "steer", "aria-label": "Write to the agent" },
      el("div", { class: "row" }, this.choices, this.result),
      el("div", { class: "row stretch" }, this.text, this.sendButton));
  }

  focus() {
    this.text.focus();
  }

  // A passage's sentence, put here so that a person reads it before the agent says it.
  suggest(sentence) {
    this.#choose(true);
    this.text.value = sentence.slice(0, MAX);
    this.text.focus();
  }

  async send() {
    const text = this.text.value.trim();
    if (!text || this.sendButton.disabled) return;
    this.sendButton.disabled = true;
    this.#tell("Asking the agent…", "");
    try {
      const answer = await post(callPath(this.#callId, "steer"), { text, say: this.#say });
      if (answer.accepted === false) this.#tell(`Refused: ${answer.reason || "the agent's guards do not allow it"}`, "bad");
      else {
        this.#tell(this.#say ? "The agent says it next." : "Given to the agent: it shapes what it words itself. Answers quoted from documents stay as they are.", "good");
        this.text.value = "";
      }
    } catch (error) {
      this.#tell(error.message, "bad");
    } finally {
      this.sendButton.disabled = false;
    }
  }

  #choose(say) {
    this.#say = say;
    for (const each of this.choices.children) each.setAttribute("aria-pressed", String(each.dataset.say === String(say)));
    this.text.placeholder = say ? "The sentence the agent says next…" : "Tell the agent what to do…";
    this.text.setAttribute("aria-label", say ? "Sentence the agent says next" : "Instruction to the agent");
  }

  #tell(sentence, tone) {
    this.result.textContent = sentence;
    this.result.dataset.tone = tone;
  }
}
