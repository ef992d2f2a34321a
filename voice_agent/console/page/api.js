// The console's API: JSON in and out, the session's CSRF token on everything that changes something.

const PATIENCE_MS = 15_000;
// Gathering or deleting all that is kept of a caller looks through every file there is.
const LONG_PATIENCE_MS = 600_000;

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

// Who is signed in; null before and after.
let me = null;
let onSignedOut = () => {};

export const session = {
  get user() { return me?.user ?? ""; },
  get role() { return me?.role ?? ""; },
  get phones() { return me?.phones ?? []; },
  get queues() { return me?.queues ?? []; },
  get iceServers() { return me?.ice_servers ?? []; },
  // The role needs an authenticator: until it is set up, nothing else is open.
  get factorMissing() { return me?.factor_missing ?? false; },
  // A new password begins the session anew, with another token.
  renew(described) { me = { ...me, ...described }; },
  can(permission) { return me?.permissions?.includes(permission) ?? false; },
};

export function whenSignedOut(react) {
  onSignedOut = react;
}

export async function whoAmI() {
  me = await request("GET", "/api/me");
  return me;
}

export async function signIn(fields) {
  await request("POST", "/api/sign-in", fields);
  return whoAmI();
}

export async function signOut() {
  try {
    await request("POST", "/api/sign-out", {});
  } finally {
    me = null;
  }
}

export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const suffix = given.length ? `?${new URLSearchParams(given)}` : "";
  return request("GET", path + suffix);
}

export const post = (path, body = {}) => request("POST", path, body);
// Asks for something that is a file, not JSON.
export const postForFile = (path, body) => request("POST", path, body, { read: (response) => response.blob(), patienceMs: LONG_PATIENCE_MS });
export const postForLong = (path, body) => request("POST", path, body, { patienceMs: LONG_PATIENCE_MS });
export const put = (path, body = {}) => request("PUT", path, body);
export const remove = (path) => request("DELETE", path);

// For a page that is being closed: sent even though nobody waits for the answer.
export function postLast(path, body = {}) {
  fetch(path, { method: "POST", keepalive: true, headers: headers(true), body: JSON.stringify(body) }).catch(() => {});
}

export const callPath = (id, what = "") => `/api/calls/${encodeURIComponent(id)}${what ? `/${what}` : ""}`;

function headers(changes) {
  const sent = { Accept: "application/json" };
  if (changes) {
    sent["Content-Type"] = "application/json";
    sent["X-CSRF-Token"] = me?.csrf ?? "";
  }
  return sent;
}

const asJson = (response) => (response.status === 204 ? {} : response.json().catch(() => ({})));

async function request(method, path, body, { read = asJson, patienceMs = PATIENCE_MS } = {}) {
  const changes = method !== "GET";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: headers(changes),
      credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(patienceMs),
    });
    if (response.ok) return await read(response);
  } catch (error) {
    if (changes && error.name === "TimeoutError") throw new ApiError(0, "timeout", "The console has not answered in time. It may have been done all the same: look before you try again.");
    throw new ApiError(0, "unreachable", "The console does not answer. Calls go on without it.");
  }
  const answer = await asJson(response);
  const failure = new ApiError(
    response.status,
    answer.error?.code ?? "failed",
    answer.error?.message ?? `The console answered ${response.status}.`,
  );
  failure.answer = answer;
  if (response.status === 401 && me) {
    me = null;
    onSignedOut();
  }
  throw failure;
}
