// What a person thinks of an answer, and what becomes of it: corrected, kept as a question to test
// with, or proposed as an approved text.

import { post, session } from "./api.js";
import { button, el, icon, replace } from "./dom.js";
import { field, say } from "./form.js";
import { GRADES, day, word } from "./words.js";

export class Grading {
  #turn;
  #onGrade;
  #asked = new Set();
  #sending = Promise.resolve();

  constructor(turn, onGrade) {
    this.#turn = turn;
    this.#onGrade = onGrade;
    this.buttons = Object.entries(GRADES).map(([grade, label]) => el("button", {
      type: "button", class: "button", data: { grade }, "aria-pressed": String(turn.grade?.grade === grade),
      onclick: () => this.#grade(grade),
    }, label));
    this.correction = field("Better answer", { tag: "textarea", name: "correction", rows: 3, maxlength: 2000 });
    this.correction.input.value = turn.grade?.correction || turn.agent || "";
    this.by = el("p", { class: "muted" });
    this.sent = el("p", { class: "muted", role: "status" });
    this.node = el("section", { class: "part grading" },
      el("h3", {}, "Was it right?"),
      el("div", { class: "grades", role: "group", "aria-label": "Grade" }, this.buttons),
      this.by,
      this.correction,
      el("div", { class: "row wrap" },
        button("Save correction", { tone: "small", onclick: () => this.#grade(this.#turn.grade?.grade ?? "wrong") }),
        session.can("evaluate") ? button("Add to evaluation set", { tone: "small", onclick: () => this.#keep() }) : null,
        session.can("verified_answer") ? button("Propose as verified answer", { tone: "small", onclick: () => this.#propose() }) : null),
      this.sent);
    this.#showBy();
    this.#showSent();
  }

  async #grade(grade) {
    const correction = this.correction.input.value.trim();
    const body = { grade };
    if (correction && correction !== this.#turn.agent) body.correction = correction;
    const answer = await this.#send("grade", body, `Graded: ${word(GRADES, grade)}.`);
    if (!answer) return;
    this.#turn = { ...this.#turn, grade: answer.grade?.grade ? answer.grade : { by: session.user, at: Date.now() / 1000, ...body } };
    for (const each of this.buttons) each.setAttribute("aria-pressed", String(each.dataset.grade === grade));
    this.#showBy();
    this.#onGrade(this.#turn);
  }

  async #keep() {
    const answer = await this.#send("evaluation", {}, "Added to the evaluation set.");
    if (!answer) return;
    this.#turn = { ...this.#turn, evaluated: true, file: answer.file };
    this.#showSent();
    this.#onGrade(this.#turn);
  }

  async #propose() {
    const answer = await this.#send("verified-answer", { text: this.correction.input.value.trim() }, "Proposed as a verified answer.");
    if (!answer) return;
    this.#turn = { ...this.#turn, proposed: "proposed" };
    this.#showSent();
    this.#onGrade(this.#turn);
  }

  // Where the turn went: so that nobody sends it twice, and whoever wonders can follow it.
  #showSent() {
    const { evaluated, file, proposed } = this.#turn;
    replace(this.sent,
      evaluated ? el("span", {}, icon("check"), file ? `In the evaluation set (${file}). ` : "In the evaluation set. ") : null,
      proposed ? el("a", { href: "#/answers" }, `Answer ${proposed}`) : null);
  }

  // One after the other, so that a click while another is on its way counts too; the same one twice
  // does not.
  #send(what, body, done) {
    const asked = JSON.stringify([what, body]);
    if (this.#asked.has(asked)) return null;
    this.#asked.add(asked);
    this.#sending = this.#sending.then(() => this.#sendNow(what, body, done)).finally(() => this.#asked.delete(asked));
    return this.#sending;
  }

  async #sendNow(what, body, done) {
    try {
      const answer = await post(`/api/turns/${encodeURIComponent(this.#turn.turn_id)}/${what}`, body);
      say(done);
      return answer ?? {};
    } catch (error) {
      say(error.message, "bad");
      return null;
    }
  }

  #showBy() {
    const { grade } = this.#turn;
    this.by.textContent = grade ? `${word(GRADES, grade.grade)}${grade.by ? `, by ${grade.by}` : ""}${grade.at ? `, ${day(grade.at)}` : ""}` : "Not graded yet.";
  }
}
