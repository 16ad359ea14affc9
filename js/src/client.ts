/** The client: who may ask the auth server when, and what its answers change. It knows no storage of tokens. */

import { openTabs } from "./channel.ts";
import { AuthError } from "./errors.ts";
import { createFetch } from "./fetching.ts";
import { alone } from "./lock.ts";
import { absolute, keep, kept, originOf, page, pageOrigin, sleep } from "./platform.ts";
import { createSchedule } from "./schedule.ts";
import { createState, PENDING } from "./state.ts";
import { readClaims } from "./token.ts";
import { type Body, createTransport, isOver, pause } from "./transport.ts";
import type { Auth, AuthOptions, Claims, Credentials, Session, SignedIn, SignedOut } from "./types.ts";

/**
 * Milliseconds in which another tab must say that it holds a newer token: many where somebody held the lock until
 * now, so that there was a result that is still on its way; few where nobody did.
 */
const ASK_AFTER_WAITING = 1000;
const ASK = 100;

/** What the next page must know, in one word; no secret. */
type Mark = "in" | "out" | "leaving" | "leaving-everywhere";

/** Make a client; a page needs one. */
export function createAuth<C = Claims>(options: AuthOptions = {}): Auth<C> {
  const { url = "/auth", origins = [], accessHeader = "Authorization", lock = alone } = options;
  const { restore = !!page(), onError } = options;
  const send: typeof fetch = (input, init) => (options.fetch ?? fetch)(input, init);
  const base = absolute(url).replace(/\/+$/, "");
  const name = `keyturn:${base}`;

  const reached = new Set([pageOrigin(), originOf(base)]); // undefined is nobody's origin
  for (const each of origins) {
    const origin = originOf(each);
    if (!origin) throw new TypeError(`not an origin: ${each}`);
    reached.add(origin);
  }

  const failed = (error: unknown): void => {
    if (onError) onError(error);
    else if (!(error instanceof AuthError)) {
      queueMicrotask(() => {
        throw error; // a listener's: the page's own business, but never lost
      });
    }
  };

  let remembered: Mark | undefined; // where nothing can be kept
  const mark = () => kept(name) ?? remembered;
  const setMark = (word: Mark): void => {
    remembered = word;
    keep(name, word);
  };
  const isLeaving = () => !!mark()?.startsWith("leaving");
  const isOut = () => isLeaving() || mark() === "out";

  const state = createState<C>(!!page() && (!restore || isLeaving()), failed);
  const ask = createTransport(send, base, accessHeader);

  // -------------------------------------------------------------------------------------------- other tabs

  let company = true; // nobody knows yet
  let failure: { error: AuthError; heard: number } | undefined;
  let heard: () => void = () => undefined;

  const tabs = openTabs(name, (message) => {
    const { type } = message;
    const grant = state.grant();
    company = true;
    if (type === "ask") {
      const isNewer = grant && grant.at > message.at && state.isUsable();
      tabs.post(isNewer ? { type: "token", ...grant } : { type: "here" });
    } else if (type === "failed") {
      const error = new AuthError(message.code, message.status, message.retryAfter);
      failure = { error, heard: performance.now() };
      heard();
    } else if (type === "token" ? state.adopt(message) : type === "out" && state.leave(message.at, message.reason)) {
      heard();
      schedule.done();
    }
  });

  /** Ask the other tabs for something newer. Who has heard nobody since the last time is alone, and need not wait. */
  const hear = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      heard = resolve;
      company = false;
      if (tabs.post({ type: "ask", at: state.at() })) setTimeout(resolve, ms);
      else resolve();
    });

  // ------------------------------------------------------------------------------------------ auth server

  const take = (at: number, sent: number, { access_token: token, expires_in: seconds }: Body): void => {
    const grant = { token: token as string, at, ends: sent + Number(seconds) * 1000 };
    const isNews = at > state.at();
    if (!(grant.ends > sent) || (isNews && !state.adopt(grant))) throw new AuthError("invalid_response", 200);
    if (!isNews) return;
    setMark("in");
    tabs.post({ type: "token", ...grant });
  };
  const leave = (at: number, word: Mark, reason: SignedOut["reason"]): void => {
    if (!state.leave(at, reason)) return;
    setMark(word);
    tabs.post({ type: "out", at, reason });
  };

  /** Tell the server of a sign-out. With the cookie alone: an access token may be another session's by now. */
  const tell = async (): Promise<void> => {
    try {
      if (mark() === "leaving") await ask("/logout");
      else await ask("/logout-all", undefined, (await ask("/refresh")).access_token as string);
    } catch (error) {
      if (!isOver(error)) throw error;
      if (mark() !== "leaving") {
        setMark("out");
        throw error; // this session has ended, so nobody could end the others with it
      }
    }
    setMark("out");
  };

  /** Bring this tab and the server to agree, in a few attempts between which the lock is free. */
  const settle = async (): Promise<Session<C>> => {
    const known = state.at();
    const leaving = isLeaving();
    for (let failures = 1; ; failures++) {
      const since = performance.now();
      /** Whether another tab has done it meanwhile, or has just tried. */
      const isSettled = (): boolean => {
        if (failure && failure.heard > since) throw failure.error;
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
    const sent = Date.now();
    try {
      take(at, sent, await ask("/refresh"));
    } catch (error) {
      const { code, status, retryAfter } = error as AuthError;
      if (isOver(error)) return leave(at, "out", state.grant() || mark() === "in" ? "ended" : undefined);
      tabs.post({ type: "failed", code, status, retryAfter });
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
      const at = state.tick();
      const sent = Date.now();
      take(at, sent, await ask(path, credentials, token));
      schedule.done();
      const session = state.session();
      if (session.status !== "signed-in") throw new AuthError("signed_out"); // by another tab, meanwhile
      return session;
    });

  // ------------------------------------------------------------------------------------------------- time

  const untilDue = (): number => {
    if (state.grant()) return state.untilDue();
    return restore && state.session() === PENDING ? 0 : Number.POSITIVE_INFINITY;
  };
  const quietly = () => {
    const going = refresh();
    going.catch(failed);
    return going;
  };
  const schedule = createSchedule(untilDue, quietly, () => {
    if (state.grant() && isOut()) state.leave(state.tick(), "logout"); // nobody tells a page that is frozen
    if (isLeaving() || (restore && !state.grant() && mark() === "in")) quietly();
    else tabs.post({ type: "ask", at: state.at() });
  });
  if (isLeaving()) quietly();
  else schedule.look(restore);

  // ------------------------------------------------------------------------------------------- to be used

  const usable = async (): Promise<string | undefined> => {
    if (state.isUsable()) schedule.look(true);
    else if (state.grant() || state.session() === PENDING) {
      await refresh().catch((error) => {
        if (!(state.left() > 0)) throw error;
      });
    }
    return state.left() > 0 ? state.grant()?.token : undefined;
  };
  const token = async (): Promise<string> => {
    const found = await usable();
    if (!found) throw new AuthError("signed_out");
    return found;
  };
  const tokens = {
    usable,
    refresh,
    held: () => state.grant()?.token,
    user: () => state.session().userId,
    renewed(old: string, fresh: string, sent: number) {
      const { iat, exp }: Claims = readClaims(fresh) ?? {};
      const grant = { token: fresh, at: state.tick(), ends: sent + (Number(exp) - Number(iat)) * 1000 };
      if (tokens.held() === old && grant.ends > sent && state.adopt(grant)) {
        tabs.post({ type: "token", ...grant });
        schedule.done();
      }
    },
  };

  return {
    login: (credentials) => signIn("/login", credentials),
    stepUp: async (credentials) => signIn("/step-up", credentials, await token()),
    fetch: createFetch(send, tokens, reached, accessHeader),
    token,
    refresh,
    async logout({ everywhere = false } = {}) {
      leave(state.tick(), everywhere ? "leaving-everywhere" : "leaving", "logout");
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
