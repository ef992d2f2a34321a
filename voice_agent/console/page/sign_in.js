// Name and password, a code where one is wanted, or the company's own sign-in.

import { signIn } from "./api.js";
import { button, el, icon, replace } from "./dom.js";
import { field } from "./form.js";

export function showSignIn(root, companySignIn, done) {
  document.title = "Sign in · Console";
  const name = field("User name", { name: "user", autocomplete: "username", required: true, maxlength: 120 });
  const password = field("Password", { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 1000 });
  const code = field("Code from your authenticator", {
    name: "totp", autocomplete: "one-time-code", inputmode: "numeric", maxlength: 10,
  });
  code.hidden = true;
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const enter = button("Sign in", { tone: "primary wide" });
  enter.type = "submit";

  const form = el("form", { class: "card sign-in", novalidate: true, onsubmit: submit },
    el("div", { class: "mark" }, icon("live")),
    el("h1", {}, "Console"),
    el("p", { class: "muted" }, "Calls, people and the switch."),
    name, password, code, problem, enter,
    companySignIn ? el("a", { class: "button wide", href: "/api/oidc/start" }, "Use your company account") : null);
  replace(root, el("main", { class: "sign-in-page" }, form));
  name.input.focus();

  async function submit(event) {
    event.preventDefault();
    if (enter.disabled) return;
    if (!name.input.value || !password.input.value) {
      tell("Enter your user name and password.");
      (name.input.value ? password : name).input.focus();
      return;
    }
    enter.disabled = true;
    problem.hidden = true;
    const fields = { user: name.input.value, password: password.input.value };
    if (code.input.value) fields.totp = code.input.value.replaceAll(" ", "");
    try {
      await signIn(fields);
      done();
    } catch (error) {
      enter.disabled = false;
      if (error.code === "totp_required") {
        code.hidden = false;
        code.input.focus();
        return;
      }
      tell(error.message);
      (code.hidden ? password : code).input.select();
    }
  }

  function tell(sentence) {
    problem.textContent = sentence;
    problem.hidden = false;
  }
}
