/** What the place we run in offers; each is undefined where it does not. It knows no token. */

// Servers that render pages serve many users from one process: what browsers share between the tabs of one
// user, channels and locks, must not be shared there. Browsers and their workers have a location; servers have none.
const inBrowser = (): boolean => !!globalThis.location; // Deno has the name, and nothing behind it

/** The origin of the page, if it has one. */
export const pageOrigin = (): string | undefined => (inBrowser() ? originOf(location.href) : undefined);

/** Give the origin of a URL; undefined where it has none that another could be equal to. */
export const originOf = (url: string): string | undefined => {
  const origin = URL.canParse(url) ? new URL(url).origin : "null";
  return origin === "null" ? undefined : origin;
};

/** Make a URL absolute, as `fetch` does. */
export const absolute = (url: string | URL): string =>
  inBrowser() ? new URL(url, globalThis.document?.baseURI ?? location.href).href : `${url}`;

/** The document, in a page. */
export const page = (): Document | undefined => globalThis.document;

/** Web Locks: only where the page came by https, or from this machine. */
export const webLocks = (): LockManager | undefined => (inBrowser() ? navigator.locks : undefined);

/** Open a channel to the other tabs. */
export const openChannel = (name: string): BroadcastChannel | undefined =>
  inBrowser() && globalThis.BroadcastChannel ? new BroadcastChannel(name) : undefined;

/** Give what this origin keeps under a key; undefined where it may keep nothing. */
export const kept = (key: string): string | null | undefined => {
  try {
    return inBrowser() ? localStorage.getItem(key) : undefined;
  } catch {
    return undefined; // forbidden
  }
};

/** Keep something, if this origin may. */
export const keep = (key: string, value: string): void => {
  try {
    if (inBrowser()) localStorage.setItem(key, value);
  } catch {
    // full, or forbidden
  }
};

/** Wait. */
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
