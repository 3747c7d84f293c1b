// The way to the daemon: requests of this page's own origin, with a token where one is asked for.

import { byId } from "./dom.js";

const KEPT = "detour-token";
/** How long a question may take before it counts as lost. The daemon gives up on its engine after 5 s. */
const PATIENCE_MS = 8000;

/** What the daemon answered when the answer is no; `status` 0 where it did not answer at all. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export const get = (path) => request("GET", path);
export const post = (path, body) => request("POST", path, body);
export const remove = (path, body) => request("DELETE", path, body);

/** A stream of bytes, for as long as it lasts. */
export async function stream(path, signal) {
  for (;;) {
    const answer = await ask(path, { headers: headers(), signal });
    if (answer.ok) return answer.body.getReader();
    if (answer.status !== 401) throw await refusal(answer);
    await askForToken();
  }
}

async function request(method, path, body) {
  for (;;) {
    const init = { method, headers: headers(), signal: AbortSignal.timeout(PATIENCE_MS) };
    if (body !== undefined) {
      init.headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(body);
    }
    const answer = await ask(path, init);
    if (answer.status === 401) await askForToken();
    else if (answer.ok) return whole(answer);
    else throw await refusal(answer);
  }
}

async function whole(answer) {
  try {
    return await answer.json();
  } catch {
    throw new Refused(0, "the answer broke off");
  }
}

async function ask(path, init) {
  try {
    return await fetch(path, { ...init, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    throw new Refused(0, error.name === "TimeoutError" ? "no answer in time" : "no connection");
  }
}

function headers() {
  const token = sessionStorage.getItem(KEPT);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function refusal(answer) {
  try {
    const problem = await answer.json();
    return new Refused(answer.status, problem.detail ?? problem.title);
  } catch {
    return new Refused(answer.status, `status ${answer.status}`);
  }
}

let asking;

/** One dialog, however many requests were turned away. */
function askForToken() {
  asking ??= new Promise((resolve) => {
    const [dialog, text] = [byId("token"), byId("token-text")];
    if (sessionStorage.getItem(KEPT)) byId("token-why").textContent = "That token is not taken. Another one?";
    byId("token-form").onsubmit = () => {
      sessionStorage.setItem(KEPT, text.value.trim());
      text.value = "";
    };
    dialog.onclose = () => {
      asking = undefined;
      resolve();
    };
    dialog.showModal();
  });
  return asking;
}
