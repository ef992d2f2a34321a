// Line and bar charts as SVG. Their numbers are also there as a table, for who cannot see them.

import { el, svg } from "./dom.js";
import { GRADES, NONE, ROADS, date, day, number, time, word } from "./words.js";

const WIDTH = 560;
const HEIGHT = 200;
const EDGE = { left: 46, right: 14, top: 12, bottom: 26 };
const INNER_WIDTH = WIDTH - EDGE.left - EDGE.right;
const INNER_HEIGHT = HEIGHT - EDGE.top - EDGE.bottom;
const MAX_LABELS = 6;
const UNIX_FROM = 1e9;
const TWO_DAYS_S = 2 * 86_400;

export function chart({ title, unit = "", kind = "line", labels = [], series = [], reach = null }) {
  const values = series.flatMap((each) => each.values).filter(Number.isFinite);
  const timed = labels.length > 0 && labels.every((label) => Number.isFinite(label) && label > UNIX_FROM);
  if (!timed) labels = labels.map((label) => word(title === "Grades" ? GRADES : ROADS, label));
  const names = labels.map((label) => (timed ? day(label) : String(label)));
  const along = labels.map((label) => (timed ? (labels.at(-1) - labels[0] <= TWO_DAYS_S ? time : date)(label) : clipped(String(label))));
  const heading = el("figcaption", {}, el("strong", {}, title), unit ? el("span", { class: "muted" }, ` ${unit}`) : null);
  const counts = kind === "bar" && values.every(Number.isInteger);
  if (!values.length || (counts && !values.some(Boolean))) return el("figure", { class: "chart" }, heading, el("p", { class: "muted none" }, "Nothing in this time."));
  const ticks = niceTicks(Math.min(0, ...values), Math.max(...values, reach ?? -Infinity), counts ? 1 : 0);
  const [low, high] = [ticks[0], ticks.at(-1)];
  const y = (value) => EDGE.top + INNER_HEIGHT * (1 - (value - low) / (high - low));
  const x = kind === "bar" || names.length < 2
    ? (at) => EDGE.left + (INNER_WIDTH * (at + 0.5)) / names.length
    : (at) => EDGE.left + (INNER_WIDTH * at) / (names.length - 1);
  const every = Math.ceil(names.length / MAX_LABELS);
  return el("figure", { class: "chart" }, heading,
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${summary(series, unit)}` },
      ticks.map((tick) => svg("g", {},
        svg("line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(tick), y2: y(tick), class: tick === 0 ? "axis" : "guide" }),
        svg("text", { x: EDGE.left - 7, y: y(tick) + 4, class: "tick end" }, short(tick)))),
      along.map((name, at) => (at % every === 0 ? svg("text", { x: x(at), y: HEIGHT - 7, class: "tick middle" }, name) : null)),
      kind === "bar" ? bars(series, names, x, y) : lines(series, names, x, y),
      Number.isFinite(reach) ? svg("g", {},
        svg("line", { x1: EDGE.left, x2: WIDTH - EDGE.right, y1: y(reach), y2: y(reach), class: "reach" }),
        svg("text", { x: WIDTH - EDGE.right, y: y(reach) - 4, class: "tick end" }, `to reach ${number(reach)}`)) : null),
    series.length > 1 ? el("ul", { class: "legend" }, series.map((each, at) => el("li", { class: `series-${at % 5}` }, each.name))) : null,
    el("details", {}, el("summary", {}, "As a table"), dataTable(title, names, series)));
}

function lines(series, names, x, y) {
  return series.map((each, which) => {
    // A gap in the numbers is a gap in the line.
    let path = "";
    let pen = "M";
    each.values.forEach((value, at) => {
      if (!Number.isFinite(value)) {
        pen = "M";
        return;
      }
      path += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    });
    const dots = each.values.map((value, at) => (Number.isFinite(value)
      ? svg("circle", { cx: x(at), cy: y(value), r: names.length > 40 ? 1.5 : 2.6 }, svg("title", {}, `${names[at]}: ${number(value)}${series.length > 1 ? ` (${each.name})` : ""}`)) : null));
    return svg("g", { class: `series series-${which % 5}` }, svg("path", { d: path, class: "curve" }), dots);
  });
}

function bars(series, names, x, y) {
  const wide = (INNER_WIDTH / names.length) * 0.72;
  const each = wide / series.length;
  return series.map((one, which) => svg("g", { class: `series series-${which % 5}` }, one.values.map((value, at) => (Number.isFinite(value)
    ? svg("rect", {
      x: x(at) - wide / 2 + which * each, width: Math.max(1, each - 1.5), rx: 2,
      y: Math.min(y(value), y(0)), height: Math.max(0.5, Math.abs(y(0) - y(value))),
    }, svg("title", {}, `${names[at]}: ${number(value)}${series.length > 1 ? ` (${one.name})` : ""}`)) : null))));
}

// Three to six round steps from low to high.
function niceTicks(low, high, least) {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const nice = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const step = Math.max(nice, least);
  const ticks = [];
  for (let at = Math.floor(low / step); ticks.length < 12; at += 1) {
    ticks.push(Number((at * step).toPrecision(10)));
    if (at * step >= high && ticks.length > 1) break;
  }
  return ticks;
}

const SHORT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });
const short = (value) => SHORT.format(value);
const clipped = (name) => (name.length > 16 ? `${name.slice(0, 15)}…` : name);

function summary(series, unit) {
  return series.map(({ name, values }) => {
    const known = values.filter(Number.isFinite);
    if (!known.length) return `${name} not known`;
    return `${name} last ${number(known.at(-1))}, from ${number(Math.min(...known))} to ${number(Math.max(...known))} ${unit}`.trim();
  }).join("; ");
}

function dataTable(title, names, series) {
  return el("table", { class: "list" }, el("caption", { class: "unseen" }, title),
    el("thead", {}, el("tr", {}, el("td", {}), series.map((each) => el("th", { scope: "col", class: "figure" }, each.name)))),
    el("tbody", {}, names.map((name, at) => el("tr", {}, el("th", { scope: "row" }, name),
      series.map((each) => el("td", { class: "figure" }, Number.isFinite(each.values[at]) ? number(each.values[at]) : NONE))))));
}
