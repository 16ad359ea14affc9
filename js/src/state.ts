/** What this tab holds: the access token, and the snapshot that others see. It knows no request and no other tab. */

import { readClaims } from "./token.ts";
import type { Listener, Session, SignedIn, SignedOut } from "./types.ts";

/** A token is not used, or handed on, in its last seconds: it would end on its way. */
const LAST_SECONDS = 5000;

/** A token as tabs hand it on. */
export interface Grant {
  type: "token";
  token: string;
  /** Orders what happens over all tabs: see `tick`. */
  at: number;
  /** When it ends by the clock of this machine, which all its tabs share: milliseconds since 1970. */
  ends: number;
}

const nobody = (status: SignedOut["status"], reason?: SignedOut["reason"]): SignedOut =>
  Object.freeze({
    status,
    userId: null,
    sessionId: null,
    claims: null,
    expiresAt: null,
    ...(reason && { reason }),
  });

/** What is known before anything is: for pages that a server renders. */
export const PENDING: SignedOut = /* @__PURE__ */ nobody("pending");

/** Hold nothing yet. The token never leaves this closure but through `grant`. */
export const createState = <C>(known: boolean, failed: (error: unknown) => void) => {
  const listeners = new Set<{ listener: Listener<C> }>();
  let session: Session<C> = known ? nobody("signed-out") : PENDING;
  let grant: Grant | undefined;
  let at = 0;
  let deadline = 0; // by a clock that nobody can set, but that may stand still while the machine sleeps
  let due = 0; // milliseconds before its end

  const change = (moment: number, next: Session<C>): void => {
    at = moment;
    session = next;
    // When all that belongs to the change is done: a listener may undo it, and may throw.
    for (const own of listeners) {
      queueMicrotask(() => {
        try {
          if (listeners.has(own)) own.listener(next);
        } catch (error) {
          failed(error);
        }
      });
    }
  };
  /** Milliseconds that the token can still be used, by the clock that says less: one may have stood still. */
  const left = (): number => (grant ? Math.min(grant.ends - Date.now(), deadline - performance.now()) : 0);

  return {
    session: () => session,
    grant: () => grant,
    /** When the last change was asked for. */
    at: () => at,
    /** Give a moment after all that has happened; it is the time of day, unless somebody has set the clock back. */
    tick: () => Math.max(Date.now(), at + 1),
    /** Give the token, if it has not ended. */
    held: () => (left() > 0 ? grant?.token : undefined),
    /** Tell whether the token lives long enough to reach anybody. */
    isUsable: () => left() > Math.min(LAST_SECONDS, due),
    /** Milliseconds until a new one should be had: chance keeps tabs and machines from coming at the same moment. */
    untilDue: () => left() - due,
    /** Take a token over, unless something newer is known or it has ended, such as on its way. */
    adopt(given: Grant): boolean {
      const { token, at: moment, ends } = given;
      const claims = readClaims(token);
      if (!(claims && moment > at && ends > Date.now())) return false;
      grant = given;
      const life = ends - Date.now();
      deadline = performance.now() + life;
      due = life * (0.1 + Math.random() * 0.15);
      const session: SignedIn<C> = {
        status: "signed-in",
        userId: claims.sub,
        sessionId: typeof claims.sid === "string" ? claims.sid : null,
        claims: Object.freeze(claims) as C,
        expiresAt: ends,
      };
      change(moment, Object.freeze(session));
      return true;
    },
    /** Forget the token, unless something newer is known. */
    leave(moment: number, reason?: SignedOut["reason"]): boolean {
      if (moment <= at) return false;
      grant = undefined;
      change(moment, nobody("signed-out", reason));
      return true;
    },
    subscribe(listener: Listener<C>): () => void {
      const own = { listener }; // twice the same one is two
      listeners.add(own);
      return () => listeners.delete(own);
    },
    clear: () => listeners.clear(),
  };
};
