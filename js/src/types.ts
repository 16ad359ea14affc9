/** The public types. They know no behaviour. */

/** The claims of an access token, as its payload has them: your own beside `sub`, `exp` and the others. */
export type Claims = Record<string, unknown>;

/** Somebody is signed in. */
export interface SignedIn<C = Claims> {
  readonly status: "signed-in";
  /** The token's `sub`. */
  readonly userId: string;
  /** The token's `sid`; null for a token that belongs to no session. */
  readonly sessionId: string | null;
  /** The payload of the access token. Nobody has verified it here: show it, but let servers decide by it. */
  readonly claims: C;
  /** When the access token ends, by this machine's clock: milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Nobody is signed in, or it is not known yet. */
export interface SignedOut {
  /** `pending` until the server has said for the first time whether somebody is signed in. */
  readonly status: "pending" | "signed-out";
  readonly userId: null;
  readonly sessionId: null;
  readonly claims: null;
  readonly expiresAt: null;
  /** `logout`: somebody signed out, here or in another tab. `ended`: the server no longer knows the session. */
  readonly reason?: "logout" | "ended";
}

/** A frozen snapshot: the same object until something changes. */
export type Session<C = Claims> = SignedIn<C> | SignedOut;

/** What is called with each new snapshot, once the change is complete. */
export type Listener<C = Claims> = (session: Session<C>) => void;

/**
 * Runs work while nobody else on this origin runs work of the same name, and says whether it had to wait for that.
 */
export type Lock = <T>(name: string, work: (waited?: boolean) => Promise<T>) => Promise<T>;

/** What can be chosen. */
export interface AuthOptions {
  /** Where the auth server's endpoints are: a path or a URL. Default: `/auth`. */
  url?: string;
  /** Other origins that get the access token, such as `https://api.example.com`. None by default. */
  origins?: readonly string[];
  /** The header that carries the access token; any but `Authorization` carries it without `Bearer`. */
  accessHeader?: string;
  /** Whether to find out by itself, at once, if somebody is signed in. Default: true, in a document. */
  restore?: boolean;
  /** Used instead of the global `fetch`. */
  fetch?: typeof fetch;
  /** Used instead of Web Locks. */
  lock?: Lock;
  /** Told what failed in the background (an `AuthError`, tried again later) and what a listener threw. */
  onError?: (error: unknown) => void;
}

/** A user name and a password. */
export interface Credentials {
  username: string;
  password: string;
}

/** The client. Its functions may be taken out of it: none needs `this`. */
export interface Auth<C = Claims> {
  /**
   * Sign in.
   * @throws AuthError - `invalid_credentials`, `slow_down`, `network`, …; whoever was signed in still is. Also where the
   * server must first be told of a sign-out, and could not be.
   */
  login(credentials: Credentials): Promise<SignedIn<C>>;
  /**
   * Sign in again within the session, for what needs a recent sign-in (RFC 9470).
   * @throws AuthError - As `login`; `signed_out` where nobody is signed in.
   */
  stepUp(credentials: Credentials): Promise<SignedIn<C>>;
  /**
   * Like `fetch`, with the access token where the request goes to the page's origin, the auth server's or one of
   * `origins`. Where nobody is signed in, it is sent without a token. A 401 is tried once more with a fresh token.
   * @throws AuthError - A token was needed and could not be had, though nobody is signed out; or `user_changed`: it would
   * go with the token of somebody who has signed in meanwhile, in another tab.
   */
  fetch(input: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /**
   * Give an access token that can be used now.
   * @throws AuthError - `signed_out`, or why no token could be had.
   */
  token(): Promise<string>;
  /**
   * Ask the server for a new access token, once for all tabs that ask at the same time. Finds also who has been
   * signed in by the server itself. That nobody is signed in is an answer, not an error.
   * @throws AuthError - The server could not say; nobody is signed out.
   */
  refresh(): Promise<Session<C>>;
  /**
   * Sign out: here and in all tabs at once, then at the server; with `everywhere` on all the user's devices.
   * @throws AuthError - The server could not be told; it will be when the page is next online or opened. With `everywhere`
   * also, for good, where this session had ended: the other devices are still signed in.
   */
  logout(options?: { everywhere?: boolean }): Promise<void>;
  /** Give the present snapshot. */
  session(): Session<C>;
  /** Be told of each new snapshot; what is returned ends that. */
  subscribe(listener: Listener<C>): () => void;
  /** End all that happens by itself: timers, events, messages to and from other tabs. */
  close(): void;
}
