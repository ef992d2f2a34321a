// What surrounds every view: navigation, the switch's state, the theme, the line a supervisor has
// into a call, and keys.

import { account } from "./account.js";
import { session, signOut } from "./api.js";
import { Alarms } from "./alarms.js";
import { audit } from "./audit.js";
import { boards } from "./boards.js";
import { callView } from "./call_view.js";
import { callerData } from "./caller_data.js";
import { LineDock } from "./line_dock.js";
import { button, el, icon, replace, setAttribute, setText } from "./dom.js";
import { handoffs } from "./handoffs.js";
import { history } from "./history.js";
import { offerSwitch } from "./kill_switch.js";
import { live } from "./live.js";
import { liveBoard } from "./live_board.js";
import { staySignedIn } from "./presence.js";
import { proposals } from "./proposals.js";
import { shortcutsWanted, showKeys } from "./keys.js";
import { switchView } from "./switch_view.js";
import { users } from "./users.js";
import { time } from "./words.js";

const BOARDS = ["operations", "quality", "business", "compliance"];
const mayBoards = () => BOARDS.some((name) => session.can(name));

// Where, what it is called, who may, what makes it, the key after "g", and whether it is for watching.
const VIEWS = [
  { at: "live", label: "Live", icon: "live", key: "l", may: () => session.can("live"), make: liveBoard, watched: true },
  { at: "history", label: "History", icon: "history", key: "h", may: () => session.can("history"), make: history },
  { at: "boards", label: "Boards", icon: "boards", key: "b", may: mayBoards, make: boards },
  { at: "answers", label: "Answers", icon: "answers", key: "v", may: () => session.can("verified_answer") || session.can("approve"), make: proposals },
  { at: "handoffs", label: "Handoffs", icon: "handoff", key: "p", may: () => session.can("handoff"), make: handoffs, watched: true },
  { at: "switch", label: "Switch", icon: "switch", key: "s", may: () => session.can("kill_switch"), make: switchView },
  { at: "audit", label: "Audit", icon: "audit", key: "a", may: () => session.can("audit"), make: audit },
  { at: "users", label: "Users", icon: "users", key: "u", may: () => session.can("users"), make: users },
  { at: "privacy", label: "Privacy", icon: "shield", key: "d", may: () => session.can("export") || session.can("erase"), make: callerData },
];
const MAY_CALL = ["live", "history", "handoff"];
const CALLS = { at: "calls", label: "Call", may: () => MAY_CALL.some((name) => session.can(name)), make: callView, watched: true };
const ACCOUNT = { at: "account", label: "Your account", may: () => true, make: account };

export class Shell {
  #view = null;
  #stops = [];
  #awaitingPlace = 0;
  #watched = false;
  #links = new Map();
  #own;

  constructor(root, signedOut) {
    this.signedOut = signedOut;
    this.main = el("main", { id: "view", tabindex: "-1" });
    this.connection = el("span", { class: "connection", role: "status" });
    this.switch = el("button", { type: "button", class: "switch-state", onclick: () => offerSwitch() });
    this.alarms = new Alarms();
    this.dock = new LineDock();
    this.#own = el("a", { class: "who", href: "#/account", title: `Your account (${session.role})` }, session.user);
    const links = VIEWS.filter((view) => view.may()).map((view) => {
      const link = el("a", { href: `#/${view.at}`, "aria-keyshortcuts": `g ${view.key}` }, icon(view.icon), el("span", {}, view.label));
      this.#links.set(view.at, link);
      return link;
    });
    replace(root,
      el("a", { class: "skip", href: "#view", onclick: (event) => this.#skip(event) }, "Skip to the content"),
      el("header", { class: "bar" },
        el("span", { class: "brand" }, icon("live"), "Console"),
        el("nav", { "aria-label": "Views" }, links),
        el("div", { class: "bar-end" },
          session.can("live") ? this.connection : null,
          session.can("kill_switch") ? this.switch : null,
          this.#themeButton(),
          this.#own,
          button("Sign out", { icon: "leave", tone: "quiet icon-only", onclick: () => this.#leave() }))),
      session.can("live") ? this.alarms.node : null,
      this.main,
      this.dock.node,
      el("div", { id: "said", class: "toasts", role: "status" }));
    this.#listen(window, "hashchange", () => this.#go());
    this.#listen(document, "keydown", (event) => this.#onKey(event));
    this.#stops.push(live.listen((keys) => this.#show(keys)), staySignedIn(() => this.#watched));
    this.#show(new Set(["*all"]));
    this.#go();
  }

  close() {
    for (const stop of this.#stops) stop();
    this.#view?.close?.();
    this.alarms.close();
    this.dock.close();
  }

  #listen(target, name, react) {
    target.addEventListener(name, react);
    this.#stops.push(() => target.removeEventListener(name, react));
  }

  #go() {
    const [at = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(safely);
    const found = [...VIEWS, CALLS, ACCOUNT].find((view) => view.at === at && view.may());
    const home = VIEWS.find((view) => view.may()) ?? (session.factorMissing ? ACCOUNT : undefined);
    if (!found && home && at !== home.at) {
      window.history.replaceState(null, "", `#/${home.at}`);
      this.#go();
      return;
    }
    this.#watched = Boolean(found?.watched);
    this.#view?.close?.();
    this.#view = found ? found.make(...rest) : { node: el("p", { class: "plain" }, "Your role opens no view of this console."), title: "Console" };
    replace(this.main, this.#view.node);
    document.documentElement.scrollTop = 0;
    for (const [name, link] of this.#links) setAttribute(link, "aria-current", name === found?.at ? "page" : null);
    setAttribute(this.#own, "aria-current", found === ACCOUNT ? "page" : null);
    this.#title();
    this.#view.shown?.();
  }

  #title() {
    const critical = live.alarmsNow().filter((alarm) => alarm.severity === "critical").length;
    const title = `${critical ? `(${critical}) ` : ""}${this.#view?.title ?? ""} · Console`;
    if (document.title !== title) document.title = title;
  }

  #show(keys) {
    if (keys.has("*connection") || keys.has("*all")) {
      const asOf = live.staleSince === null ? "" : ` As of ${time(live.staleSince)}`;
      setText(this.connection, !live.connected ? `Reconnecting…${asOf}` : live.gatewayUp ? "Live" : `Gateway is silent${asOf && `.${asOf}`}`);
      setAttribute(this.main, "data-stale", session.can("live") && live.staleSince !== null ? "" : null);
      setAttribute(this.connection, "data-on", live.connected && live.gatewayUp ? "" : null);
    }
    if (keys.has("*answering") || keys.has("*all")) {
      const off = live.switches.filter((each) => each.on);
      const all = off.some((each) => each.scope === "all");
      const words = all ? "Agents are off" : off.length ? `Agents off: ${off.map((each) => each.name).join(", ")}` : "Agents answer";
      setText(this.switch, words);
      setAttribute(this.switch, "data-off", all ? "all" : off.length ? "some" : null);
    }
    if (keys.has("*alarms") || keys.has("*all")) this.#title();
  }

  #skip(event) {
    event.preventDefault();
    this.main.focus();
  }

  #themeButton() {
    const isDark = () => (document.documentElement.dataset.theme
      ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
    const picture = button("", { tone: "quiet icon-only", onclick: () => {
      const theme = isDark() ? "light" : "dark";
      document.documentElement.dataset.theme = theme;
      localStorage.setItem("theme", theme);
      name();
    } });
    const name = () => {
      replace(picture, icon(isDark() ? "sun" : "moon"));
      picture.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme");
      picture.title = picture.getAttribute("aria-label");
    };
    name();
    return picture;
  }

  async #leave() {
    await this.dock.leave();
    await signOut().catch(() => {});
    this.signedOut();
  }

  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !shortcutsWanted(event)) return;
    if (event.key === "?") {
      event.preventDefault();
      showKeys(VIEWS.filter((view) => view.may()));
      return;
    }
    if (performance.now() < this.#awaitingPlace) {
      this.#awaitingPlace = 0;
      const view = VIEWS.find((each) => each.key === event.key && each.may());
      if (view) {
        event.preventDefault();
        location.hash = `#/${view.at}`;
      }
      return;
    }
    if (event.key === "g") this.#awaitingPlace = performance.now() + 1500;
    else this.#view?.key?.(event);
  }
}

function safely(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
