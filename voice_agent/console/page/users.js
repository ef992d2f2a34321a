// Who may sign in, as what; ending their sessions.

import { get, post, remove } from "./api.js";
import { button, el } from "./dom.js";
import { ask, field, say } from "./form.js";
import { Fetched, table } from "./pages.js";
import { NONE, day, plain } from "./words.js";

const ROLES = ["agent", "supervisor", "quality", "engineer", "administrator", "auditor"];

export function users() {
  const content = el("div", {});
  const fetched = new Fetched(content);
  const load = () => fetched.show(() => get("/api/users"), ({ users: found = [] }) => table("Users", [["Name"], ["Role"], ["Second factor"], ["Sessions", "figure"], ["Last sign-in"], ["State"], [""]], found.map((user) => [
    user.name, plain(user.role), user.totp ? "Yes" : "No", String(user.sessions ?? NONE), day(user.last_sign_in),
    user.locked ? el("span", { class: "tag", data: { tone: "bad" } }, "Locked") : el("span", { class: "tag", data: { tone: "good" } }, "Active"),
    button("End sessions", { tone: "small", "aria-label": `End sessions of ${user.name}`, disabled: !user.sessions, onclick: () => endSessions(user.name) }),
  ])));

  async function endSessions(name) {
    const done = await ask({
      title: `Sign ${name} out everywhere?`, confirm: "End sessions", tone: "danger",
      act: () => remove(`/api/users/${encodeURIComponent(name)}/sessions`),
    });
    if (!done) return;
    say(`${name} is signed out.`);
    load();
  }

  async function add() {
    const done = await ask({
      title: "Add a user", confirm: "Add",
      asked: [
        field("Name", { name: "name", required: true, maxlength: 120, autocomplete: "off" }),
        field("Role", { tag: "select", name: "role", options: ROLES.map((role) => [role, plain(role)]) }),
        field("First password", { name: "password", type: "password", required: true, maxlength: 1000, autocomplete: "new-password" }),
      ],
      act: (values) => post("/api/users", values),
    });
    if (!done) return;
    say(`${done.name} may sign in.`);
    load();
  }

  load();
  return {
    title: "Users",
    node: el("div", { class: "page" }, el("div", { class: "row" }, el("h1", { class: "grow" }, "Users"), button("Add a user", { tone: "primary", onclick: add })), content),
  };
}
