/** The client: who may ask the auth server when, and what its answers change. It knows no storage of tokens. */

import { type Message, openTabs } from "./channel.ts";
import { AuthError } from "./errors.ts";
import { createFetch } from "./fetching.ts";
import { alone } from "./lock.ts";
import { absolute, originOf, page, pageOrigin, sleep, storage } from "./platform.ts";
import { createSchedule } from "./schedule.ts";
import { createState } from "./state.ts";
import { readClaims } from "./token.ts";
import { type Body, createTransport, isOver, pause } from "./transport.ts";
import type { Auth, AuthOptions, Claims, Credentials, Session, SignedIn, SignedOut } from "./types.ts";

/**
 * Milliseconds in which another tab must say that it holds a newer token: many where somebody held the lock until
 * now, so that there was a result that is still on its way; few where nobody did.
 */
const ASK_AFTER_WAITING = 1000;
const ASK = 100;
/** A token is not used, or handed on, in its last seconds: it would end on its way. */
const LAST_SECONDS = 5000;

/** What the next page must know, in one word; no secret. */
type Mark = "in" | "out" | "leaving" | "leaving-everywhere";

/** Make a client; one for a page, at best. */
export function createAuth<C = Claims>(options: AuthOptions = {}): Auth<C> {
  const { url = "/auth", origins = [], accessHeader = "Authorization", lock = alone } = options;
  const { restore = page() !== undefined } = options;
  const send: typeof fetch = (input, init) => (options.fetch ?? globalThis.fetch)(input, init);
  const base = absolute(url).replace(/\/+$/, "");
  const name = `keyturn:${base}`;
  const reached = new Set([pageOrigin(), originOf(base)]); // undefined is nobody's origin
  for (const each of origins) {
    const origin = originOf(each);
    if (!origin) throw new TypeError(`origins: write https://api.example.com, not ${each}`);
    reached.add(origin);
  }
  let remembered: Mark | undefined; // where nothing can be kept

  const failed = (error: unknown): void => {
    if (options.onError) options.onError(error);
    else if (!(error instanceof AuthError))
      queueMicrotask(() => {
        throw error;
      });
  };
  const mark = (): string | undefined => {
    try {
      return storage()?.getItem(name) ?? remembered;
    } catch {
      return remembered;
    }
  };
  const setMark = (word: Mark): void => {
    remembered = word;
    try {
      storage()?.setItem(name, word);
    } catch {
      // full, or forbidden
    }
  };
  const isLeaving = () => mark()?.startsWith("leaving");
  const isOut = () => isLeaving() || mark() === "out";

  const state = createState<C>(page() !== undefined && (!restore || !!isOut()), failed);
  const ask = createTransport(send, base, accessHeader);

  // -------------------------------------------------------------------------------------------- other tabs

  let company = true; // nobody knows yet
  let failure: { error: AuthError; heard: number } | undefined;
  let heard: () => void = () => undefined;

  const isUsable = () => state.left() > Math.min(LAST_SECONDS, state.life() / 10);

  const tabs = openTabs(name, (message: Message) => {
    company = true;
    switch (message.type) {
      case "ask": {
        const grant = state.grant();
        tabs.post(
          grant && grant.at > message.at && isUsable()
            ? { type: "token", token: grant.token, at: grant.at, ends: grant.ends }
            : { type: "here" },
        );
        return;
      }
      case "here":
        return;
      case "token":
        state.adopt(message);
        break;
      case "out":
        state.leave(message.at, message.reason);
        break;
      case "failed":
        failure = { error: new AuthError(message.code, message.status, message.retryAfter), heard: performance.now() };
    }
    heard();
    if (message.type !== "failed") schedule.done();
  });

  /** Ask the other tabs for something newer; alone, nobody is waited for. */
  const hear = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      heard = resolve;
      setTimeout(resolve, ms);
      company = false;
      tabs.post({ type: "ask", at: state.at() });
    });

  // ------------------------------------------------------------------------------------------ auth server

  const take = (at: number, sent: number, { access_token: token, expires_in: seconds }: Body): void => {
    const grant = { token: token as string, at, ends: sent + Number(seconds) * 1000 };
    if (!(grant.ends > sent)) throw new AuthError("invalid_response", 200);
    if (at > state.at()) setMark("in");
    if (state.adopt(grant)) tabs.post({ type: "token", ...grant });
    else if (at > state.at()) throw new AuthError("invalid_response", 200);
  };
  const leave = (at: number, word: Mark, reason?: SignedOut["reason"]): void => {
    if (at > state.at()) setMark(word);
    if (state.leave(at, reason)) tabs.post({ type: "out", at, ...(reason && { reason }) });
  };

  /** Tell the server of a sign-out. With the cookie alone: an access token may be another session's by now. */
  const tell = async (): Promise<void> => {
    try {
      if (mark() === "leaving") await ask("/logout");
      else await ask("/logout-all", undefined, (await ask("/refresh")).access_token as string);
    } catch (error) {
      if (!isOver(error)) throw error; // else there was nothing left to end
    }
    setMark("out");
  };

  /** Bring this tab and the server to agree, with the lock in hand. */
  const agree = async (known: number, since: number, waited?: boolean): Promise<void> => {
    const settled = () => {
      if (failure && failure.heard > since) throw failure.error; // the others have just tried
      return state.at() !== known;
    };
    if (isLeaving()) return tell();
    if (settled()) return;
    if (waited || company) await hear(waited ? ASK_AFTER_WAITING : ASK);
    if (settled()) return;
    const at = state.tick();
    const sent = Date.now();
    try {
      take(at, sent, await ask("/refresh"));
    } catch (error) {
      if (isOver(error)) {
        leave(at, "out", state.grant() || mark() === "in" ? "ended" : undefined);
      } else {
        const { code, status, retryAfter } = error as AuthError;
        tabs.post({ type: "failed", code, status, retryAfter });
        throw error;
      }
    }
  };

  /** Do so in a few attempts, between which the lock is free. */
  const settle = async (): Promise<Session<C>> => {
    const known = state.at();
    for (let failures = 1; ; failures++) {
      const since = performance.now();
      try {
        await lock(name, (waited) => agree(known, since, waited));
        schedule.done();
        return state.session();
      } catch (error) {
        const ms = pause(error, failures);
        if (ms === undefined) throw error;
        await sleep(ms);
      }
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
      const session = state.session();
      schedule.done();
      if (session.status !== "signed-in") throw new AuthError("signed_out"); // in another tab, meanwhile
      return session;
    });

  // ------------------------------------------------------------------------------------------------- time

  let share = 0; // of the token's life, by chance: tabs and machines must not all come at the same moment
  let shared: unknown;
  const untilDue = (): number => {
    const session = state.session();
    if (isLeaving()) return 0;
    if (session.status === "signed-out") return Number.POSITIVE_INFINITY;
    if (session.status === "pending") return restore ? 0 : Number.POSITIVE_INFINITY;
    if (shared !== session) share = 0.1 + Math.random() * 0.15;
    shared = session;
    return state.left() - state.life() * share;
  };
  const quietly = () => {
    const going = refresh();
    going.catch(failed);
    return going;
  };
  const schedule = createSchedule(untilDue, quietly, () => {
    if (state.grant() && isOut()) state.leave(state.tick(), "logout"); // nobody told a page that was frozen
    tabs.post({ type: "ask", at: state.at() });
  });

  /** Give a token that can be used now; undefined where nobody is signed in. */
  const usable = async (): Promise<string | undefined> => {
    if (isUsable()) schedule.look(true);
    else if (state.session().status !== "signed-out") {
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

  schedule.look(restore);

  const tokens = {
    usable,
    refresh,
    held: () => state.grant()?.token,
    renewed(old: string, fresh: string, sent: number) {
      const { iat, exp }: Claims = readClaims(fresh) ?? {};
      const grant = { token: fresh, at: state.tick(), ends: sent + (Number(exp) - Number(iat)) * 1000 };
      if (state.grant()?.token === old && grant.ends > sent && state.adopt(grant)) {
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
