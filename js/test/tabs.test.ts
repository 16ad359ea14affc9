/** Several tabs: one refresh, one sign-out, over real locks and real channels. */

import { afterEach, describe, expect, test, vi } from "vitest";
import { PAGE } from "./browser.ts";
import { refusal, tokenOf } from "./server.ts";
import { failure, noLock, openWorld, pass, stopClock, type World } from "./world.ts";

const CHANNEL = `keyturn:${PAGE}auth`;

let world: World;
afterEach(() => {
  world.close();
  vi.restoreAllMocks();
});

const allAre = (status: string) => () => expect(new Set(world.states())).toEqual(new Set([status]));

/** Open tabs at the same moment, and wait for all. */
const open = async (count: number, options: Parameters<typeof openWorld>[1] = {}): Promise<void> => {
  world = openWorld("ann", options);
  for (let each = 0; each < count; each++) world.tab();
  await vi.waitFor(allAre("signed-in"), { timeout: 5000 });
};

describe("with Web Locks", () => {
  test("six tabs that open at the same moment make one request and hold one token", async () => {
    await open(6);
    expect(world.server.asked("/auth/refresh")).toBe(1);
    expect(new Set(await Promise.all(world.tabs.map((each) => each.token()))).size).toBe(1);
  });

  test("a new tab gets the token of an old one without a request", async () => {
    await open(1);
    const fresh = world.tab();
    expect(await fresh.token()).toBe(await world.tabs[0]?.token());
    expect(world.server.asked("/auth/refresh")).toBe(1);
  });

  test("six refreshes at once are one request", async () => {
    await open(6);
    const sessions = await Promise.all(world.tabs.map((each) => each.refresh()));
    expect(world.server.asked("/auth/refresh")).toBe(2);
    expect(new Set(sessions.map((each) => each.expiresAt)).size).toBe(1);
  });

  test("five tabs that ask as soon as the lock is free make no request of their own", async () => {
    await open(6);
    const [first, ...others] = world.tabs;
    await first?.refresh(); // its result may not have reached the others yet
    const tokens = await Promise.all(others.map(async (each) => (await each.refresh()) && each.token()));
    expect(new Set(tokens)).toEqual(new Set([await first?.token()]));
    expect(world.server.asked("/auth/refresh")).toBeLessThanOrEqual(3);
  });

  test("tokens that ended at the same moment cost one request, also for who comes when the lock is free again", async () => {
    await open(6);
    const [first, ...others] = world.tabs;
    const later = Date.now() + 20 * 60_000;
    vi.spyOn(Date, "now").mockReturnValue(later);
    const token = await first?.token();
    const tokens = await Promise.all(others.map((each) => each.token()));
    expect(new Set(tokens)).toEqual(new Set([token]));
    expect(world.server.asked("/auth/refresh")).toBe(2);
  });

  test("what says nothing new does not end the wait for what does", async () => {
    world = openWorld("ann");
    const auth = world.tab();
    await auth.token();
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    navigator.locks.request(CHANNEL, () => held); // as another tab does that refreshes
    const refreshing = auth.refresh();
    await vi.waitFor(async () => expect((await navigator.locks.query()).pending).toHaveLength(1));
    const channel = new BroadcastChannel(CHANNEL);
    const news = { type: "token", token: tokenOf({ sub: "bob" }), at: Date.now() + 1000, ends: Date.now() + 900_000 };
    channel.onmessage = () => {
      channel.postMessage({ ...news, at: 1 });
      channel.postMessage({ type: "out", at: 1 });
      setTimeout(() => channel.postMessage(news), 30);
    };
    release();
    expect(await refreshing).toMatchObject({ userId: "bob" });
    expect(world.server.asked("/auth/refresh")).toBe(1);
    channel.close();
  });

  test("a token that was refused is not handed back to who reports it", async () => {
    await open(2);
    const [first, second] = world.tabs;
    const refused = await first?.token();
    world.server.revoke();
    const answer = await second?.fetch("/api");
    expect(answer?.status).toBe(200);
    expect(await second?.token()).not.toBe(refused);
    await vi.waitFor(async () => expect(await first?.token()).toBe(await second?.token()));
    expect(world.server.asked("/auth/refresh")).toBe(2);
  });

  test("a tab that has never heard another one does not wait for it a second time", async () => {
    world = openWorld("ann");
    const asks: unknown[] = [];
    const channel = new BroadcastChannel(CHANNEL); // it listens, and never says a word
    channel.onmessage = ({ data }) => asks.push(data.type);
    const auth = world.tab();
    await auth.token();
    await auth.refresh();
    await vi.waitFor(() => expect(asks).toEqual(["ask", "token", "token"]));
    channel.postMessage({ type: "here" });
    channel.postMessage({ type: "ask", at: Date.now() });
    await vi.waitFor(() => expect(asks).toContain("here"));
    await auth.refresh();
    await vi.waitFor(() => expect(asks).toEqual(["ask", "token", "token", "here", "ask", "token"]));
    channel.close();
  });

  test("a failure is shared: the tabs that waited do not ask the server once more each", async () => {
    await open(6);
    const down = () => refusal(503, "temporarily_unavailable", { "Retry-After": "60" });
    world.server.next("/auth/refresh", ...Array(6).fill(down));
    const errors = await Promise.all(world.tabs.map((each) => failure(each.refresh())));
    expect(errors).toEqual(errors.map(() => expect.objectContaining({ code: "temporarily_unavailable", status: 503 })));
    expect(world.server.asked("/auth/refresh")).toBe(2);
    expect(new Set(world.states())).toEqual(new Set(["signed-in"]));
  });
});

test("a lock that is never given back stops nobody for ever", async () => {
  world = openWorld("ann");
  let release = () => {};
  navigator.locks.request(CHANNEL, () => new Promise<void>((resolve) => (release = resolve))); // a frozen tab's
  stopClock(world);
  const auth = world.tab();
  await pass(29_000);
  expect(world.server.log).toEqual([]);
  await pass(2000);
  expect(auth.session().status).toBe("signed-in");
  const refreshing = auth.refresh();
  await pass(2000); // no second half minute
  expect(world.server.asked("/auth/refresh")).toBe(2);
  await refreshing;
  release();
  await pass(0);
  await auth.refresh(); // has it now
  navigator.locks.request(CHANNEL, () => new Promise<void>((resolve) => (release = resolve)));
  auth.refresh();
  await pass(29_000);
  expect(world.server.asked("/auth/refresh")).toBe(3);
  await pass(2000);
  expect(world.server.asked("/auth/refresh")).toBe(4);
  release();
  vi.useRealTimers();
});

test("an answer that never comes stops nobody for ever, also where `fetch` knows no signal", async () => {
  world = openWorld("ann", { channels: false });
  stopClock(world);
  let asked = 0;
  const fetch: typeof globalThis.fetch = (input, init) =>
    asked++ ? world.server.fetch(input, init) : new Promise(() => {});
  const auth = world.tab({ fetch });
  await pass(12_000);
  expect(auth.session().status).toBe("signed-in");
  vi.useRealTimers();
});

describe("sign-in and sign-out", () => {
  test("a logout ends all tabs at once, also while the server is slow", async () => {
    await open(6);
    let answer = () => {};
    world.server.next("/auth/logout", () => new Promise((resolve) => (answer = () => resolve(undefined))));
    const going = world.tabs[0]?.logout();
    await vi.waitFor(allAre("signed-out"), { timeout: 1000 });
    expect(world.tabs.map((each) => each.session())).toEqual(
      world.tabs.map(() => expect.objectContaining({ reason: "logout" })),
    );
    await vi.waitFor(() => expect(world.server.asked("/auth/logout")).toBe(1));
    answer();
    await going;
    expect(world.server.user).toBeUndefined();
    expect(world.server.log).toEqual(["POST /auth/refresh", "POST /auth/logout"]);
  });

  test("a session that the server has ended ends in all tabs", async () => {
    await open(3);
    world.server.user = undefined;
    expect(await world.tabs[0]?.refresh()).toMatchObject({ status: "signed-out", reason: "ended" });
    await vi.waitFor(allAre("signed-out"));
  });

  test("another user's sign-in in one tab is everybody's, and is told", async () => {
    await open(3);
    const seen: unknown[] = [];
    world.tabs[2]?.subscribe((session) => seen.push(session.userId));
    await world.tabs[0]?.login({ username: "bob", password: "right" });
    await vi.waitFor(() => expect(world.tabs.map((each) => each.session().userId)).toEqual(["bob", "bob", "bob"]));
    expect(seen).toEqual(["bob"]);
  });

  test("a sign-in waits for a refresh that is under way with the old cookie", async () => {
    await open(2);
    let answer = () => {};
    world.server.next(
      "/auth/refresh",
      () => new Promise((resolve) => (answer = () => resolve(refusal(401, "invalid_grant")))),
    );
    const refreshing = world.tabs[0]?.refresh();
    await vi.waitFor(() => expect(world.server.asked("/auth/refresh")).toBe(2));
    const signingIn = world.tabs[1]?.login({ username: "bob", password: "right" });
    await vi.waitFor(async () => expect((await navigator.locks.query()).pending).toHaveLength(1));
    expect(world.server.asked("/auth/login")).toBe(0);
    answer();
    await Promise.all([refreshing, signingIn]);
    await vi.waitFor(allAre("signed-in"));
  });

  test("a late 401 does not sign out who has signed in meanwhile, where nothing keeps the two apart", async () => {
    world = openWorld("ann");
    const [slow, quick] = [world.tab({ lock: noLock }), world.tab({ lock: noLock })];
    await vi.waitFor(allAre("signed-in"));
    let answer = () => {};
    const asked = world.server.asked("/auth/refresh");
    world.server.next(
      "/auth/refresh",
      () => new Promise((resolve) => (answer = () => resolve(refusal(401, "invalid_grant")))),
    );
    const refreshing = slow.refresh();
    await vi.waitFor(() => expect(world.server.asked("/auth/refresh")).toBe(asked + 1));
    await quick.login({ username: "bob", password: "right" });
    await vi.waitFor(() => expect(slow.session().userId).toBe("bob"));
    answer();
    expect(await refreshing).toMatchObject({ status: "signed-in", userId: "bob" });
    expect(quick.session().userId).toBe("bob");
    expect([...world.page.stored.values()]).toEqual(["in"]);
  });
});

test("a late answer to a refresh does not undo a later sign-in, where nothing keeps the two apart", async () => {
  world = openWorld("ann");
  const [slow, quick] = [world.tab({ lock: noLock }), world.tab({ lock: noLock })];
  await vi.waitFor(allAre("signed-in"));
  let answer = () => {};
  const asked = world.server.asked("/auth/refresh");
  const late = world.server.grant(); // Ann's
  world.server.next("/auth/refresh", () => new Promise((resolve) => (answer = () => resolve(late))));
  const refreshing = slow.refresh();
  await vi.waitFor(() => expect(world.server.asked("/auth/refresh")).toBe(asked + 1));
  await quick.login({ username: "bob", password: "right" });
  await vi.waitFor(() => expect(slow.session().userId).toBe("bob"));
  answer();
  expect(await refreshing).toMatchObject({ userId: "bob" });
});

test("a sign-in that another tab has ended while it was under way is none", async () => {
  await open(2);
  const [one, two] = world.tabs;
  let answer = () => {};
  world.server.next("/auth/login", () => new Promise((resolve) => (answer = () => resolve(undefined))));
  const failed = failure(one?.login({ username: "bob", password: "right" }) as Promise<unknown>);
  await vi.waitFor(() => expect(world.server.asked("/auth/login")).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 5)); // so that the clock has gone on
  const going = two?.logout();
  answer();
  expect(await failed).toMatchObject({ code: "signed_out" });
  await going;
  expect(world.server.user).toBeUndefined();
  await vi.waitFor(allAre("signed-out"));
});

test("who waits for another tab's refresh hears at once that it has failed", async () => {
  world = openWorld("ann");
  const [one, two] = [world.tab(), world.tab()];
  await one.token();
  await two.token();
  let answer = () => {};
  const down = refusal(503, "temporarily_unavailable", { "Retry-After": "60" });
  world.server.next("/auth/refresh", () => new Promise((resolve) => (answer = () => resolve(down))));
  const failing = failure(one.refresh());
  await vi.waitFor(() => expect(world.server.asked("/auth/refresh")).toBe(2));
  const waiting = failure(two.refresh());
  await vi.waitFor(async () => expect((await navigator.locks.query()).pending).toHaveLength(1));
  const timers = vi.spyOn(globalThis, "setTimeout").mockImplementation(() => 0 as never); // no wait ends by time
  answer();
  expect(await Promise.all([failing, waiting])).toEqual(Array(2).fill(expect.objectContaining({ retryAfter: 60 })));
  timers.mockRestore();
});

describe("without", () => {
  test("a lock: several requests, and everybody is signed in", async () => {
    world = openWorld("ann");
    for (let each = 0; each < 6; each++) world.tab({ lock: noLock });
    await vi.waitFor(allAre("signed-in"));
    expect(world.server.asked("/auth/refresh")).toBeGreaterThan(1);
  });

  test("Web Locks: a lease in localStorage keeps tabs apart, and is given back", async () => {
    await open(6, { locks: false });
    await Promise.all(world.tabs.map((each) => each.refresh()));
    expect(world.server.asked("/auth/refresh")).toBe(2);
    expect(world.page.stored.get(`${CHANNEL}#lock`)).toBe("");
  });

  test("Web Locks: the lease of a tab that died ends", async () => {
    world = openWorld("ann", { locks: false });
    world.page.stored.set(`${CHANNEL}#lock`, `${Date.now() + 300} gone`);
    expect(await world.tab().token()).toBeTruthy();
  });

  test("Web Locks and storage: it just runs", async () => {
    await open(1, { locks: false, keeps: false });
    expect(world.server.asked("/auth/refresh")).toBe(1);
  });

  test("Web Locks: a lease that another tab has taken over is not given back for it", async () => {
    world = openWorld("ann", { locks: false, channels: false });
    const theirs = `${Date.now() + 20_000} theirs`;
    world.server.next("/auth/refresh", () => void world.page.stored.set(`${CHANNEL}#lock`, theirs));
    await world.tab().token();
    expect(world.page.stored.get(`${CHANNEL}#lock`)).toBe(theirs);
  });

  test("room in the storage and Web Locks: it just runs", async () => {
    world = openWorld("ann", { locks: false, channels: false });
    stopClock(world);
    const { getItem } = localStorage;
    const setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    vi.stubGlobal("localStorage", { getItem, setItem });
    const auth = world.tab();
    await pass(100);
    expect(auth.session().status).toBe("signed-in");
    vi.useRealTimers();
  });

  test("storage: a sign-out that could not be told is not undone by the other tabs", async () => {
    world = openWorld("ann", { keeps: false });
    const [one, two] = [world.tab(), world.tab()];
    await one.token();
    await two.token();
    world.server.next("/auth/logout", () => refusal(403, "csrf_failed"));
    expect(await failure(one.logout())).toMatchObject({ code: "csrf_failed" });
    await vi.waitFor(allAre("signed-out"));
    const asked = world.server.log.length;
    world.page.event("focus");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(two.session().status).toBe("signed-out");
    expect(world.server.asked("/auth/refresh")).toBe(1);
    expect(world.server.log.slice(asked)).toEqual(["POST /auth/logout"]); // by the first, which knows
    await one.login({ username: "bob", password: "right" });
    await vi.waitFor(() => expect(two.session().userId).toBe("bob"));
    world.page.event("focus"); // which must not take the second for signed out
    expect(two.session().userId).toBe("bob");
  });

  test("channels: nothing is shared, and all works", async () => {
    await open(3, { channels: false });
    expect(world.server.asked("/auth/refresh")).toBe(3);
    await world.tabs[0]?.logout();
    expect(world.states()).toEqual(["signed-out", "signed-in", "signed-in"]);
    world.page.event("focus"); // what is kept says so
    expect(new Set(world.states())).toEqual(new Set(["signed-out"]));
  });
});

describe("what others say", () => {
  const now = Date.now();
  const good = { type: "token", token: tokenOf({ sub: "eve" }), at: now + 60_000, ends: now + 900_000 };

  test.each([
    null,
    "out",
    7,
    {},
    { type: "out" },
    { type: "out", at: "9999999999999" },
    { type: "out", at: Number.POSITIVE_INFINITY },
    { type: "out", at: 1e300 },
    { type: "token" },
    { ...good, token: "no token" },
    { ...good, token: tokenOf({ sub: 5 }) },
    { ...good, token: undefined },
    { ...good, ends: Number.NaN },
    { ...good, at: 1e300 },
    { type: "failed" },
    { type: "ask", at: {} },
  ])("is ignored where it makes no sense: %j", async (message) => {
    await open(1);
    const before = world.tabs[0]?.session();
    const channel = new BroadcastChannel(CHANNEL);
    channel.postMessage(message);
    channel.postMessage({ type: "ask", at: 0 }); // answered after the other was read
    await new Promise((resolve) => (channel.onmessage = resolve));
    channel.close();
    expect(world.tabs[0]?.session()).toBe(before);
  });

  test("counts by when it happened, not by when it comes", async () => {
    await open(1);
    const before = world.tabs[0]?.session();
    const channel = new BroadcastChannel(CHANNEL);
    channel.postMessage({ ...good, at: now - 60_000 });
    channel.postMessage({ type: "out", at: now - 60_000 });
    channel.postMessage({ type: "ask", at: 0 });
    await new Promise((resolve) => (channel.onmessage = resolve));
    expect(world.tabs[0]?.session()).toBe(before);
    channel.postMessage(good);
    await vi.waitFor(() => expect(world.tabs[0]?.session().userId).toBe("eve"));
    channel.close();
  });

  test("a token in its last seconds is not handed on", async () => {
    world = openWorld("ann");
    world.server.ttl = 10;
    await world.tab().token();
    const later = Date.now() + 9500;
    vi.spyOn(Date, "now").mockReturnValue(later);
    await world.tab().token();
    expect(world.server.asked("/auth/refresh")).toBe(2);
  });
});
