/** Asks the auth server, and reads what it answers. It knows no token but the one it is given, and keeps none. */

import { AuthError } from "./errors.ts";
import type { Credentials } from "./types.ts";

/** Milliseconds for one request: what hangs must not keep the lock from the other tabs. */
const LIMIT = 10_000;
/** How often a request is sent before its failure is the caller's. */
const ATTEMPTS = 3;
/** Milliseconds that a caller is made to wait between two attempts at the most. */
const PATIENCE = 10_000;

/** What the server answered. */
export type Body = Record<string, unknown>;

/** Make what asks the endpoints below a URL. */
export const createTransport =
  (send: typeof fetch, base: string, accessHeader: string) =>
  async (path: string, json?: Credentials, token?: string): Promise<Body> => {
    const signal = AbortSignal.timeout(LIMIT);
    const headers = new Headers({ "X-Keyturn": "1" });
    if (json) headers.set("Content-Type", "application/json");
    if (token) authorize(headers, accessHeader, token);
    try {
      const request = send(base + path, {
        method: "POST",
        headers,
        body: json ? JSON.stringify({ username: json.username, password: json.password }) : null,
        credentials: "include",
        cache: "no-store",
        redirect: "error", // no password goes where somebody points
        keepalive: true, // a new cookie is kept, and a sign-out told, also while the page goes away
        signal,
      });
      const answer = request.then(async (response) => ({ response, text: await response.text() }));
      const { response, text } = await unlessAborted(answer, signal); // also where `send` knows no signal
      const { ok, status } = response;
      const body = parse(text);
      if (ok && body) return body;
      const code = body && typeof body.error === "string" && body.error;
      throw new AuthError(
        code || (status < 500 ? "invalid_response" : "temporarily_unavailable"),
        status,
        retryAfter(response.headers),
      );
    } catch (error) {
      throw error instanceof AuthError ? error : new AuthError("network");
    }
  };

/** Wait for what others wait for too: an abort ends this wait, and nothing else. */
export const unlessAborted = <T>(promise: Promise<T>, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject);
  });

/** Put an access token where the server looks for it: in Authorization with its scheme, elsewhere bare. */
export const authorize = (headers: Headers, accessHeader: string, token: string): void =>
  headers.set(accessHeader, isStandard(accessHeader) ? `Bearer ${token}` : token);

/** Tell whether it is the header that browsers and servers know for credentials. */
export const isStandard = (accessHeader: string): boolean => accessHeader.toLowerCase() === "authorization";

/** Read a body; undefined where it is none of the auth server's, whatever its status says. */
const parse = (text: string): Body | undefined => {
  try {
    return Object(JSON.parse(text || "{}"));
  } catch {
    return undefined;
  }
};

/** Read Retry-After: seconds, or a date (RFC 9110, section 10.2.3). */
const retryAfter = (headers: Headers): number | undefined => {
  const value = headers.get("Retry-After") as string; // null is no date
  const seconds = Number(value) || (Date.parse(value) - Date.now()) / 1000;
  return seconds >= 0 ? seconds : undefined;
};

/** Tell whether a refresh was refused by the auth server itself, so that nobody is signed in. */
export const isOver = (error: unknown): boolean =>
  (error as AuthError).status === 401 && /^invalid_(grant|request)$/.test((error as AuthError).code);

/** Give the milliseconds to wait after a number of failures: they double, with chance, and obey the server. */
export const backOff = (error: unknown, failures: number): number =>
  Math.max(
    Math.min(60_000, 500 * 2 ** failures) * (0.5 + Math.random() / 2),
    1000 * ((error as AuthError).retryAfter ?? 0),
  );

/** Tell whether the same caller may wait for another attempt, and how many milliseconds; undefined: no. */
export const pause = (error: unknown, failures: number): number | undefined => {
  const { status } = error as AuthError;
  const passing = status < 300 || status === 409 || status === 429 || status >= 500;
  const ms = backOff(error, failures);
  return passing && failures < ATTEMPTS && ms <= PATIENCE ? ms : undefined;
};
