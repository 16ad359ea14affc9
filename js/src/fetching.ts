/** `fetch` with the access token: for whom, and what a 401 means. It knows no other tab and no auth server. */

import { AuthError } from "./errors.ts";
import { absolute, originOf } from "./platform.ts";
import { authorize, isStandard, unlessAborted } from "./transport.ts";

/** Milliseconds between two refreshes because of a 401: an API that refuses every token gains nothing by more. */
const AGAIN = 10_000;

/** What it works with. */
export interface Tokens {
  /** Give a token that can be used now, refreshed if need be; undefined where nobody is signed in. */
  usable(): Promise<string | undefined>;
  /** Give the token that is held now. */
  held(): string | undefined;
  /** Say whose it is. */
  user(): string | null;
  /** Get a token that is newer than the one held. */
  refresh(): Promise<unknown>;
  /** Take over what a server sent in the place of a token that was about to end. */
  renewed(old: string, fresh: string, asked: number): void;
}

/** Make the function. */
export const createFetch = (
  send: typeof fetch,
  tokens: Tokens,
  origins: ReadonlySet<string | undefined>,
  accessHeader: string,
) => {
  let next = 0;
  return async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const given = input instanceof Request ? input : undefined;
    const target = originOf(given?.url ?? absolute(input as string | URL));
    // Not for others' eyes, or the caller brings credentials of its own.
    if (!origins.has(target) || new Headers(init?.headers ?? given?.headers).has(accessHeader)) {
      return send(input, init);
    }
    // The body can be read once: what is kept is sent last, a copy first.
    const kept = new Request(input, init);
    const { signal } = kept;

    const attempt = async (request: Request, token: string | undefined): Promise<Response> => {
      const asked = Date.now();
      if (token) authorize(request.headers, accessHeader, token);
      // Browsers take Authorization away where a redirect leaves the origin, but no other header.
      const response = await send(request, token && !isStandard(accessHeader) ? { redirect: "error" } : undefined);
      const fresh = response.headers.get("Authorization-Refreshed");
      // A redirect may have led to somebody who must not say who is signed in.
      if (token && fresh && origins.has(originOf(response.url))) tokens.renewed(token, fresh, asked);
      return response;
    };

    // What one user has asked for is not done as another, who has signed in in another tab meanwhile.
    const user = tokens.user();
    const first = await unlessAborted(tokens.usable(), signal);
    const asking = tokens.user();
    if (user && first && asking !== user) throw new AuthError("user_changed");
    const response = await attempt(kept.clone(), first);
    if (response.status !== 401 || needsStepUp(response)) return response;
    if (first && tokens.held() === first && performance.now() >= next) {
      await unlessAborted(tokens.refresh(), signal);
      next = performance.now() + AGAIN;
    }
    const second = tokens.held();
    if (!second || second === first || tokens.user() !== asking) return response;
    await response.body?.cancel().catch(() => undefined); // all that is under way counts, where it is `keepalive`
    return attempt(kept, second);
  };
};

/** A fresh token of the same sign-in would not do: the user must sign in again (RFC 9470, section 3). */
const needsStepUp = (response: Response): boolean =>
  !!response.headers.get("WWW-Authenticate")?.includes("insufficient_user_authentication");
