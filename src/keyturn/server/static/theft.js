// A thief with a copy of the refresh token, at the server: inside the window and outside of it. It sees no token.

import { url } from "./client.js";
import { make } from "./dom.js";
import { letThiefRefresh, seenSince, steal, windowPassed } from "./server.js";
import { say } from "./texts.js";

let stolen = null; // of which session and generation the thief has a copy

/** Tell whether there is a copy of this session's token. */
export const isStolen = (sessionId) => stolen?.sessionId === sessionId;

/** Have the token copied, and say so. */
export async function stealToken(auth) {
  const { generation } = await steal();
  stolen = { sessionId: auth.session().sessionId, generation };
  return say("steal.done", { generation });
}

/** Replay it at once: the thief gets in, and is found out when the second of the two refreshes again. */
export async function replayInside(said, steps, auth) {
  const story = begin("inside", steps, said);
  await story.copy(auth);
  if (!(await story.turn(auth, "turned"))) return story.stopped();
  if (!(await story.thief(200, "followed"))) return story.missed();
  await windowPassed(said);
  story.step("waited");
  if (!(await story.turn(auth, "turned_again"))) return story.stopped();
  if (!(await story.thief(401, "caught"))) return story.missed();
  return story.end(auth);
}

/** Replay it when its successor is in use and the window has passed: the thief is found out at once. */
export async function replayOutside(said, steps, auth) {
  const story = begin("outside", steps, said);
  await story.copy(auth);
  if (!(await story.turn(auth, "turned"))) return story.stopped();
  if (!(await auth.fetch(`${url}/me`)).ok) return story.stopped();
  story.step("used");
  await windowPassed(said);
  story.step("waited");
  if (!(await story.thief(401, "caught"))) return story.missed();
  return story.end(auth);
}

/** Begin a story, told step by step in a list. */
function begin(name, list, said) {
  list.replaceChildren();
  list.hidden = false;
  let status = 0;
  const step = (what, values) => {
    list.append(make("li", "", say(`${name}.${what}`, values)));
    said.textContent = say("working");
  };
  return {
    step,
    /** Wait until a refresh rotates, and hold a copy of the token that it will spend. */
    async copy(auth) {
      await windowPassed(said);
      const { moments } = await seenSince(0);
      const current = moments.findLast(({ code }) => code === "rotated")?.generation ?? 0;
      if (stolen?.generation !== current) await stealToken(auth);
      step("stolen", { generation: stolen.generation });
    },
    /** The owner refreshes; gives whether the session goes on. */
    async turn(auth, what) {
      const { status, claims } = await auth.refresh();
      if (status === "signed-in") step(what, { generation: claims.gen });
      return status === "signed-in";
    },
    /** The thief refreshes; gives whether it was answered as expected. */
    async thief(expected, what) {
      ({ status } = await letThiefRefresh());
      if (status === expected) step(what);
      return status === expected;
    },
    /** The owner finds the session ended. */
    async end(auth) {
      await auth.fetch(`${url}/me`).catch(() => undefined);
      const session = auth.session().status === "signed-in" ? await auth.refresh() : auth.session();
      stolen = null;
      if (session.status !== "signed-out") return say("theft.missed", { status });
      step("victim");
      return say(`${name}.done`);
    },
    /** It went otherwise for the thief. */
    missed: () => say("theft.missed", { status }),
    /** It went otherwise for the owner. */
    stopped: () => say("theft.stopped"),
  };
}
