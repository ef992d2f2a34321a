// Who answers: all, by queue, by route; and how long the drills took.

import { get } from "./api.js";
import { button, el } from "./dom.js";
import { offerSwitch } from "./kill_switch.js";
import { live } from "./live.js";
import { Fetched, table } from "./pages.js";
import { NONE, day, number } from "./words.js";

export function switchView() {
  return new SwitchView();
}

class SwitchView {
  title = "Switch";

  constructor() {
    this.content = el("div", {});
    this.fetched = new Fetched(this.content);
    this.node = el("div", { class: "page" }, el("h1", {}, "Who answers"), this.content);
    this.#load();
    this.close = live.listen((keys) => {
      if (keys.has("*answering")) this.#load();
    });
  }

  #load() {
    return this.fetched.show(() => get("/api/answering"), (answer) => this.#draw(answer));
  }

  #draw({ switches = [], queues = [], routes = [], drills = [] }) {
    live.switches = switches;
    const known = (scope, name) => switches.find((each) => each.scope === scope && (each.name ?? "") === name) ?? { scope, name, on: false };
    const named = (scope, names) => [...new Set([...names, ...switches.filter((each) => each.scope === scope).map((each) => each.name)])].map((name) => known(scope, name));
    const all = known("all", "");
    const rows = [...named("queue", queues), ...named("route", routes)];
    return [
      el("section", { class: "card big-switch", data: { off: String(all.on) } },
        el("div", { class: "grow" },
          el("h2", {}, all.on ? "Agents are off the phones" : "Agents answer"),
          el("p", { class: "muted" }, all.on ? `${all.by || "Somebody"}, ${day(all.since)}: ${all.reason || NONE}` : "All calls are answered by agents, except where switched off below.")),
        this.#button(all)),
      rows.length ? table("Queues and routes", [["What"], ["Agents"], ["By"], ["Since"], ["Reason"], [""]], rows.map((each) => [
        `${each.scope === "queue" ? "Queue" : "Route"} ${each.name}`,
        el("span", { class: "tag", data: { tone: each.on || all.on ? "bad" : "good" } }, each.on ? "Off" : all.on ? "Off (all)" : "Answer"),
        each.on ? each.by || NONE : NONE, each.on ? day(each.since) : NONE, each.on ? each.reason || NONE : NONE,
        this.#button(each),
      ])) : null,
      drills.length ? [el("h2", {}, "Drills"), table("Drills", [["When"], ["New calls, s", "figure"], ["Live calls, s", "figure"], ["Dropped", "figure"]],
        drills.map((drill) => [day(drill.at), number(drill.new_calls_s), number(drill.live_calls_s), number(drill.dropped)]))] : null,
      el("p", { class: "muted" }, "From a shell, also when nothing else answers: ", el("code", {}, "voice-agent kill-switch on --scope all --reason \"…\"")),
    ];
  }

  #button({ scope, name = "", on }) {
    const what = scope === "all" ? "all calls" : `${scope} ${name}`;
    return button(on ? "Let agents answer" : "Take agents off", {
      tone: on ? "primary small" : "danger small", "aria-label": `${on ? "Let agents answer" : "Take agents off"}: ${what}`,
      data: { key: what }, onclick: () => offerSwitch({ scope, name }),
    });
  }
}
