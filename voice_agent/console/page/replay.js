// A recording with its transcript in step: the turn that plays is marked, a turn can be played from.

import { el, svg } from "./dom.js";
import { clock } from "./words.js";

const WIDTH = 1000;
const HEIGHT = 34;

export class Replay {
  #durationS;

  constructor(url, turns, durationS, onTime) {
    this.#durationS = durationS || (turns.at(-1)?.at_ms ?? 0) / 1000 + 10;
    this.sound = el("audio", { controls: true, preload: "metadata", src: url, "aria-label": "Recording" });
    this.cursor = svg("line", { y1: 0, y2: HEIGHT, x1: 0, x2: 0, class: "cursor" });
    this.track = svg("svg", { class: "track", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.problem = el("p", { class: "problem", hidden: true, role: "alert" }, "The recording cannot be played. It may have been deleted by the retention policy.");
    this.node = el("section", { class: "replay", "aria-label": "Recording" }, this.sound, this.track, this.problem);
    const tell = () => {
      onTime(this.sound.currentTime * 1000);
      this.#move();
    };
    for (const name of ["timeupdate", "seeked"]) this.sound.addEventListener(name, tell);
    this.sound.addEventListener("loadedmetadata", () => {
      if (Number.isFinite(this.sound.duration)) this.#durationS = this.sound.duration;
      this.#draw(turns);
    });
    this.sound.addEventListener("error", () => {
      this.problem.hidden = false;
      this.track.setAttribute("hidden", "");
    });
    this.track.addEventListener("click", (event) => {
      const box = this.track.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.#durationS * 1000);
    });
    this.#draw(turns);
  }

  close() {
    this.sound.pause();
    this.sound.removeAttribute("src");
  }

  seek(atMs) {
    this.sound.currentTime = Math.max(0, atMs / 1000);
  }

  toggle() {
    if (this.sound.paused) this.sound.play().catch(() => {});
    else this.sound.pause();
  }

  #x(atMs) {
    return Math.min(WIDTH, (atMs / 1000 / this.#durationS) * WIDTH);
  }

  #draw(turns) {
    const parts = turns.flatMap((turn, at) => {
      const begin = this.#x(turn.at_ms ?? 0);
      const end = this.#x(turns[at + 1]?.at_ms ?? this.#durationS * 1000);
      const answer = this.#x((turn.at_ms ?? 0) + ((turns[at + 1]?.at_ms ?? this.#durationS * 1000) - (turn.at_ms ?? 0)) * 0.35);
      return [
        turn.caller ? svg("rect", { x: begin, y: 4, width: Math.max(1, answer - begin - 3), height: 11, rx: 3, class: "caller" }, svg("title", {}, `${clock((turn.at_ms ?? 0) / 1000)} caller`)) : null,
        turn.agent ? svg("rect", { x: turn.caller ? answer : begin, y: 19, width: Math.max(1, end - (turn.caller ? answer : begin) - 3), height: 11, rx: 3, class: turn.cut_off ? "agent cut" : "agent" }) : null,
      ];
    });
    this.track.replaceChildren(...parts.filter(Boolean), this.cursor);
  }

  #move() {
    const x = this.#x(this.sound.currentTime * 1000);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
  }
}
