/** The client: who may ask the auth server when, and what its answers change. It knows no storage of tokens. */

import { type Failure, openTabs } from "./channel.ts";
import { AuthError } from "./errors.ts";
import { createFetch } from "./fetching.ts";
import { createLock } from "./lock.ts";
import { absolute, keep, kept, originOf, page, pageOrigin, sleep } from "./platform.ts";
import { createSchedule } from "./schedule.ts";
import { createState, type Grant, PENDING } from "./state.ts";
import { readClaims } from "./token.ts";
import { createTransport, isOver, pause } from "./transport.ts";
import type { Auth, AuthOptions, Claims, Credentials, Session, SignedIn, SignedOut } from "./types.ts";

/**
 * Milliseconds in which another tab must say that it holds a newer token: many where somebody held the lock until
 * now, so that there was a result that is still on its way; few where nobody did.
 */
const ASK_AFTER_WAITING = 1000;
const ASK = 100;
/** Milliseconds that are more than any timer is set to. */
const NEVER = 1e9;

/** What the next page must know; no secret. The last one names the session, if it was known. */
type Mark = "in" | "out" | "leaving" | `leaving-everywhere ${string}`;

/** Make a client; a page needs one. */
export function createAuth<C = Claims>(options: AuthOptions = {}): Auth<C> {
  const { url = "/auth", origins = [], accessHeader = "Authorization", lock = createLock() } = options;
  const { restore = !!page(), onError } = options;
  const send: typeof fetch = (input, init) => (options.fetch ?? fetch)(input, init);
  const base = absolute(url).replace(/\/+$/, "");
  const name = `keyturn:${base}`;

  const reached = new Set(origins.map(originOf));
  if (reached.has(undefined)) throw new TypeError(`not all are origins: ${origins}`);
  reached.add(pageOrigin()).add(originOf(base)).delete(undefined); // which is nobody's origin

  const failed = (error: unknown): void => {
    if (onError) onError(error);
    else if (!(error instanceof AuthError)) throw error; // a listener's: the page's own business, but never lost
  };

  let remembered: Mark | undefined; // where nothing can be kept
  const mark = () => kept(name) ?? remembered;
  const setMark = (word: Mark): void => {
    remembered = word;
    keep(name, word);
  };
  const isLeaving = () => !!mark()?.startsWith("leaving");
  /** What is true of everybody who holds a token, until somebody signs out: a page may have been frozen meanwhile. */
  const isIn = () => mark() === "in";

  const state = createState<C>(!!page() && (!restore || isLeaving()), failed);
  const ask = createTransport(send, base, accessHeader);

  // -------------------------------------------------------------------------------------------- other tabs

  let company = true; // nobody knows yet
  let failure: AuthError | undefined;
  let patient = 0; // until this moment the server wants to be left alone
  let heard: () => void = () => undefined;

  const fail = ({ code, status, retryAfter }: Failure): void => {
    failure = new AuthError(code, status, retryAfter);
    patient = performance.now() + 1000 * (retryAfter ?? 0);
  };

  const tabs = openTabs(name, (message) => {
    const { type } = message;
    const grant = state.grant();
    company = true;
    if (type === "ask") {
      const isNewer = grant && grant.at > message.at && state.isUsable() && isIn();
      tabs.post(isNewer ? grant : { type: "here" });
    } else if (type === "failed") {
      fail(message);
      heard();
    } else if (type === "token" ? state.adopt(message) : type === "out" && state.leave(message.at, message.reason)) {
      remembered = type === "token" ? "in" : "out"; // what is kept is the other tab's to say
      heard();
      schedule.done();
    }
  });

  /** Ask the other tabs for something newer. Who has heard nobody since the last time is alone, and need not wait. */
  const hear = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      heard = resolve;
      company = false;
      setTimeout(resolve, tabs.post({ type: "ask", at: state.at() }) ? ms : 0);
    });

  // ------------------------------------------------------------------------------------------ auth server

  /** Ask for a token. */
  const get = async (...request: Parameters<typeof ask>): Promise<Grant> => {
    const at = state.tick();
    const sent = Date.now();
    const { access_token, expires_in } = await ask(...request);
    const ends = sent + Number(expires_in) * 1000;
    // One that has ended on its way is of no more use.
    if (!(readClaims(access_token) && ends > Date.now())) throw new AuthError("invalid_response", 200);
    return { type: "token", token: access_token as string, at, ends };
  };
  const take = (grant: Grant): void => {
    if (isLeaving() || !state.adopt(grant)) return;
    setMark("in");
    tabs.post(grant);
    schedule.done();
  };
  const leave = (at: number, word: Mark, reason: SignedOut["reason"]): void => {
    if (!state.leave(at, reason)) return;
    setMark(word);
    tabs.post({ type: "out", at, reason });
  };

  /** Tell the server of a sign-out. With the cookie alone: an access token may be another session's by now. */
  const tell = async (): Promise<void> => {
    const [word, id] = `${mark()}`.split(" ");
    if (word === "leaving") await ask("/logout");
    else {
      const grant = await get("/refresh").catch((error) => {
        if (isOver(error)) setMark("out"); // this session has ended, so nobody could end the others with it
        throw error;
      });
      if (id && readClaims(grant.token)?.sid !== id) {
        setMark("out"); // somebody has signed in by the server itself, and has not asked for it
        return take(grant);
      }
      await ask("/logout-all", undefined, grant.token);
    }
    setMark("out");
  };

  /** Bring this tab and the server to agree, in a few attempts between which the lock is free. */
  const settle = async (): Promise<Session<C>> => {
    const known = state.at();
    const leaving = isLeaving();
    for (let failures = 1; ; failures++) {
      const since = performance.now();
      /** Whether another tab has done it meanwhile, or has just tried; the server may want to be left alone. */
      const isSettled = (): boolean => {
        if (failure && patient > since) throw failure;
        return leaving || state.at() !== known;
      };
      const work = async (waited?: boolean): Promise<void> => {
        if (isLeaving()) return tell();
        if (isSettled()) return;
        if (waited || company) await hear(waited ? ASK_AFTER_WAITING : ASK);
        if (!isSettled()) await refreshed();
      };
      try {
        await lock(name, work);
        schedule.done();
        return state.session();
      } catch (error) {
        const ms = pause(error, failures);
        if (ms === undefined) throw error;
        await sleep(ms);
      }
    }
  };
  const refreshed = async (): Promise<void> => {
    const at = state.tick();
    try {
      take(await get("/refresh"));
    } catch (error) {
      if (isOver(error)) return leave(at, "out", state.grant() || isIn() ? "ended" : undefined);
      fail(error as AuthError);
      tabs.post({ ...(error as AuthError), type: "failed" });
      throw error;
    }
  };

  let flight: Promise<Session<C>> | undefined;
  const refresh = (): Promise<Session<C>> => {
    flight ??= settle().finally(() => {
      flight = undefined;
    });
    return flight;
  };

  const signIn = (path: string, credentials: Credentials, token?: string): Promise<SignedIn<C>> =>
    lock(name, async () => {
      if (isLeaving()) await tell(); // or it would be forgotten
      take(await get(path, credentials, token));
      const session = state.session();
      if (session.status !== "signed-in") throw new AuthError("signed_out"); // by another tab, meanwhile
      return session;
    });

  // ------------------------------------------------------------------------------------------------- time

  const untilDue = (): number => {
    if (state.grant()) return state.untilDue();
    const isUnknown = restore && (state.session() === PENDING || isIn());
    return isUnknown || isLeaving() ? 0 : NEVER;
  };
  const schedule = createSchedule(untilDue, refresh, failed, (event) => {
    if (event.type === "online") patient = 0;
    if (state.grant() && !isIn()) state.leave(state.tick(), "logout"); // nobody tells a page that is frozen
    if (state.grant() && (event as PageTransitionEvent).persisted)
      refresh().catch(failed); // it may be long over
    else tabs.post({ type: "ask", at: state.at() });
  });
  schedule.look(true);

  // ------------------------------------------------------------------------------------------- to be used

  const usable = async (): Promise<string | undefined> => {
    if (state.isUsable()) schedule.look(true);
    else if (state.grant() || state.session() === PENDING) {
      await refresh().catch((error) => {
        if (!state.held()) throw error;
      });
    }
    return state.held();
  };
  const token = async (): Promise<string> => {
    const found = await usable();
    if (!found) throw new AuthError("signed_out");
    return found;
  };
  const tokens = {
    usable,
    refresh,
    held: state.held,
    user: () => state.session().userId,
    renewed(old: string, fresh: string, sent: number) {
      const { iat, exp }: Claims = readClaims(fresh) ?? {};
      const grant: Grant = {
        type: "token",
        token: fresh,
        at: state.at() + 0.5,
        ends: sent + (Number(exp) - Number(iat)) * 1000,
      };
      // It follows the token that it replaces, and nothing that was asked for since.
      if (state.held() === old && isIn()) take(grant);
    },
  };

  return {
    login: (credentials) => signIn("/login", credentials),
    stepUp: async (credentials) => signIn("/step-up", credentials, await token()),
    fetch: createFetch(send, tokens, reached, accessHeader),
    token,
    refresh,
    async logout({ everywhere = false } = {}) {
      const word: Mark = everywhere ? `leaving-everywhere ${state.session().sessionId ?? ""}` : "leaving";
      leave(state.tick(), word, "logout");
      await settle();
    },
    session: state.session,
    subscribe: state.subscribe,
    close() {
      schedule.close();
      tabs.close();
      state.clear();
    },
  };
}
