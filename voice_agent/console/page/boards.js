// Figures for four kinds of readers. What is on a board is decided by the server; this draws it.

import { get, session } from "./api.js";
import { chart } from "./charts.js";
import { el, setAttribute } from "./dom.js";
import { field } from "./form.js";
import { Fetched, table } from "./pages.js";
import { NONE, PARTS, REASONS, ROADS, counted, day, guarded, number, plain, word } from "./words.js";

const BOARDS = { operations: "Operations", quality: "Quality", business: "Business", compliance: "Compliance" };
const PERIODS = [["1", "Last hour"], ["24", "Last day"], ["168", "Last week"], ["720", "Last 30 days"]];
let hours = "24";

export function boards(name = "") {
  const may = Object.keys(BOARDS).filter((each) => session.can(each));
  return new Boards(may.includes(name) ? name : may[0], may);
}

class Boards {
  constructor(name, may) {
    this.name = name;
    this.title = BOARDS[name];
    this.period = field("Period", { tag: "select", options: PERIODS, value: hours });
    this.period.input.value = hours;
    this.period.input.addEventListener("change", () => {
      hours = this.period.input.value;
      this.#load();
    });
    this.content = el("div", { class: "board" });
    this.fetched = new Fetched(this.content);
    const links = may.map((each) => {
      const link = el("a", { href: `#/boards/${each}` }, BOARDS[each]);
      setAttribute(link, "aria-current", each === name ? "page" : null);
      return link;
    });
    this.node = el("div", { class: "page" },
      el("div", { class: "row wrap" }, el("h1", {}, BOARDS[name]), el("nav", { class: "segments", "aria-label": "Boards" }, links), el("span", { class: "grow" }), this.period),
      this.content);
    this.#load();
  }

  #load() {
    return this.fetched.show(() => get(`/api/boards/${this.name}`, { hours }), draw);
  }
}

function draw(board) {
  const { from, to, shortened } = board.period ?? {};
  return [
    from ? el("p", { class: "muted" }, `${day(from)} to ${day(to)}${shortened ? ": as far back as can be counted at once" : ""}`) : null,
    (board.tiles ?? []).length ? el("dl", { class: "tiles big" }, board.tiles.map((tile) => el("div", { data: { tone: tile.tone || "" } },
      el("dt", {}, tile.name),
      el("dd", {}, tile.unit === "time" ? day(tile.value) : number(tile.value), tile.unit !== "time" && tile.unit && tile.value !== null && tile.value !== undefined ? el("small", {}, ` ${tile.unit}`) : null),
      tile.note ? el("dd", { class: "note" }, tile.note) : null))) : null,
    (board.charts ?? []).length ? el("div", { class: "charts" }, board.charts.map(chart)) : null,
    (board.tables ?? []).map((each) => el("section", { class: "board-table" }, el("h2", {}, each.title),
      each.rows?.length ? table(each.title, each.columns.map((column) => [plain(column)]), each.rows.map((row) => row.map((value, at) => cell(value, each.columns[at]))))
        : el("p", { class: "muted" }, "Nothing in this time."))),
  ];
}

// Columns that hold codes; all others hold what people wrote, or names of theirs.
const CODED = {
  part: (code) => word(PARTS, code), reason: (code) => word(REASONS, code), road: (code) => word(ROADS, code),
  counter: counted, guard: guarded, when: day,
  ...Object.fromEntries(["code", "act", "end", "mood", "outcome", "line"].map((column) => [column, (code) => plain(String(code).replace(":", ": "))])),
};

function cell(value, column) {
  if (value === null || value === undefined || value === "") return NONE;
  if (Object.hasOwn(CODED, column)) return CODED[column](value);
  return typeof value === "number" ? number(value) : String(value);
}
