/** What this tab holds: the access token, and the snapshot that others see. It knows no request and no other tab. */

import { readClaims } from "./token.ts";
import type { Listener, Session, SignedIn, SignedOut } from "./types.ts";

/** A token as tabs hand it on. */
export interface Grant {
  token: string;
  /** Orders what happens over all tabs: see `tick`. */
  at: number;
  /** When it ends by the clock of this machine, which all its tabs share: milliseconds since 1970. */
  ends: number;
}

interface Held extends Grant {
  /** When it ends by a clock that nobody can set, but that may stand still while the machine sleeps. */
  deadline: number;
  life: number;
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
  const listeners = new Set<Listener<C>>();
  let session: Session<C> = known ? nobody("signed-out") : PENDING;
  let held: Held | undefined;
  let at = 0;

  const change = (next: Session<C>, moment: number): true => {
    at = moment;
    session = next;
    for (const listener of [...listeners]) {
      try {
        listener(next);
      } catch (error) {
        failed(error);
      }
    }
    return true;
  };

  return {
    session: () => session,
    grant: (): Grant | undefined => held,
    /** When what is held was asked for. */
    at: () => at,
    /** Give a moment after all that has happened; it is the time of day, unless somebody has set the clock back. */
    tick: () => Math.max(Date.now(), at + 1),
    /** Milliseconds that the token can still be used, by the clock that says less: one may have stood still. */
    left: () => (held ? Math.min(held.ends - Date.now(), held.deadline - performance.now()) : 0),
    life: () => held?.life ?? 0,
    /** Take a token over, unless something newer is known. */
    adopt({ token, at: moment, ends }: Grant): boolean {
      const claims = readClaims(token);
      const left = ends - Date.now();
      if (moment <= at || !claims) return false;
      held = { token, at: moment, ends, deadline: performance.now() + left, life: Math.max(left, ends - moment) };
      return change(
        Object.freeze<SignedIn<C>>({
          status: "signed-in",
          userId: claims.sub,
          sessionId: typeof claims.sid === "string" ? claims.sid : null,
          claims: Object.freeze(claims) as C,
          expiresAt: ends,
        }),
        moment,
      );
    },
    /** Forget the token, unless something newer is known. */
    leave(moment: number, reason?: SignedOut["reason"]): boolean {
      if (moment <= at) return false;
      held = undefined;
      return change(nobody("signed-out", reason), moment);
    },
    subscribe(listener: Listener<C>): () => void {
      const own: Listener<C> = (next) => listener(next);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    clear: () => listeners.clear(),
  };
};
