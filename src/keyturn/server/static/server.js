// Asks the demonstration's own routes: what the server saw, and for mishaps. No token is in any of their answers.

import { url } from "./client.js";
import { say } from "./texts.js";

const raceWindow = Number(document.body.dataset.raceWindow); // seconds
const HANDS_OUT = new Set(["rotated", "race", "recovered"]);

/** What of a session's moments is the answer to a request for a refresh: each request is exactly one of these. */
export const REFRESHES = new Set([...HANDS_OUT, "kept", "rejected", "conflict", "fork", "previous", "stale"]);

async function ask(method, path) {
  const answer = await fetch(`${url}/demo/${path}`, { method, headers: { "X-Keyturn": "1" }, cache: "no-store" });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error), { code: body.error, status: answer.status });
  return body;
}

/** Give what the server saw in this session since a moment: `now`, `last` and `moments`. */
export const seenSince = (number) => ask("GET", `moments?after=${number}`);

/** Have the refresh token copied into the thief's pocket. */
export const steal = () => ask("POST", "steal");

/** Have the thief refresh with what is in its pocket. */
export const letThiefRefresh = () => ask("POST", "thief");

/** Wait until the next refresh turns the key again, by the server's clock; count down meanwhile. */
export async function windowPassed(said) {
  const { now, moments } = await seenSince(0);
  const handedOut = moments.findLast(({ code }) => HANDS_OUT.has(code))?.at ?? 0;
  const until = performance.now() + (handedOut + raceWindow - now) * 1000 + 50;
  const left = () => until - performance.now();
  if (left() <= 0) return;
  const count = document.createElement("span");
  count.setAttribute("aria-hidden", "true"); // read out once, not each second
  said.replaceChildren(say("waiting"), " ", count);
  while (left() > 0) {
    count.textContent = `${Math.ceil(left() / 1000)} s`;
    await new Promise((resolve) => setTimeout(resolve, Math.min(left(), 250)));
  }
}
