// The live board: every call in one line, those that need somebody on top.

import { session } from "./api.js";
import { el, setText } from "./dom.js";
import { CallRow } from "./call_row.js";
import { everySecond } from "./frame.js";
import { live } from "./live.js";
import { callerOf, clock, ms } from "./words.js";

const COLUMNS = [
  ["state", "State"], ["caller", "Caller"], ["queue", "Queue"], ["length", "Time"], ["wait", "Waiting"],
  ["road", "Road"], ["mood", "Mood"], ["latency", "Last turn"], ["risk", "Risk"], ["last", "Last words"],
];
const FILTERS = { all: "All", attention: "Need somebody", waiting: "Waiting", person: "With a person" };

export function liveBoard() {
  return new LiveBoard();
}

class LiveBoard {
  title = "Live";
  #rows = new Map();
  #stops = [];
  #filter = "all";
  #words = "";
  #held = false;

  constructor() {
    this.tiles = Object.fromEntries(["calls", "waiting", "longest", "person", "latency"].map((name) => [name, el("dd", {})]));
    const names = { calls: "Calls", waiting: "Waiting for a person", longest: "Longest wait", person: "With a person", latency: "Median last turn" };
    this.search = el("input", {
      type: "search", placeholder: "Filter", "aria-label": "Filter calls by caller, queue or words", "aria-keyshortcuts": "/",
      oninput: () => {
        this.#words = this.search.value.trim().toLowerCase();
        this.#showAll();
      },
    });
    this.body = el("tbody", {
      role: "rowgroup",
      onclick: (event) => this.#onClick(event),
      onpointerleave: () => this.#release(),
      onfocusout: () => setTimeout(() => this.#release()),
    });
    this.empty = el("p", { class: "plain muted" }, "No calls just now.");
    this.node = el("div", { class: "live" },
      el("div", { class: "live-head" },
        el("h1", { class: "unseen" }, "Live calls"),
        el("dl", { class: "tiles" }, Object.entries(names).map(([key, name]) => el("div", { data: { tile: key } }, el("dt", {}, name), this.tiles[key]))),
        el("div", { class: "row" }, this.#filters(), this.search)),
      el("div", { class: "table-wrap" },
        // Roles are spelt out: lines are laid out as grids of their own, which each can be drawn
        // without its neighbours.
        el("table", { class: "calls", role: "table", "aria-label": "Live calls" },
          el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, COLUMNS.map(([name, label]) => el("th", { scope: "col", role: "columnheader", class: `c-${name}` }, label)))),
          this.body),
        this.empty));
    this.#stops.push(live.listen((keys) => this.#show(keys)), everySecond(() => this.#tick()));
    this.#showAll();
  }

  shown() {
    const last = sessionStorage.getItem("last-call");
    if (last) this.#rows.get(last)?.link.focus({ preventScroll: false });
  }

  close() {
    for (const stop of this.#stops) stop();
  }

  key(event) {
    if (event.key === "/") {
      event.preventDefault();
      this.search.focus();
    } else if (["j", "k", "ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      this.#step(["j", "ArrowDown"].includes(event.key) ? 1 : -1);
    }
  }

  #filters() {
    const group = el("div", { class: "segments", role: "group", "aria-label": "Which calls" });
    group.append(...Object.entries(FILTERS).map(([name, label]) => el("button", {
      type: "button", "aria-pressed": String(name === this.#filter), data: { filter: name },
      onclick: () => {
        this.#filter = name;
        for (const each of group.children) each.setAttribute("aria-pressed", String(each.dataset.filter === name));
        this.#showAll();
      },
    }, label)));
    return group;
  }

  #show(keys) {
    if (keys.has("*all")) {
      this.#showAll();
      return;
    }
    let any = false;
    for (const id of keys) {
      if (id.startsWith("*")) continue;
      any = true;
      this.#showCall(id);
    }
    if (keys.has("*alarms")) for (const row of this.#rows.values()) this.#showCall(row.id);
    if (any || keys.has("*alarms")) {
      this.#order();
      this.#tiles();
    }
  }

  #showAll() {
    for (const id of [...this.#rows.keys()]) if (!live.calls.has(id)) this.#drop(id);
    for (const id of live.calls.keys()) this.#showCall(id);
    this.#order(true);
    this.#tiles();
  }

  #showCall(id) {
    const call = live.calls.get(id);
    if (!call) {
      this.#drop(id);
      return;
    }
    let row = this.#rows.get(id);
    if (!row) {
      row = new CallRow(id, session.can("words"));
      this.#rows.set(id, row);
    }
    row.show(call, live.alarmsOf(id), live.now());
    row.node.hidden = !this.#passes(row, call);
  }

  #drop(id) {
    this.#rows.get(id)?.node.remove();
    this.#rows.delete(id);
  }

  #passes(row, call) {
    if (this.#filter === "attention" && row.rank > 2) return false;
    if (this.#filter === "waiting" && call.stage !== "waiting") return false;
    if (this.#filter === "person" && !["bridged", "supervised"].includes(call.stage)) return false;
    if (!this.#words) return true;
    return [callerOf(call), call.caller, call.queue, call.route, call.dialled, call.snippet]
      .some((part) => String(part ?? "").toLowerCase().includes(this.#words));
  }

  // Lines keep their places while somebody points at them or has the focus among them.
  #order(now = false) {
    if (!now && (this.body.matches(":hover") || this.body.contains(document.activeElement))) {
      this.#held = true;
      for (const row of this.#rows.values()) if (!row.node.isConnected) this.body.append(row.node);
      return;
    }
    this.#held = false;
    const rows = [...this.#rows.values()].sort((a, b) => a.rank - b.rank || a.since - b.since || (a.id < b.id ? -1 : 1));
    let next = this.body.firstElementChild;
    for (const { node } of rows) {
      if (node === next) next = next.nextElementSibling;
      else if (node.isConnected && this.body.moveBefore) this.body.moveBefore(node, next);
      else this.body.insertBefore(node, next);
    }
  }

  #release() {
    if (this.#held) this.#order();
  }

  #tiles() {
    const calls = [...live.calls.values()];
    const waiting = calls.filter((call) => call.stage === "waiting");
    const latencies = calls.map((call) => call.latency_ms).filter(Number.isFinite).sort((a, b) => a - b);
    setText(this.tiles.calls, String(calls.length));
    setText(this.tiles.waiting, String(waiting.length));
    setText(this.tiles.person, String(calls.filter((call) => ["bridged", "supervised"].includes(call.stage)).length));
    setText(this.tiles.latency, ms(latencies[Math.floor(latencies.length / 2)]));
    this.#longest(waiting);
    const shown = [...this.#rows.values()].some((row) => !row.node.hidden);
    this.empty.hidden = shown;
    setText(this.empty, calls.length ? "No call fits the filter." : "No calls just now.");
  }

  #longest(waiting) {
    const since = Math.min(...waiting.map((call) => call.waiting_since ?? Infinity));
    setText(this.tiles.longest, clock(live.now() - since));
  }

  #tick() {
    const now = live.now();
    for (const row of this.#rows.values()) row.tick(now);
    this.#longest([...live.calls.values()].filter((call) => call.stage === "waiting"));
  }

  #onClick(event) {
    const row = event.target.closest("tr");
    if (!row || event.target.closest("a") || String(getSelection())) return;
    location.hash = row.querySelector("a").hash;
  }

  #step(by) {
    const links = [...this.body.querySelectorAll("tr:not([hidden]) a")];
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  }
}
