/** Signing out, also where the server cannot be told at once. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PAGE } from "./browser.ts";
import { refusal } from "./server.ts";
import { failure, openWorld, pass, stopClock, type World } from "./world.ts";

const KEY = `keyturn:${PAGE}auth`;

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

const mark = () => world.page.stored.get(KEY);
const network = () => Promise.reject(new TypeError("Failed to fetch"));

/** Sign out without a network. */
const failedLogout = async (options?: { everywhere?: boolean }) => {
  const auth = world.tab();
  await pass(0);
  world.server.next("/auth/logout", network, network, network);
  world.server.next("/auth/refresh", ...(options?.everywhere ? [network, network, network] : []));
  const failed = failure(auth.logout(options));
  expect(auth.session()).toMatchObject({ status: "signed-out", reason: "logout" });
  await pass(20_000);
  expect(await failed).toMatchObject({ code: "network" });
  world.server.plans.length = 0;
  return auth;
};

test("everything is forgotten at once, and the server told", async () => {
  const auth = world.tab();
  await pass(0);
  const going = auth.logout();
  expect(auth.session()).toMatchObject({ status: "signed-out", reason: "logout", userId: null, claims: null });
  expect(mark()).toBe("leaving");
  await pass(0);
  await going;
  expect(mark()).toBe("out");
  expect(world.server.log).toEqual(["POST /auth/refresh", "POST /auth/logout"]);
  expect(await failure(auth.token())).toMatchObject({ code: "signed_out" });
});

test("everywhere is everywhere, also with an access token that has ended", async () => {
  const auth = world.tab();
  await pass(0);
  world.server.revoke();
  const going = auth.logout({ everywhere: true });
  expect(mark()).toBe("leaving-everywhere session-of-ann");
  await pass(0);
  await going;
  expect(world.server.log).toEqual(["POST /auth/refresh", "POST /auth/refresh", "POST /auth/logout-all"]);
  expect(world.server.requests.at(-1)?.headers.get("Authorization")).toMatch(/^Bearer /);
  expect(mark()).toBe("out");
  expect(auth.session().status).toBe("signed-out");
});

test("a session that was over already is over", async () => {
  const auth = world.tab();
  await pass(0);
  world.server.user = undefined;
  const going = auth.logout();
  await pass(0);
  await going;
  expect(mark()).toBe("out");
});

test("a session that was over already cannot end the others, and the caller is told", async () => {
  const auth = world.tab();
  await pass(0);
  world.server.user = undefined;
  const going = failure(auth.logout({ everywhere: true }));
  await pass(0);
  expect(await going).toMatchObject({ status: 401 });
  expect(mark()).toBe("out");
  expect(auth.session().status).toBe("signed-out");
});

test("the server is told once, whoever else would tell it meanwhile", async () => {
  const auth = world.tab();
  await pass(0);
  let answer = () => {};
  world.server.next("/auth/logout", () => new Promise((resolve) => (answer = () => resolve(undefined))));
  const going = auth.logout();
  await pass(0);
  world.page.event("focus"); // which would tell a server that could not be told
  await pass(0);
  answer();
  await pass(2000);
  await going;
  expect(world.server.log).toEqual(["POST /auth/refresh", "POST /auth/logout"]);
});

test("a server in trouble is told a little later", async () => {
  const auth = world.tab();
  await pass(0);
  world.server.next("/auth/logout", () => refusal(503, "temporarily_unavailable", { "Retry-After": "1" }));
  const going = auth.logout();
  await pass(3000);
  await going;
  expect(world.server.asked("/auth/logout")).toBe(2);
});

describe("a server that could not be told", () => {
  test("is told when the network is back", async () => {
    const auth = await failedLogout();
    expect([mark(), world.server.user]).toEqual(["leaving", "ann"]);
    world.page.event("online");
    await pass(0);
    expect([mark(), world.server.user]).toEqual(["out", undefined]);
    expect(auth.session()).toMatchObject({ status: "signed-out", reason: "logout" });
  });

  test("is told by the next page, which restores nothing", async () => {
    (await failedLogout()).close();
    const before = world.server.asked("/auth/refresh");
    const next = world.tab();
    expect(next.session().status).toBe("signed-out");
    await pass(0);
    expect([mark(), world.server.user]).toEqual(["out", undefined]);
    expect([next.session().status, world.server.asked("/auth/refresh")]).toEqual(["signed-out", before]);
  });

  test("is told before an explicit refresh, which then finds nobody", async () => {
    const auth = await failedLogout();
    const refreshed = auth.refresh();
    await pass(0);
    expect(await refreshed).toMatchObject({ status: "signed-out" });
    expect(world.server.user).toBeUndefined();
  });

  test("is told to end all sessions, where that was wanted", async () => {
    await failedLogout({ everywhere: true });
    expect(mark()).toBe("leaving-everywhere session-of-ann");
    world.page.event("online");
    await pass(0);
    expect(world.server.log.at(-1)).toBe("POST /auth/logout-all");
    expect([mark(), world.server.user]).toEqual(["out", undefined]);
  });

  test.each([false, true])("is told before somebody signs in, and not after; everywhere: %j", async (everywhere) => {
    const auth = await failedLogout({ everywhere });
    const signedIn = auth.login({ username: "bob", password: "right" });
    await pass(0);
    await signedIn;
    const before = world.server.log.slice();
    expect(before.slice(-2)).toEqual([everywhere ? "POST /auth/logout-all" : "POST /auth/logout", "POST /auth/login"]);
    world.page.event("online");
    await pass(0);
    expect(world.server.log).toEqual(before);
    expect([mark(), world.server.user, auth.session().userId]).toEqual(["in", "bob", "bob"]);
  });

  test("and still cannot be told keeps others from signing in, who are told so", async () => {
    const auth = await failedLogout();
    world.server.next("/auth/logout", network);
    const failed = failure(auth.login({ username: "bob", password: "right" }));
    await pass(0);
    expect(await failed).toMatchObject({ code: "network" });
    expect([mark(), world.server.asked("/auth/login")]).toEqual(["leaving", 0]);
  });

  test("ends nobody else's sessions: who has come in by the server itself stays", async () => {
    (await failedLogout({ everywhere: true })).close();
    world.server.user = "bob";
    const refreshing = world.tab().refresh();
    await pass(0);
    expect(await refreshing).toMatchObject({ status: "signed-in", userId: "bob" });
    expect([mark(), world.server.asked("/auth/logout-all")]).toEqual(["in", 0]);
  });

  test("that refuses to end the others is asked again, and the caller told", async () => {
    const auth = world.tab();
    await pass(0);
    world.server.next("/auth/logout-all", () => refusal(401, "invalid_token"));
    const failed = failure(auth.logout({ everywhere: true }));
    await pass(0);
    expect(await failed).toMatchObject({ code: "invalid_token", status: 401 });
    expect(mark()).toBe("leaving-everywhere session-of-ann");
    world.page.event("online");
    await pass(0);
    expect([mark(), world.server.user]).toEqual(["out", undefined]);
  });
});

test("a refresh that was under way brings nobody back", async () => {
  const auth = world.tab();
  await pass(0);
  let answer = () => {};
  world.server.next("/auth/refresh", () => new Promise((resolve) => (answer = () => resolve(undefined))));
  const refreshing = auth.refresh();
  await pass(0);
  const going = auth.logout();
  answer();
  await pass(0);
  expect(await refreshing).toMatchObject({ status: "signed-out" });
  await going;
  expect(world.server.log).toEqual(["POST /auth/refresh", "POST /auth/refresh", "POST /auth/logout"]);
  expect(mark()).toBe("out");
});

test("a listener may sign out whoever signs in: the server is told", async () => {
  world.server.user = undefined;
  const auth = world.tab({ restore: false });
  let going: Promise<void> | undefined;
  auth.subscribe(({ userId }) => {
    if (userId) going = auth.logout();
  });
  const signedIn = auth.login({ username: "ann", password: "right" });
  await pass(0);
  await signedIn;
  await going;
  expect([auth.session().status, mark(), world.server.user]).toEqual(["signed-out", "out", undefined]);
});

test("a page that comes back from the back-forward cache asks whether its user is still signed in", async () => {
  const auth = world.tab();
  await pass(0);
  world.server.user = undefined; // the session was ended by another device
  world.page.show(false);
  world.page.event("pageshow", { persisted: true });
  await pass(0);
  expect(auth.session()).toMatchObject({ status: "signed-out", reason: "ended" });
  expect(world.server.asked("/auth/refresh")).toBe(2);
  world.page.event("pageshow", { persisted: true }); // nobody who could be
  await pass(0);
  expect(world.server.asked("/auth/refresh")).toBe(2);
});

test("a page that was frozen meanwhile sees it when it wakes", async () => {
  const auth = world.tab();
  await pass(0);
  world.page.stored.set(KEY, "out"); // as another tab has written
  world.page.event("pageshow");
  expect(auth.session()).toMatchObject({ status: "signed-out", reason: "logout" });
});

test("a page that was frozen while somebody signed in sees that, too", async () => {
  world.page.stored.set(KEY, "out");
  const auth = world.tab();
  world.page.stored.set(KEY, "in");
  world.page.event("pageshow");
  await pass(0);
  expect(auth.session().status).toBe("signed-in");
});
