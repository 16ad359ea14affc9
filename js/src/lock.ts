/** One at a time over all tabs: Web Locks, a lease where there are none, or nothing. It knows no work. */

import { sleep, storage, webLocks } from "./platform.ts";
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
  try {
    await locks.request(name, { ifAvailable: true }, run(false));
    if (!result) await locks.request(name, { signal: AbortSignal.timeout(PATIENCE) }, run(true));
  } catch {
    // no patience left, or no locks for this page
  }
  return result ?? work(true);
};

const byLease = async <T>(name: string, work: (waited?: boolean) => Promise<T>): Promise<T> => {
  const key = `${name}#lock`;
  const mine = `${Math.random()}`;
  const until = Date.now() + PATIENCE;
  let waited = false;
  const read = () => storage()?.getItem(key)?.split(" ") ?? [];
  try {
    while (Date.now() < until && storage()) {
      if (!(Number(read()[1]) > Date.now())) {
        storage()?.setItem(key, `${mine} ${Date.now() + LEASE}`);
        await sleep(10 + Math.random() * 20); // who writes at the same time overwrites it
        if (read()[0] === mine) break;
      }
      waited = true;
      await sleep(20 + Math.random() * 30);
    }
  } catch {
    // nothing can be kept here
  }
  try {
    return await work(waited);
  } finally {
    try {
      if (read()[0] === mine) storage()?.removeItem(key);
    } catch {
      // nothing could be kept here
    }
  }
};
