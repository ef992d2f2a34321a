// Where the wait before an answer went, as bars one after another.

import { el, svg } from "./dom.js";
import { PARTS, ms, word } from "./words.js";

const WIDTH = 360;
const BAR = 9;
const STEP = 24;
const LEFT = 168;
const RIGHT = 62;

// `stages`: {name: ms}, in the order they follow one another.
export function waterfall(stages) {
  const parts = Object.entries(stages ?? {}).filter(([, value]) => Number.isFinite(value));
  if (!parts.length) return el("p", { class: "muted" }, "Not measured for this turn.");
  const total = parts.reduce((sum, [, value]) => sum + Math.max(0, value), 0) || 1;
  const room = WIDTH - LEFT - RIGHT;
  let done = 0;
  const lines = parts.map(([name, value], at) => {
    const y = at * STEP;
    const x = LEFT + (done / total) * room;
    const width = Math.max(1.5, (Math.max(0, value) / total) * room);
    done += Math.max(0, value);
    return svg("g", {},
      svg("text", { x: 0, y: y + 15, class: "name" }, word(PARTS, name)),
      svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y + 11, y2: y + 11, class: "guide" }),
      svg("rect", { x, y: y + 6.5, width, height: BAR, rx: 2, class: `part part-${at % 4}` }),
      svg("text", { x: WIDTH, y: y + 15, class: "value" }, ms(value)));
  });
  const sum = parts.length * STEP;
  return svg("svg", {
    class: "waterfall", viewBox: `0 0 ${WIDTH} ${sum + STEP}`, role: "img",
    "aria-label": `Wait of ${ms(total)}: ${parts.map(([name, value]) => `${word(PARTS, name)} ${ms(value)}`).join(", ")}`,
  }, lines,
  svg("line", { x1: 0, x2: WIDTH, y1: sum + 1, y2: sum + 1, class: "rule" }),
  svg("text", { x: 0, y: sum + 17, class: "name total" }, "Caller's wait"),
  svg("text", { x: WIDTH, y: sum + 17, class: "value total" }, ms(total)));
}
