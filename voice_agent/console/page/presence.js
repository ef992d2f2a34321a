// Watching is using: who looks at calls, or is in one, is not signed out for having clicked nothing.

import { whoAmI } from "./api.js";
import { line } from "./line.js";

const EVERY_MS = 40_000;

// Keeps the session from idling out while `watches()` and the tab can be seen, or while this page has
// a line into a call. Returns how to stop.
export function staySignedIn(watches) {
  const timer = setInterval(() => {
    const looks = watches() && document.visibilityState === "visible";
    if (looks || line.callId) whoAmI().catch(() => {});
  }, EVERY_MS);
  return () => clearInterval(timer);
}
