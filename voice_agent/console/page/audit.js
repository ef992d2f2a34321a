// Who did what: the append-only log, with whether its chain holds.

import { get } from "./api.js";
import { el } from "./dom.js";
import { Fetched, pager, table } from "./pages.js";
import { NONE, day, plain } from "./words.js";

export function audit() {
  const content = el("div", {});
  const fetched = new Fetched(content);
  const load = (page) => fetched.show(() => get("/api/audit", { page }), (answer) => [
    el("p", {}, answer.verified === false
      ? el("span", { class: "tag", data: { tone: "bad" } }, "The chain is broken: the log was changed")
      : answer.verified ? el("span", { class: "tag", data: { tone: "good" } }, "The chain holds") : null,
      el("span", { class: "muted" }, ` ${signature(answer)}`)),
    (answer.faults ?? []).length ? el("ul", {}, answer.faults.map((each) => el("li", {}, each))) : null,
    (answer.entries ?? []).length ? table("Audit log", [["No.", "figure"], ["When"], ["Who"], ["Did"], ["To"], ["Detail", "wide"], ["Hash"]], answer.entries.map((entry) => [
      String(entry.seq ?? NONE), day(entry.at), `${entry.user ?? NONE}${entry.role ? ` (${entry.role})` : ""}`, plain(entry.action?.replaceAll(".", " ")), entry.target || NONE, detail(entry.detail),
      el("code", { title: entry.hash ?? "" }, (entry.hash ?? "").slice(0, 10)),
    ])) : el("p", { class: "plain muted" }, "Nothing yet."),
    pager(answer, load),
  ]);
  load(1);
  return { title: "Audit", node: el("div", { class: "page" }, el("h1", {}, "Audit log"), content) };
}

function signature({ signed, unsigned }) {
  if (!signed) return "Not signed: whoever may write the file could write all of it anew.";
  return unsigned ? `Signed, but for the first ${unsigned} entries from before the key was set.` : "Signed.";
}

function detail(value) {
  if (value === null || value === undefined || value === "") return NONE;
  if (typeof value !== "object") return String(value);
  const parts = Object.entries(value).map(([name, each]) => `${plain(name)}: ${typeof each === "object" ? JSON.stringify(each) : each}`);
  return parts.join(" · ") || NONE;
}
