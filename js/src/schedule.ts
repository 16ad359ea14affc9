/** When something happens by itself: timers and the page's events. It knows no token and no request. */

import { page } from "./platform.ts";
import { backOff } from "./transport.ts";

/** Milliseconds between two looks at the clock: a timer stands still while the machine sleeps. */
const LOOK = 60_000;

/**
 * Do work when it is due, while the page is visible. A page that nobody looks at asks for nothing by itself: a
 * forgotten tab must not keep a session alive for ever. What it does on demand still works.
 *
 * @param wait - Milliseconds until the work is due; Infinity: never.
 * @param work - The work; where it fails, it is tried again after a while that grows.
 * @param awake - Called when the page may have missed something.
 */
export const createSchedule = (wait: () => number, work: () => Promise<unknown>, awake: () => void) => {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let earliest = 0;

  const look = (asked = false): void => {
    clearTimeout(timer);
    if (over.signal.aborted || !(asked || page()?.visibilityState === "visible")) return;
    const ms = Math.max(wait(), earliest - Date.now());
    if (ms > 0) {
      if (ms < Number.POSITIVE_INFINITY) timer = setTimeout(look, Math.min(ms, LOOK));
      return;
    }
    earliest = Date.now() + LOOK; // until it is known how it ended
    work().then(done, (error) => {
      failures += 1;
      earliest = Date.now() + backOff(error, failures);
      look();
    });
  };
  const done = (): void => {
    failures = 0;
    earliest = 0;
    look();
  };

  const on = (target: EventTarget, events: string[], then: () => void) => {
    for (const event of events) target.addEventListener(event, then, { signal: over.signal });
  };
  const wake = () => {
    awake();
    look();
  };
  const document = page();
  if (document) {
    on(document, ["visibilitychange"], wake);
    on(globalThis, ["pageshow", "focus"], wake);
    on(globalThis, ["online"], () => {
      earliest = 0;
      wake();
    });
  }
  return { look, done, close: () => over.abort() };
};
