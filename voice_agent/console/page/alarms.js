// Alarms, on top of every view. The strip is always as high, so that nothing jumps under a pointer.

import { button, el, icon, replace, setAttribute, setText } from "./dom.js";
import { live } from "./live.js";
import { count, time } from "./words.js";

const SHOWN = 3;

export class Alarms {
  #stop;
  #announced = new Set();
  #open = false;

  constructor() {
    this.list = el("ul", { class: "alarm-list" });
    this.more = button("", { tone: "quiet small", "aria-expanded": "false", onclick: () => this.#toggle() });
    this.none = el("p", { class: "muted no-alarms" }, icon("check"), "No alarms");
    this.aloud = el("div", { class: "unseen", role: "alert" });
    this.node = el("section", { class: "alarms", "aria-label": "Alarms" }, this.none, this.list, this.more, this.aloud);
    this.#stop = live.listen((keys) => {
      if (keys.has("*alarms") || keys.has("*all")) this.#show();
    });
    this.#show();
  }

  close() {
    this.#stop();
  }

  #toggle() {
    this.#open = !this.#open;
    this.#show();
  }

  #show() {
    const alarms = live.alarmsNow();
    if (alarms.length <= SHOWN) this.#open = false;
    this.none.hidden = alarms.length > 0;
    this.list.hidden = !alarms.length;
    setAttribute(this.node, "data-worst", alarms[0]?.severity ?? null);
    setAttribute(this.node, "data-open", this.#open);
    replace(this.list, alarms.slice(0, this.#open ? alarms.length : SHOWN).map((alarm) => this.#item(alarm)));
    this.more.hidden = alarms.length <= SHOWN;
    setText(this.more.firstElementChild, this.#open ? "Show fewer" : `${alarms.length - SHOWN} more`);
    this.more.setAttribute("aria-expanded", String(this.#open));
    this.#announce(alarms);
  }

  #item(alarm) {
    const words = [el("strong", {}, alarm.message ?? alarm.code), el("span", { class: "muted" }, time(alarm.at))];
    return el("li", { data: { severity: alarm.severity ?? "warning", alarm: alarm.id } },
      icon("alarm"),
      alarm.call_id
        ? el("a", { href: `#/calls/${encodeURIComponent(alarm.call_id)}` }, words)
        : el("span", { class: "words" }, words),
      button("Seen", { icon: "cross", tone: "quiet icon-only", title: "Hide this alarm here", "aria-label": `Hide alarm: ${alarm.message ?? alarm.code}`, onclick: () => live.hideAlarm(alarm.id) }));
  }

  // Only what is new and serious interrupts a screen reader.
  #announce(alarms) {
    const fresh = alarms.filter((alarm) => alarm.severity === "critical" && !this.#announced.has(alarm.id));
    for (const alarm of fresh) this.#announced.add(alarm.id);
    if (!fresh.length) return;
    setText(this.aloud, fresh.length === 1 ? fresh[0].message : `${count(fresh.length, "new alarm")}. ${fresh[0].message}`);
  }
}
