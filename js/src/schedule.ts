/** When something happens by itself: timers and the page's events. It knows no token and no request. */

import { page } from "./platform.ts";
import { backOff } from "./transport.ts";

/** Milliseconds between two looks at the clock: a timer stands still while the machine sleeps. */
const LOOK = 60_000;

/**
 * Do work when it is due, while the page is visible. A page that nobody looks at asks for nothing by itself: a
 * forgotten tab must not keep a session alive for ever. What it does on demand still works.
 *
 * @param wait - Milliseconds until the work is due; a long time where it is not.
 * @param work - The work, which calls `done` where it succeeds; where it fails, it is tried again after a while that
 * grows.
 * @param failed - Told of that.
 * @param awake - Called when the page may have missed something.
 */
export const createSchedule = (
  wait: () => number,
  work: () => Promise<unknown>,
  failed: (error: unknown) => void,
  awake: (event: Event) => void,
) => {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let earliest = 0;

  const look = (asked = false): void => {
    clearTimeout(timer);
    if (over.signal.aborted || !(asked || page()?.visibilityState === "visible")) return;
    const ms = Math.max(wait(), earliest - performance.now());
    if (ms > 0) {
      if (page()) timer = setTimeout(look, Math.min(ms, LOOK));
      return;
    }
    earliest = performance.now() + LOOK; // until it is known how it ended
    work().catch((error) => {
      failed(error);
      failures += 1;
      earliest = performance.now() + backOff(error, failures);
      look();
    });
  };
  const done = (): void => {
    failures = 0;
    earliest = 0;
    look();
  };

  if (page()) {
    const wake = (event: Event) => {
      if (event.type === "online") earliest = 0;
      awake(event);
      look();
    };
    // The first comes from the document, and rises to the window.
    for (const name of ["visibilitychange", "pageshow", "focus", "online"]) {
      addEventListener(name, wake, { signal: over.signal });
    }
  }
  return {
    look,
    done,
    close() {
      over.abort();
      look(); // which ends the timer
    },
  };
};
