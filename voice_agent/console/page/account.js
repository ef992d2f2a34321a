// One's own account: password, and the authenticator that gives the codes.

import { get, post, session } from "./api.js";
import { button, el, replace, svg } from "./dom.js";
import { ask, field, say } from "./form.js";
import { Fetched } from "./pages.js";
import { day, plain } from "./words.js";

const OWN_PASSWORD = { name: "password", type: "password", required: true, maxlength: 1000, autocomplete: "current-password" };

export function account() {
  const content = el("div", { class: "sheets" });
  const fetched = new Fetched(content);
  const load = () => fetched.show(() => get("/api/me/account"), (own) => [
    el("section", { class: "card sheet" },
      el("h2", {}, "You"),
      el("dl", { class: "pairs" },
        el("dt", {}, "Name"), el("dd", {}, own.name ?? session.user),
        el("dt", {}, "Role"), el("dd", {}, plain(own.role ?? session.role)),
        el("dt", {}, "Signed in"), el("dd", {}, day(own.session_began)))),
    own.password ? (session.factorMissing ? null : passwordSheet()) : companySheet(),
    own.password ? factorSheet(own) : null,
  ]);

  function passwordSheet() {
    return el("section", { class: "card sheet" },
      el("h2", {}, "Password"),
      el("p", { class: "muted" }, "A new password signs you out everywhere else."),
      button("Change password", { onclick: changePassword }));
  }

  function companySheet() {
    return el("section", { class: "card sheet" },
      el("h2", {}, "Company account"),
      el("p", { class: "muted" }, "You sign in with your company's account: your password and second factor are kept there."));
  }

  function factorSheet(own) {
    return el("section", { class: "card sheet" },
      el("div", { class: "row" }, el("h2", { class: "grow" }, "Second factor"),
        el("span", { class: "tag", data: { tone: own.totp ? "good" : own.totp_demanded ? "bad" : "fair" } }, own.totp ? "On" : "Off")),
      el("p", { class: "muted" }, own.totp
        ? "A code of your authenticator is asked for at every sign-in. If you lose it, an administrator can reset it."
        : own.totp_demanded ? "Your role needs an authenticator: set one up to go on."
        : "With an authenticator, a stolen password alone opens nothing."),
      button(own.totp ? "Set up another authenticator" : "Set up an authenticator", { tone: own.totp ? "" : "primary", onclick: setUpFactor }));
  }

  async function changePassword() {
    const again = field("New password again", { name: "again", type: "password", required: true, maxlength: 1000, autocomplete: "new-password" });
    const done = await ask({
      title: "Change your password", confirm: "Change password",
      asked: [
        field("Password until now", OWN_PASSWORD),
        field("New password", { name: "new", type: "password", required: true, maxlength: 1000, autocomplete: "new-password", hint: "At least 12 characters; not your name, and nothing that many would choose." }),
        again,
      ],
      act: async (values) => {
        if (values.new !== values.again) throw new Error("The two new passwords are not the same.");
        session.renew(await post("/api/me/password", { old: values.password, new: values.new }));
      },
    });
    if (!done) return;
    say("Your password is changed. You are signed out everywhere else.");
    load();
  }

  async function setUpFactor() {
    let begun = null;
    const proven = await ask({
      title: "Set up an authenticator", text: "First show that it is you.", confirm: "Go on",
      asked: [field("Your password", OWN_PASSWORD)],
      act: async (values) => {
        begun = await post("/api/me/totp", values);
      },
    });
    if (!proven) return;
    const done = await ask({
      title: "Scan this code",
      text: "Open your authenticator, add an account and point it at the code. Then enter the six digits it shows.",
      shown: [picture(begun.code), secret(begun.secret)],
      confirm: "Turn on",
      asked: [field("Code from your authenticator", { name: "totp", required: true, inputmode: "numeric", autocomplete: "one-time-code", maxlength: 10 })],
      act: (values) => post("/api/me/totp/confirm", values),
    });
    if (!done) return;
    if (session.factorMissing) {
      location.hash = "";
      location.reload();
      return;
    }
    say("A code is asked for from the next sign-in on.");
    load();
  }

  load();
  return { title: "Your account", node: el("div", { class: "page" }, el("h1", {}, "Your account"), content) };
}

// Dark on white in both themes, with the quiet zone that cameras need.
function picture({ size = 0, path = "" } = {}) {
  const edge = 4;
  return svg("svg", { class: "qr", viewBox: `0 0 ${size + 2 * edge} ${size + 2 * edge}`, role: "img", "aria-label": "Code for the authenticator's camera", "shape-rendering": "crispEdges" },
    svg("rect", { width: "100%", height: "100%", fill: "#ffffff" }),
    svg("path", { transform: `translate(${edge} ${edge})`, fill: "#000000", d: path }));
}

function secret(text = "") {
  const place = el("p", { class: "muted" });
  replace(place, "No camera? Enter this key: ", el("code", {}, text.replaceAll(/(.{4})(?=.)/g, "$1 ")));
  return place;
}
