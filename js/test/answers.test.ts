/** What the auth server is sent, and what each of its answers changes. */

import { AuthError, createAuth } from "keyturn";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PAGE } from "./browser.ts";
import { json, type Plan, refusal } from "./server.ts";
import { failure, openWorld, pass, stopClock, type World } from "./world.ts";

const KEY = `keyturn:${PAGE}auth`;

let world: World;
beforeEach(() => {
  world = openWorld("ann", { channels: false }); // so that nobody waits for other tabs
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(() => {
  world.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const mark = () => world.page.stored.get(KEY);
const network = () => Promise.reject(new TypeError("Failed to fetch"));

describe("the request", () => {
  test("of a refresh carries the cookie, no body, and what other sites' pages cannot send", async () => {
    await world.tab().token();
    const [request] = world.server.requests;
    expect(request).toMatchObject({
      method: "POST",
      url: `${PAGE}auth/refresh`,
      credentials: "include",
      cache: "no-store",
      redirect: "error",
      keepalive: true,
      body: null,
    });
    expect([...(request?.headers ?? [])]).toEqual([["x-keyturn", "1"]]);
  });

  test("of a sign-in carries the user name and the password, and nothing else that was given", async () => {
    const auth = world.tab({ restore: false, url: "https://auth.test/base/auth/" });
    let body: unknown;
    world.server.next("/base/auth/login", async (request) => {
      body = await request.json();
      return world.server.grant();
    });
    const given = { username: "bob", password: "right", remember: true };
    await auth.login(given);
    expect(body).toEqual({ username: "bob", password: "right" });
    const [request] = world.server.requests;
    expect(request?.url).toBe("https://auth.test/base/auth/login");
    expect(request?.headers.get("Content-Type")).toBe("application/json");
  });
});

describe("a sign-in", () => {
  test("gives the session, with the claims as people wrote them", async () => {
    const auth = world.tab<{ name: string }>({ restore: false });
    world.server.next("/auth/login", () => world.server.grant({ sub: "zoë", name: "Zoë 🦊 Łukasz" }));
    const session = await auth.login({ username: "zoë", password: "right" });
    expect(session).toMatchObject({ status: "signed-in", userId: "zoë", claims: { name: "Zoë 🦊 Łukasz" } });
    expect(auth.session()).toBe(session);
    expect(Object.isFrozen(session) && Object.isFrozen(session.claims)).toBe(true);
    expect(mark()).toBe("in");
  });

  test.each([
    [refusal(401, "invalid_credentials"), { code: "invalid_credentials", status: 401, retryAfter: undefined }],
    [refusal(429, "slow_down", { "Retry-After": "7" }), { code: "slow_down", status: 429, retryAfter: 7 }],
    [refusal(403, "csrf_failed"), { code: "csrf_failed", status: 403 }],
    [refusal(503, "temporarily_unavailable"), { code: "temporarily_unavailable", status: 503 }],
    [new Response("<html>", { status: 502 }), { code: "temporarily_unavailable", status: 502 }],
    [new Response("<html>"), { code: "invalid_response", status: 200 }],
    [json({ access_token: "x" }), { code: "invalid_response", status: 200 }],
    [json({ access_token: "x", expires_in: 60 }), { code: "invalid_response", status: 200 }],
    [json(null), { code: "invalid_response", status: 200 }],
    [json([]), { code: "invalid_response", status: 200 }],
  ])("that fails is told as an AuthError at once, and who was signed in still is: %#", async (answer, wanted) => {
    const auth = world.tab();
    const token = await auth.token();
    world.server.next("/auth/login", () => answer);
    const error = await failure(auth.login({ username: "ann", password: "secret" }));
    expect(error).toBeInstanceOf(AuthError);
    expect(error).toMatchObject(wanted);
    expect(await auth.token()).toBe(token);
    expect(world.server.asked("/auth/login")).toBe(1);
    expect(mark()).toBe("in");
  });
});

describe("a refresh", () => {
  test("that is refused signs out, and is tried again by the next page alone", async () => {
    world.server.user = undefined;
    const auth = world.tab();
    await vi.waitFor(() => expect(auth.session().status).toBe("signed-out"));
    expect(auth.session()).not.toHaveProperty("reason"); // nobody was signed in
    expect(mark()).toBe("out");
    const next = world.tab();
    expect(await failure(next.token())).toMatchObject({ code: "signed_out", status: 0 });
    expect(await failure(next.token())).toMatchObject({ code: "signed_out", status: 0 });
    expect(world.server.log).toHaveLength(2);
    world.server.user = "ann"; // by a redirect from elsewhere, for example
    expect(await next.refresh()).toMatchObject({ status: "signed-in" });
  });

  test("that is refused on the next visit says that the session has ended", async () => {
    world.page.stored.set(KEY, "in");
    world.server.user = undefined;
    expect(await world.tab().refresh()).toMatchObject({ status: "signed-out", reason: "ended" });
  });

  test("is refused by the auth server alone: another's 401 signs nobody out", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.next("/auth/refresh", () => new Response("Proxy says no", { status: 401 }));
    expect(await failure(auth.refresh())).toMatchObject({ code: "invalid_response", status: 401 });
    expect(auth.session().status).toBe("signed-in");
  });

  test.each<[string, Plan]>([
    ["503", () => refusal(503, "temporarily_unavailable", { "Retry-After": "1" })],
    ["429", () => refusal(429, "slow_down")],
    ["409", () => refusal(409, "refresh_conflict", { "Retry-After": "1" })],
    ["500", () => new Response(null, { status: 500 })],
    ["a network error", network],
  ])("that meets %s is tried three times, later and later", async (_, plan) => {
    stopClock(world);
    world.server.next("/auth/refresh", plan, plan);
    const auth = world.tab();
    const refreshing = auth.refresh();
    await pass(700);
    expect(world.server.log).toHaveLength(1);
    await pass(400);
    expect(world.server.log).toHaveLength(2);
    await pass(2000);
    expect(world.server.log).toHaveLength(3);
    expect(await refreshing).toMatchObject({ status: "signed-in" });
  });

  test("that fails three times is the caller's error, and nobody is signed out", async () => {
    stopClock(world);
    const auth = world.tab();
    await pass(0);
    world.server.next("/auth/refresh", network, network, network);
    const failed = failure(auth.refresh());
    await pass(10_000);
    expect(await failed).toMatchObject({ code: "network", status: 0 });
    expect(auth.session().status).toBe("signed-in");
    expect(await auth.token()).toBeTruthy();
  });

  test.each([
    ["6", 6000],
    [() => new Date(Date.now() + 6000).toUTCString(), 6000],
  ])("waits as long as it is told: %s", async (told, ms) => {
    stopClock(world);
    vi.setSystemTime(1_800_000_000_000);
    const wait = typeof told === "string" ? told : told();
    world.server.next("/auth/refresh", () => refusal(503, "x", { "Retry-After": wait }));
    const auth = world.tab();
    await pass(ms - 1);
    expect(world.server.log).toHaveLength(1);
    await pass(1);
    expect(auth.session().status).toBe("signed-in");
  });

  test.each(["invalid_token", "Unauthorized"])("is refused by the codes of a refresh alone, not %s", async (code) => {
    const auth = world.tab();
    await auth.token();
    world.server.next("/auth/refresh", () => refusal(401, code));
    expect(await failure(auth.refresh())).toMatchObject({ code, status: 401 });
    expect(auth.session().status).toBe("signed-in");
    world.server.next("/auth/refresh", () => refusal(401, "invalid_request")); // there was no cookie
    expect((await auth.refresh()).status).toBe("signed-out");
  });

  test.each([1, 3])("whose token has ended on its way is tried again, and is no sign-out: %d", async (times) => {
    stopClock(world);
    world.server.next(
      "/auth/refresh",
      ...Array<Plan>(times).fill(async () => {
        await new Promise((resolve) => setTimeout(resolve, 1200));
        const { access_token } = await world.server.grant().json();
        return json({ access_token, expires_in: 1 });
      }),
    );
    const auth = world.tab({ restore: false });
    await pass(0);
    const refreshing = auth.refresh().catch((error) => error);
    await pass(10_000);
    expect(await refreshing).toMatchObject(times === 1 ? { status: "signed-in" } : { code: "invalid_response" });
  });

  test.each([
    [429, "slow_down"],
    [503, "temporarily_unavailable"],
  ] as const)("is not asked for again before the server allows it, whoever asks: %d", async (status, code) => {
    stopClock(world);
    const told: unknown[] = [];
    const refused = () => refusal(status, code, { "Retry-After": "600" });
    world.page.stored.set(KEY, "in");
    world.server.next("/auth/refresh", refused);
    const auth = world.tab({ onError: (error) => told.push(error) });
    await pass(0);
    for (let each = 0; each < 10; each++) {
      world.page.event("focus");
      const failed = failure(auth.fetch("/api"));
      await pass(100);
      expect(await failed).toMatchObject({ code, status, retryAfter: 600 });
    }
    expect([world.server.asked("/auth/refresh"), told.length]).toEqual([1, 1]);
    world.page.event("online");
    await pass(0);
    expect(auth.session().status).toBe("signed-in");
  });

  test("that hangs gives the lock back in time", async () => {
    stopClock(world);
    world.server.next("/auth/refresh", () => new Promise(() => {}));
    const auth = world.tab();
    await pass(9999);
    expect(world.server.log).toHaveLength(1);
    await pass(2000);
    expect(auth.session().status).toBe("signed-in");
  });

  test("that is refused for its origin is an error for its developer, not a sign-out", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.next("/auth/refresh", () => refusal(403, "csrf_failed"));
    expect(await failure(auth.refresh())).toMatchObject({ code: "csrf_failed", status: 403 });
    expect(auth.session().status).toBe("signed-in");
    expect(world.server.asked("/auth/refresh")).toBe(2);
  });

  test("of many callers is one", async () => {
    const auth = world.tab();
    await Promise.all([auth.token(), auth.refresh(), auth.fetch("/api"), auth.refresh(), auth.token()]);
    expect(world.server.log).toEqual(["POST /auth/refresh", "GET /api"]);
  });

  test("of two clients in one page is one: two bundles, two mounts, a hot reload", async () => {
    world.close();
    world = openWorld("ann");
    const [one, two] = [world.tab(), world.tab()];
    expect(await one.token()).toBe(await two.token());
    expect(world.server.log).toHaveLength(1);
  });
});

describe("by itself", () => {
  test("nothing is restored where that is not wanted", async () => {
    const auth = world.tab({ restore: false });
    expect(auth.session().status).toBe("signed-out");
    world.page.event("focus");
    expect(await failure(auth.token())).toMatchObject({ code: "signed_out" });
    expect(world.server.log).toEqual([]);
    await auth.refresh();
    expect(auth.session().status).toBe("signed-in");
  });

  test("a page is restored though its server is away at first", async () => {
    stopClock(world);
    const told: unknown[] = [];
    world.server.next("/auth/refresh", network, network, network);
    const auth = world.tab({ onError: (error) => told.push(error) });
    await pass(0);
    expect(auth.session().status).toBe("pending");
    await pass(6000);
    expect(told).toEqual([expect.objectContaining({ code: "network" })]);
    expect(auth.session().status).toBe("signed-in");
  });

  test("after close() nothing happens", async () => {
    stopClock(world);
    const auth = world.tab();
    await pass(0);
    const listener = vi.fn();
    auth.subscribe(listener);
    auth.close();
    await pass(3_600_000);
    world.page.event("online");
    world.page.show(true);
    await pass(0);
    expect(world.server.log).toHaveLength(1);
    expect(listener).not.toHaveBeenCalled();
  });
});

describe("listeners", () => {
  test("hear each change once, with a snapshot that stays the same until the next", async () => {
    const auth = world.tab();
    const seen: unknown[] = [];
    const stop = auth.subscribe((session) => {
      seen.push(session);
      expect(auth.session()).toBe(session);
    });
    expect(auth.session()).toBe(auth.session());
    await auth.token();
    expect(seen).toEqual([auth.session()]);
    stop();
    await auth.refresh();
    expect(seen).toHaveLength(1);
  });

  test("may throw: the others are told, and so is whoever asked to be", async () => {
    const onError = vi.fn();
    const auth = world.tab({ onError });
    const mistake = new Error("mine");
    auth.subscribe(() => {
      throw mistake;
    });
    const other = vi.fn();
    auth.subscribe(other);
    await auth.token();
    expect(other).toHaveBeenCalledOnce();
    expect(onError).toHaveBeenCalledExactlyOnceWith(mistake);
  });

  test("may throw though nobody wants to hear of it, and so may who is told: the sign-in stands", async () => {
    const uncaught: unknown[] = [];
    const hear = (error: unknown) => uncaught.push(error);
    process.on("uncaughtException", hear);
    const mistake = new Error("mine");
    const onError = (error: unknown) => {
      throw error;
    };
    for (const auth of [world.tab({ restore: false }), world.tab({ restore: false, onError })]) {
      auth.subscribe(() => {
        throw mistake;
      });
      expect((await auth.login({ username: "ann", password: "right" })).status).toBe("signed-in");
    }
    await vi.waitFor(() => expect(uncaught).toEqual([mistake, mistake]));
    process.off("uncaughtException", hear);
  });

  test("may ask the client itself, also for what needs the lock", async () => {
    const auth = world.tab();
    const asked: Promise<unknown>[] = [];
    const stop = auth.subscribe(() => {
      stop();
      asked.push(auth.token(), auth.refresh(), auth.fetch("/api"));
    });
    await auth.token();
    await Promise.all(asked);
    expect(asked).toHaveLength(3);
  });
});

test("a function of the client needs no client before its dot", async () => {
  const { token, session, fetch } = createAuth({ fetch: world.server.fetch });
  await token();
  expect(session().userId).toBe("ann");
  expect((await fetch("/api")).status).toBe(200);
});
