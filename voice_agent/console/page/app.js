// The page: who is signed in, which view is shown, what surrounds it.

import { get, session, whenSignedOut, whoAmI } from "./api.js";
import { el, replace } from "./dom.js";
import { live } from "./live.js";
import { Shell } from "./shell.js";
import { showSignIn } from "./sign_in.js";

const root = document.getElementById("app");
let shell = null;

whenSignedOut(() => start());

async function start() {
  shell?.close();
  shell = null;
  live.stop();
  try {
    const entry = await get("/api/entry");
    if (!entry.signed_in) {
      showSignIn(root, Boolean(entry.oidc), open);
      return;
    }
    await whoAmI();
  } catch (error) {
    replace(root, el("div", { class: "plain", role: "alert" },
      el("h1", {}, "No connection"),
      el("p", {}, error.message),
      el("button", { type: "button", class: "button primary", onclick: start }, "Try again")));
    return;
  }
  open();
}

function open() {
  shell = new Shell(root, start);
  if (session.can("live")) live.start();
}

start();
