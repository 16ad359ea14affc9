/** One at a time over all tabs: Web Locks, a lease where there are none, or nothing. It knows no work. */

import { keep, kept, sleep, webLocks } from "./platform.ts";
import type { Lock } from "./types.ts";

/**
 * How long to wait for the lock. A tab that was frozen with the lock in its hand would stop all others; then it is
 * better to go without: two refreshes at a time are what the server's race window is for.
 */
const PATIENCE = 30_000;
/** A lease ends in time, also where its tab died: longer than any work lasts. */
const LEASE = 25_000;

/** Run work alone, as far as this place can have it. */
export const alone: Lock = (name, work) => {
  const locks = webLocks();
  return locks ? byWebLock(locks, name, work) : byLease(name, work);
};

const byWebLock = async <T>(locks: LockManager, name: string, work: (waited?: boolean) => Promise<T>): Promise<T> => {
  let result: Promise<T> | undefined;
  const run = (waited: boolean) => async (held: unknown) => {
    if (!held) return;
    result = work(waited);
    await result.catch(() => undefined);
  };
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE);
  try {
    await locks.request(name, { ifAvailable: true }, run(false));
    if (!result) await locks.request(name, { signal: patience.signal }, run(true));
  } catch {
    // no patience left, or no locks for this page
  }
  clearTimeout(timer);
  return result ?? work();
};

const byLease = async <T>(name: string, work: (waited?: boolean) => Promise<T>): Promise<T> => {
  const key = `${name}#lock`;
  const mine = `${Math.random()}`;
  const holder = () => kept(key)?.split(" ") ?? [];
  const deadline = Date.now() + PATIENCE;
  let waited = false;
  while (Date.now() < deadline) {
    if (!(Number(holder()[1]) > Date.now())) {
      keep(key, `${mine} ${Date.now() + LEASE}`);
      await sleep(10 + Math.random() * 20); // who writes at the same time overwrites it
      if (kept(key) === undefined || holder()[0] === mine) break;
    }
    waited = true;
    await sleep(20 + Math.random() * 30);
  }
  try {
    return await work(waited);
  } finally {
    if (holder()[0] === mine) keep(key, "");
  }
};
