/** One at a time over all tabs: Web Locks, a lease where there are none, or nothing. It knows no work. */

import { keep, kept, sleep, webLocks } from "./platform.ts";
import type { Lock } from "./types.ts";

/**
 * How long to wait for the lock. A tab that was frozen with the lock in its hand would stop all others; then it is
 * better to go without: two refreshes at a time are what the server's race window is for.
 */
const PATIENCE = 30_000;
/** How long after that was in vain, until the lock was free once. */
const IMPATIENCE = 1000;
/** A lease ends in time, also where its tab died: longer than any work lasts. */
const LEASE = 25_000;

/** Make what runs work alone, as far as this place can have it. */
export const createLock = (): Lock => {
  let ms = PATIENCE;
  return async (name, work) => {
    const locks = webLocks();
    if (!locks) return byLease(name, work);
    let result: ReturnType<typeof work> | undefined;
    const run = (waited: boolean) => async (held: unknown) => {
      if (!held) return;
      ms = PATIENCE;
      result = work(waited);
      await result.catch(() => undefined);
    };
    try {
      await locks.request(name, { ifAvailable: true }, run(false));
      if (!result) await locks.request(name, { signal: AbortSignal.timeout(ms) }, run(true));
    } catch {
      ms = IMPATIENCE; // none left, or no locks for this page
    }
    return result ?? work();
  };
};

const byLease = async <T>(name: string, work: (waited?: boolean) => Promise<T>): Promise<T> => {
  const key = `${name}#lock`;
  let mine: string | undefined;
  const isFree = () => !(Number.parseFloat(`${kept(key)}`) > Date.now());
  const deadline = Date.now() + PATIENCE;
  let waited = false;
  while (Date.now() < deadline) {
    if (isFree()) {
      mine = `${Date.now() + LEASE} ${Math.random()}`;
      keep(key, mine);
      await sleep(10 + Math.random() * 20); // who writes at the same time overwrites it
      if (kept(key) === mine || isFree()) break; // still free: nothing can be kept
    }
    waited = true;
    await sleep(20 + Math.random() * 30);
  }
  try {
    return await work(waited);
  } finally {
    if (kept(key) === mine) keep(key, "");
  }
};
