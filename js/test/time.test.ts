/** When a client refreshes by itself: not too late, not all at once, and not where nobody looks. */

import { createAuth } from "keyturn";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { refusal } from "./server.ts";
import { openWorld, pass, stopClock, type World } from "./world.ts";

const MINUTE = 60_000;
const LIFE = 15 * MINUTE;

let world: World;
beforeEach(() => {
  world = openWorld("ann", { channels: false });
  stopClock(world);
});
afterEach(() => {
  world.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const refreshes = () => world.server.asked("/auth/refresh");
const down = () => refusal(503, "temporarily_unavailable", { "Retry-After": "20" });

/** Put the clock on the wall forward, and not the other one: so it looks after a machine has slept. */
const sleepMachine = (ms: number) => vi.setSystemTime(Date.now() + ms);

describe("a refresh is due", () => {
  test.each([
    [0, 0.9],
    [0.5, 0.825],
    [0.9999, 0.7501],
  ])("when three quarters to nine tenths of the life are over: %d", async (chance, share) => {
    vi.spyOn(Math, "random").mockReturnValue(chance);
    world.tab();
    await pass(0);
    await pass(LIFE * share - 500);
    expect(refreshes()).toBe(1);
    await pass(1000);
    expect(refreshes()).toBe(2);
  });

  test("again and again", async () => {
    const auth = world.tab();
    await pass(0);
    await pass(10 * LIFE);
    expect(refreshes()).toBeGreaterThanOrEqual(11);
    expect(refreshes()).toBeLessThanOrEqual(14);
    expect(auth.session().status).toBe("signed-in");
  });

  test("not at once where a token lives longer than a timer can count", async () => {
    world.server.ttl = 60 * 24 * 3600;
    world.tab();
    await pass(0);
    await pass(60 * MINUTE);
    expect(refreshes()).toBe(1);
  });

  test("by the life that the server names, whatever the clocks say", async () => {
    const real = world.server.grant.bind(world.server);
    vi.spyOn(world.server, "grant").mockImplementation(() => real({ iat: 1000, exp: 1900 })); // long over, it seems
    const auth = world.tab();
    await pass(0);
    await pass(5 * MINUTE);
    await auth.token();
    expect(refreshes()).toBe(1);
    expect(auth.session().expiresAt).toBe(Date.now() + 10 * MINUTE);
  });

  test("counted from when it was asked for, not from when the answer came", async () => {
    world.server.delay = 4000;
    const asked = Date.now();
    const auth = world.tab();
    await pass(4000);
    expect(auth.session().expiresAt).toBe(asked + LIFE);
  });
});

describe("a hidden page", () => {
  test("asks for nothing by itself, but as soon as it is seen", async () => {
    const auth = world.tab();
    await pass(0);
    world.page.show(false);
    await pass(10 * LIFE);
    expect(refreshes()).toBe(1);
    world.page.show(true);
    await pass(0);
    expect(refreshes()).toBe(2);
    expect(auth.session().expiresAt).toBe(Date.now() + LIFE);
  });

  test("refreshes for whoever asks: in the background while the token is good, else first", async () => {
    const auth = world.tab();
    await pass(0);
    const first = await auth.token();
    world.page.show(false);
    await pass(0.95 * LIFE);
    expect(refreshes()).toBe(1);
    expect(await auth.token()).toBe(first);
    await pass(0);
    expect(refreshes()).toBe(2);
    await pass(LIFE);
    expect((await auth.fetch("/api")).status).toBe(200);
    expect(refreshes()).toBe(3);
  });

  test("that was opened in the background is restored all the same", async () => {
    world.page.show(false);
    const auth = world.tab();
    await pass(0);
    expect(auth.session().status).toBe("signed-in");
  });
});

describe("after a sleep of eight hours", () => {
  test.each(["focus", "pageshow", "online"])("the page looks at the clock again: %s", async (event) => {
    world.tab();
    await pass(0);
    sleepMachine(8 * 60 * MINUTE);
    world.page.event(event);
    await pass(0);
    expect(refreshes()).toBe(2);
  });

  test("it is noticed within a minute where no event tells", async () => {
    world.tab();
    await pass(0);
    sleepMachine(8 * 60 * MINUTE);
    await pass(MINUTE);
    expect(refreshes()).toBe(2);
  });

  test("the first click works", async () => {
    const auth = world.tab();
    await pass(0);
    sleepMachine(8 * 60 * MINUTE);
    world.server.revoke();
    expect((await auth.fetch("/api")).status).toBe(200);
    expect(world.server.asked("/api")).toBe(1);
  });

  test("a clock that was set back makes nothing live longer, and stops nothing", async () => {
    const auth = world.tab();
    await pass(0);
    sleepMachine(-5 * 60 * MINUTE);
    await pass(LIFE);
    expect(refreshes()).toBe(2);
    expect(auth.session().expiresAt).toBeLessThanOrEqual(Date.now() + LIFE);
    await pass(LIFE);
    expect(refreshes()).toBe(3);
  });
});

describe("without a page", () => {
  test.each([true, false])("no timer keeps a process alive; the place has no location at all: %j", async (none) => {
    world.close();
    if (!none) vi.stubGlobal("location", undefined); // Deno
    const { fetch } = world.server;
    const auth = createAuth({ url: "https://auth.test/auth", fetch });
    const refreshing = auth.refresh();
    await pass(100);
    expect(await refreshing).toMatchObject({ status: "signed-in", userId: "ann" });
    await auth.token();
    await pass(10_000); // the limit of the request, which keeps none
    expect(vi.getTimerCount()).toBe(0);
    vi.unstubAllGlobals();
  });
});

test("close() ends the timer", async () => {
  const auth = world.tab();
  await pass(20_000); // the limits of requests are over
  expect(vi.getTimerCount()).toBe(1);
  auth.close();
  expect(vi.getTimerCount()).toBe(0);
});

describe("while the server is away", () => {
  test("it is asked less and less often, and nobody is signed out", async () => {
    const auth = world.tab();
    await pass(0);
    vi.spyOn(Math, "random").mockReturnValue(0.9999);
    world.server.next("/auth/refresh", ...Array(1000).fill(() => Promise.reject(new TypeError("Failed to fetch"))));
    await pass(LIFE);
    const before = refreshes();
    await pass(10 * MINUTE);
    expect(refreshes() - before).toBeLessThanOrEqual(33); // three attempts, each minute
    expect(refreshes() - before).toBeGreaterThanOrEqual(24);
    expect(auth.session().status).toBe("signed-in");
  });

  test("a failure is told once, however often the page wakes while it is waited for", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    const told: unknown[] = [];
    world.tab({ onError: (error) => told.push(error) });
    await pass(0);
    let fail = () => {};
    world.server.next("/auth/refresh", () => new Promise((resolve) => (fail = () => resolve(down()))));
    await pass(0.9 * LIFE);
    for (let each = 0; each < 3; each++) world.page.event("focus");
    fail();
    await pass(0);
    expect(told).toHaveLength(1);
  });

  test("it is left alone as long as it asks for, and asked at once when the network is back", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    world.tab();
    await pass(0);
    world.server.next("/auth/refresh", down, down);
    await pass(0.9 * LIFE);
    expect(refreshes()).toBe(2);
    await pass(19_000);
    world.page.event("focus");
    await pass(0);
    expect(refreshes()).toBe(2);
    await pass(1000);
    expect(refreshes()).toBe(3);
    world.page.event("online");
    await pass(0);
    expect(refreshes()).toBe(4);
    await pass(MINUTE);
    expect(refreshes()).toBe(4); // that went well
  });
});
