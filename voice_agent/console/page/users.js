// Who may sign in, as what; and what an administrator does for those who have lost their way in.

import { get, post, put, remove, session } from "./api.js";
import { button, el } from "./dom.js";
import { ask, field, say } from "./form.js";
import { Fetched, table } from "./pages.js";
import { NONE, day, plain } from "./words.js";

const ROLES = ["agent", "supervisor", "quality", "engineer", "administrator", "auditor"];
const FIRST = { name: "password", type: "password", required: true, maxlength: 1000, autocomplete: "new-password" };
const path = (name, what = "") => `/api/users/${encodeURIComponent(name)}${what ? `/${what}` : ""}`;
const roles = () => field("Role", { tag: "select", name: "role", options: ROLES.map((role) => [role, plain(role)]) });

export function users() {
  const content = el("div", {});
  const fetched = new Fetched(content);
  const load = () => fetched.show(() => get("/api/users"), ({ users: found = [] }) => table("Users", [["Name"], ["Role"], ["Second factor"], ["Sessions", "figure"], ["Last sign-in"], ["State"], [""]], found.map((user) => [
    user.name, plain(user.role), user.totp ? "Yes" : "No", String(user.sessions ?? NONE), day(user.last_sign_in),
    user.blocked ? el("span", { class: "tag", data: { tone: "bad" } }, "Removed") : user.locked ? el("span", { class: "tag", data: { tone: "bad" } }, "Locked") : el("span", { class: "tag", data: { tone: "good" } }, "Active"),
    user.name === session.user
      ? el("a", { class: "button small", href: "#/account" }, "Your account")
      : button("Manage", { tone: "small", "aria-label": `Manage ${user.name}`, onclick: () => manage(user) }),
  ])));

  // Every deed is asked about once more, in a dialog of its own.
  function manage(user) {
    const opener = document.activeElement;
    const choices = [
      ["Change the role", `Now ${plain(user.role).toLowerCase()}.`, () => changeRole(user)],
      user.password === false ? null : ["Set a new password", "For somebody who has lost theirs, or is locked out.", () => resetPassword(user)],
      user.totp ? ["Reset the second factor", "For somebody who has lost their authenticator.", () => resetFactor(user)] : null,
      user.sessions ? ["End sessions", `Signs ${user.name} out everywhere.`, () => endSessions(user)] : null,
      user.blocked ? ["Let back in", `${user.name} may use the company account again.`, () => letBack(user)]
        : ["Remove", `${user.name} may not sign in any more.`, () => removeUser(user), "danger"],
    ].filter(Boolean);
    const dialog = el("dialog", { "aria-labelledby": "manage-title", onclose: () => {
      dialog.remove();
      opener?.focus?.();
    } },
      el("h2", { id: "manage-title" }, user.name),
      el("ul", { class: "choices" }, choices.map(([label, what, act, tone = ""]) => el("li", {},
        button(label, { tone, onclick: () => {
          dialog.close();
          act();
        } }), el("span", { class: "muted" }, what)))),
      el("div", { class: "row end" }, button("Close", { onclick: () => dialog.close() })));
    document.body.append(dialog);
    dialog.showModal();
  }

  async function deed(question, done) {
    if (!await ask(question)) return;
    say(done);
    load();
  }

  const changeRole = ({ name, role }) => {
    const chosen = roles();
    chosen.input.value = role;
    return deed({
      title: `Another role for ${name}`, text: "They have to sign in again.", confirm: "Change the role",
      asked: [chosen], act: (values) => put(path(name, "role"), values),
    }, `${name} has another role.`);
  };

  const resetPassword = ({ name }) => deed({
    title: `A new password for ${name}`, text: "They are signed out everywhere. Tell it to them alone; they can change it under their name at the top.",
    confirm: "Set password", asked: [field("New password", FIRST)], act: (values) => put(path(name, "password"), values),
  }, `${name} has a new password.`);

  const resetFactor = ({ name }) => deed({
    title: `Reset the second factor of ${name}?`,
    text: "They are signed out, and their password alone opens the account until they set up another authenticator. Be sure that it is really them who ask.",
    confirm: "Reset", tone: "danger", act: () => remove(path(name, "totp")),
  }, `${name} may set up another authenticator.`);

  const endSessions = ({ name }) => deed({
    title: `Sign ${name} out everywhere?`, confirm: "End sessions", tone: "danger", act: () => remove(path(name, "sessions")),
  }, `${name} is signed out.`);

  const letBack = ({ name }) => deed({
    title: `Let ${name} back in?`, confirm: "Let in", act: () => remove(path(name, "block")),
  }, `${name} may sign in again.`);

  const removeUser = ({ name }) => deed({
    title: `Remove ${name}?`, text: "What they did stays in the audit log.", confirm: "Remove", tone: "danger", act: () => remove(path(name)),
  }, `${name} is removed.`);

  async function add() {
    const done = await ask({
      title: "Add a user", confirm: "Add",
      asked: [
        field("Name", { name: "name", required: true, maxlength: 120, autocomplete: "off" }),
        roles(),
        field("First password", { ...FIRST, hint: "At least 12 characters that nobody would guess. They can change it under their name at the top." }),
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
