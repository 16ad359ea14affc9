/** What the tests share: a page, a server, and clients as tabs. It knows no rule. */

import { type Auth, type AuthOptions, type Claims, createAuth, type Session } from "keyturn";
import { vi } from "vitest";
import { openPage, type Page } from "./browser.ts";
import { Server } from "./server.ts";

export interface World {
  page: Page;
  server: Server;
  tabs: Auth[];
  tab<C = Claims>(options?: AuthOptions): Auth<C>;
  /** The states of all tabs. */
  states(): Session["status"][];
  close(): void;
}

/** Open a page whose user the server knows, or does not. */
export const openWorld = (user?: string, options?: Parameters<typeof openPage>[0]): World => {
  const page = openPage(options);
  const server = new Server(user);
  const tabs: Auth[] = [];
  return {
    page,
    server,
    tabs,
    tab<C>(chosen: AuthOptions = {}) {
      const auth = createAuth<C>({ fetch: server.fetch, ...chosen });
      tabs.push(auth as Auth);
      return auth;
    },
    states: () => tabs.map((each) => each.session().status),
    close() {
      for (const each of tabs) each.close();
      vi.unstubAllGlobals();
    },
  };
};

/** Runs work at once: nothing keeps two apart. */
export const noLock = <T>(_: string, work: () => Promise<T>): Promise<T> => work();

/** Give what a promise was rejected with. */
export const failure = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};

/** Stop the clock; only `pass` turns it. */
export const stopClock = (world: World): void => {
  world.server.delay = 0;
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const limit = new AbortController();
    setTimeout(() => limit.abort(new DOMException("late", "TimeoutError")), ms); // by the clock that tests turn
    return limit.signal;
  });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
};

/** Let time pass, and all happen that needs none. */
export const pass = async (ms: number): Promise<void> => {
  await settle();
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
};

const settle = async (): Promise<void> => {
  for (let each = 0; each < 20; each++) await new Promise((resolve) => setImmediate(resolve));
};
