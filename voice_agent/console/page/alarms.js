// Alarms, on top of every view. The strip is always as high, so that nothing jumps under a pointer.

import { button, el, icon, setAttribute, setText } from "./dom.js";
import { live } from "./live.js";
import { count, time } from "./words.js";

const SHOWN = 3;

export class Alarms {
  #stop;
  #announced = new Set();
  #items = new Map();
  #open = false;

  constructor() {
    this.list = el("ul", { class: "alarm-list" });
    this.more = button("", { tone: "quiet small", "aria-expanded": "false", onclick: () => this.#toggle() });
    this.none = el("p", { class: "muted no-alarms" }, icon("check"), "No alarms");
    this.aloud = el("div", { class: "unseen", role: "alert" });
    this.node = el("section", { class: "alarms", "aria-label": "Alarms", tabindex: "-1" }, this.none, this.list, this.more, this.aloud);
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
    this.#list(alarms.slice(0, this.#open ? alarms.length : SHOWN));
    this.more.hidden = alarms.length <= SHOWN;
    setText(this.more.firstElementChild, this.#open ? "Show fewer" : `${alarms.length - SHOWN} more`);
    this.more.setAttribute("aria-expanded", String(this.#open));
    this.#announce(alarms);
  }

  // Lines stay who they are: whoever has the focus on one keeps it while others come and go.
  #list(alarms) {
    const held = this.list.contains(document.activeElement);
    const shown = new Set(alarms.map(({ id }) => id));
    for (const [id, { node }] of this.#items) {
      if (shown.has(id)) continue;
      node.remove();
      this.#items.delete(id);
    }
    let next = this.list.firstElementChild;
    for (const alarm of alarms) {
      const item = this.#items.get(alarm.id) ?? this.#item(alarm);
      this.#items.set(alarm.id, item);
      item.show(alarm);
      if (item.node === next) next = next.nextElementSibling;
      else if (item.node.isConnected && this.list.moveBefore) this.list.moveBefore(item.node, next);
      else this.list.insertBefore(item.node, next);
    }
    if (held && !this.list.contains(document.activeElement)) (this.list.querySelector("button") ?? this.node).focus({ preventScroll: true });
  }

  #item({ id, call_id: callId }) {
    const message = el("strong", {});
    const at = el("span", { class: "muted" });
    const hide = button("Seen", { icon: "cross", tone: "quiet icon-only", title: "Hide this alarm here", onclick: () => live.hideAlarm(id) });
    const node = el("li", { data: { alarm: id } },
      icon("alarm"),
      callId ? el("a", { href: `#/calls/${encodeURIComponent(callId)}` }, message, at) : el("span", { class: "words" }, message, at),
      hide);
    const show = (alarm) => {
      const words = alarm.message ?? alarm.code;
      setText(message, words);
      setText(at, time(alarm.at));
      setAttribute(hide, "aria-label", `Hide alarm: ${words}`);
      setAttribute(node, "data-severity", alarm.severity ?? "warning");
    };
    return { node, show };
  }

  // Only what is new and serious interrupts a screen reader.
  #announce(alarms) {
    const raised = new Set(alarms.map(({ id }) => id));
    for (const id of this.#announced) {
      if (raised.has(id)) continue;
      this.#announced.delete(id);
      setText(this.aloud, ""); // the same words again are else no news
    }
    const fresh = alarms.filter((alarm) => alarm.severity === "critical" && !this.#announced.has(alarm.id));
    for (const alarm of fresh) this.#announced.add(alarm.id);
    if (!fresh.length) return;
    setText(this.aloud, fresh.length === 1 ? fresh[0].message : `${count(fresh.length, "new alarm")}. ${fresh[0].message}`);
  }
}
