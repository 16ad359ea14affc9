/** `auth.fetch`: who gets the token, what is sent twice, and what a 401 means. */

import { AuthError } from "keyturn";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PAGE } from "./browser.ts";
import { refusal, tokenOf } from "./server.ts";
import { failure, openWorld, type World } from "./world.ts";

let world: World;
beforeEach(() => {
  world = openWorld("ann", { channels: false }); // so that nobody waits for other tabs
});
afterEach(() => world.close());

const lastHeader = (name: string) => world.server.requests.at(-1)?.headers.get(name);

describe("the token goes", () => {
  test.each([
    "/open",
    "open",
    new URL("/open", PAGE),
    `${PAGE}open`,
    "https://auth.test/open",
    "https://api.test/open",
    "https://API.test:443/open",
  ])("to %s", async (target) => {
    const auth = world.tab({ url: "https://auth.test/auth", origins: ["https://api.test"] });
    const token = await auth.token();
    expect(await (await auth.fetch(target)).json()).toMatchObject({ token });
  });

  test.each([
    "http://app.test/open",
    "https://app.test.evil.test/open",
    "https://sub.api.test/open",
    "https://api.test:8443/open",
    "https://evil.test/open?https://api.test",
    "//evil.test/open",
  ])("not to %s, which is asked as it is", async (target) => {
    const auth = world.tab({ origins: ["https://api.test"] });
    await auth.token();
    await auth.fetch(target);
    expect(lastHeader("Authorization")).toBeNull();
  });

  test("nowhere but to the auth server where the page has no origin of its own", async () => {
    vi.stubGlobal("location", new URL("data:text/html,x"));
    const auth = world.tab({ url: "https://auth.test/auth" });
    await auth.token();
    await auth.fetch(new Request("blob:null/open")).catch(() => undefined);
    expect(lastHeader("Authorization")).toBeNull();
  });

  test.each(["*", "api.test", "https://", "null", "api.test:8443", ""])("to no origin called %j", (origin) => {
    expect(() => world.tab({ origins: [origin] })).toThrow(TypeError);
  });

  test("not in the place of what the caller sends", async () => {
    const auth = world.tab();
    await auth.token();
    await auth.fetch("/open", { headers: { authorization: "Basic eDp5" } });
    expect(lastHeader("Authorization")).toBe("Basic eDp5");
    await auth.fetch(new Request("/open", { headers: { Authorization: "Basic eDp6" } }));
    expect(lastHeader("Authorization")).toBe("Basic eDp6");
  });

  test("bare in a header of another name, and not along a redirect", async () => {
    const auth = world.tab({ accessHeader: "jwt" });
    const token = await auth.token();
    expect(await (await auth.fetch("/api")).json()).toMatchObject({ token });
    expect([lastHeader("jwt"), lastHeader("Authorization")]).toEqual([token, null]);
    expect(world.server.requests.at(-1)?.redirect).toBe("error");
  });

  test("along as Authorization, which browsers take away themselves", async () => {
    await world.tab().fetch("/api");
    expect(world.server.requests.at(-1)?.redirect).toBe("follow");
  });
});

describe("a 401", () => {
  const stream = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("hel"));
        controller.enqueue(new TextEncoder().encode("lo"));
        controller.close();
      },
    });
  const form = new FormData();
  form.set("field", "hello");

  test.each<[string, () => BodyInit, string]>([
    ["text", () => "hello", "hello"],
    ["bytes", () => new TextEncoder().encode("hello"), "hello"],
    ["a blob", () => new Blob(["hello"]), "hello"],
    ["parameters", () => new URLSearchParams({ field: "hello" }), "field=hello"],
    ["a form", () => form, "hello"],
    ["a stream", stream, "hello"],
  ])("is tried once more with %s as the body", async (_, body, text) => {
    const auth = world.tab();
    const old = await auth.token();
    world.server.revoke();
    const init: RequestInit & { duplex: "half" } = { method: "POST", body: body(), duplex: "half" };
    const answer = await auth.fetch("/api", init);
    const received = await answer.json();
    expect(answer.status).toBe(200);
    expect(received.body).toContain(text);
    expect(received.token).not.toBe(old);
    expect(world.server.log.filter((line) => line === "POST /api")).toHaveLength(2);
  });

  test("takes a Request as well, and leaves its own body to its caller's rules", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.revoke();
    const request = new Request("/api", { method: "PUT", body: "hello", headers: { "X-Own": "1" } });
    expect(await (await auth.fetch(request)).json()).toMatchObject({ body: "hello" });
    expect(lastHeader("X-Own")).toBe("1");
  });

  test("is the answer where the fresh token is refused too", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.next(
      "/api",
      () => refusal(401, "a"),
      () => refusal(401, "b"),
      () => refusal(401, "c"),
    );
    expect(await (await auth.fetch("/api")).json()).toMatchObject({ error: "b" });
    expect(world.server.asked("/auth/refresh")).toBe(2);
    expect(auth.session().status).toBe("signed-in");
  });

  test("of an API that refuses every token does not cost a refresh each", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.next("/api", ...Array(50).fill(() => refusal(401, "a")));
    for (let each = 0; each < 20; each++) await auth.fetch("/api");
    expect([world.server.asked("/auth/refresh"), world.server.asked("/api")]).toEqual([2, 21]);
    const later = performance.now() + 10_001;
    vi.spyOn(performance, "now").mockReturnValue(later);
    await auth.fetch("/api");
    expect(world.server.asked("/auth/refresh")).toBe(3);
    vi.restoreAllMocks();
  });

  test("has its body cancelled before the request is sent again", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.revoke();
    const steps: string[] = [];
    const cancel = async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      steps.push("cancelled");
    };
    world.server.next(
      "/api",
      () => new Response(new ReadableStream({ cancel }), { status: 401 }),
      () => void steps.push("sent"),
    );
    expect((await auth.fetch("/api", { method: "POST", body: "x", keepalive: true })).status).toBe(200);
    expect(steps).toEqual(["cancelled", "sent"]);
  });

  test("that asks for a step-up is the caller's", async () => {
    const auth = world.tab();
    const token = await auth.token();
    const challenge = 'Bearer error="insufficient_user_authentication", max_age="300"';
    world.server.next("/api", () =>
      refusal(401, "insufficient_user_authentication", { "WWW-Authenticate": challenge }),
    );
    expect((await auth.fetch("/api")).status).toBe(401);
    expect(world.server.log).toEqual(["POST /auth/refresh", "GET /api"]);
    await auth.stepUp({ username: "ann", password: "right" });
    expect(lastHeader("Authorization")).toBe(`Bearer ${token}`);
    expect((await auth.fetch("/api")).status).toBe(200);
    expect(await auth.token()).not.toBe(token);
  });

  test("is tried with the token that is there already, where there is another one", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.next("/api", async () => {
      await auth.refresh();
      return refusal(401, "invalid_token");
    });
    expect((await auth.fetch("/api")).status).toBe(200);
    expect(world.server.asked("/auth/refresh")).toBe(2);
  });

  test("of many requests is one refresh", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.revoke();
    const answers = await Promise.all(Array.from({ length: 8 }, () => auth.fetch("/api")));
    expect(answers.map((each) => each.status)).toEqual(answers.map(() => 200));
    expect(world.server.asked("/auth/refresh")).toBe(2);
  });

  test("is the answer where the session is over", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.revoke();
    world.server.user = undefined;
    expect((await auth.fetch("/api")).status).toBe(401);
    expect(auth.session()).toMatchObject({ status: "signed-out", reason: "ended" });
    expect((await auth.fetch("/api")).status).toBe(401);
    expect(world.server.asked("/auth/refresh")).toBe(2);
  });

  test("is no sign-out where it cannot be known, but an error", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.revoke();
    world.server.next("/auth/refresh", () => refusal(503, "temporarily_unavailable", { "Retry-After": "100" }));
    const error = await failure(auth.fetch("/api"));
    expect(error).toBeInstanceOf(AuthError);
    expect(error).toMatchObject({ code: "temporarily_unavailable", status: 503, retryAfter: 100 });
    expect(auth.session().status).toBe("signed-in");
  });
});

describe("otherwise", () => {
  test("nobody who is signed out is asked to wait: the request goes without a token", async () => {
    world.server.user = undefined;
    const auth = world.tab();
    expect(await (await auth.fetch("/open")).json()).toMatchObject({ token: null });
    expect((await auth.fetch("/api")).status).toBe(401);
    expect(world.server.asked("/auth/refresh")).toBe(1);
  });

  test("a token that has ended is refreshed before it is sent", async () => {
    const auth = world.tab();
    await auth.token();
    const later = Date.now() + 8 * 3600 * 1000; // as after a night's sleep
    vi.spyOn(Date, "now").mockReturnValue(later);
    expect((await auth.fetch("/api")).status).toBe(200);
    expect(world.server.log).toEqual(["POST /auth/refresh", "POST /auth/refresh", "GET /api"]);
    vi.restoreAllMocks();
  });

  test("an abort ends the caller's wait, and nothing else", async () => {
    let answer = () => {};
    world.server.next("/auth/refresh", () => new Promise((resolve) => (answer = () => resolve(undefined))));
    const auth = world.tab();
    const controller = new AbortController();
    const aborted = failure(auth.fetch("/api", { signal: controller.signal }));
    const other = auth.fetch("/api");
    await vi.waitFor(() => expect(world.server.asked("/auth/refresh")).toBe(1));
    controller.abort(new Error("enough"));
    expect(await aborted).toEqual(new Error("enough"));
    answer();
    expect((await other).status).toBe(200);
    expect(world.server.log).toEqual(["POST /auth/refresh", "GET /api"]);
    expect(await failure(auth.fetch("/api", { signal: AbortSignal.abort() }))).toMatchObject({ name: "AbortError" });
  });

  test("a token that comes renewed with an answer is taken over, and shared", async () => {
    world.close();
    world = openWorld("ann");
    const [auth, other] = [world.tab(), world.tab()];
    const old = await auth.token();
    await other.token();
    const iat = 1000; // by a clock that is far off
    const fresh = tokenOf({ sub: "ann", iat, exp: iat + 600, role: "new" });
    world.server.next("/api", () => Response.json({}, { headers: { "Authorization-Refreshed": fresh } }));
    const before = Date.now();
    await auth.fetch("/api");
    expect(await auth.token()).toBe(fresh);
    expect(auth.session().expiresAt).toBeGreaterThanOrEqual(before + 600_000);
    expect(auth.session().expiresAt).toBeLessThanOrEqual(Date.now() + 600_000);
    await vi.waitFor(async () => expect(await other.token()).toBe(fresh));
    expect(fresh).not.toBe(old);
  });

  test("a token that comes renewed from where a redirect has led is not taken", async () => {
    const auth = world.tab();
    const old = await auth.token();
    const fresh = tokenOf({ sub: "eve", iat: 1, exp: 1000 });
    for (const url of ["https://evil.test/open", ""]) {
      world.server.next("/api", () => {
        const answer = Response.json({}, { headers: { "Authorization-Refreshed": fresh } });
        return Object.defineProperties(answer, { url: { value: url }, redirected: { value: true } });
      });
      await auth.fetch("/api");
      expect(await auth.token()).toBe(old);
    }
  });

  test("a renewed token is not taken in the place of a newer one", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.next("/api", async () => {
      await auth.refresh();
      const fresh = tokenOf({ sub: "ann", iat: 1, exp: 1000 });
      return Response.json({}, { headers: { "Authorization-Refreshed": fresh } });
    });
    await auth.fetch("/api");
    expect((await (await auth.fetch("/api")).json()).token).toBe(await auth.token());
  });

  test("a token in its last seconds is used where no newer one can be had, and one that has ended is not", async () => {
    const auth = world.tab();
    const token = await auth.token();
    const { expiresAt } = auth.session();
    const clock = vi.spyOn(Date, "now").mockReturnValue(Number(expiresAt) - 2000);
    const down = () => refusal(503, "temporarily_unavailable", { "Retry-After": "100" });
    world.server.next("/auth/refresh", down, down);
    expect(await (await auth.fetch("/api")).json()).toMatchObject({ token });
    expect(world.server.asked("/auth/refresh")).toBe(2);
    clock.mockReturnValue(Number(expiresAt));
    expect(await failure(auth.fetch("/api"))).toMatchObject({ status: 503 });
    vi.restoreAllMocks();
  });

  test("a token that lives for seconds only is used for most of them", async () => {
    world.server.ttl = 4;
    const auth = world.tab();
    const token = await auth.token();
    expect(await auth.token()).toBe(token);
    expect(world.server.asked("/auth/refresh")).toBe(1);
  });

  test("an abort ends the wait for the refresh after a 401, too", async () => {
    const auth = world.tab();
    await auth.token();
    world.server.revoke();
    let answer = () => {};
    world.server.next("/auth/refresh", () => new Promise((resolve) => (answer = () => resolve(undefined))));
    const controller = new AbortController();
    const aborted = failure(auth.fetch("/api", { signal: controller.signal }));
    await vi.waitFor(() => expect(world.server.asked("/auth/refresh")).toBe(2));
    controller.abort(new Error("enough"));
    expect(await aborted).toEqual(new Error("enough"));
    answer();
    await auth.refresh(); // the one that is under way
  });

  test("a renewed token is not taken in the place of who has signed in or out meanwhile", async () => {
    for (const change of ["login", "stepUp", "logout"] as const) {
      world.close();
      world = openWorld("ann");
      const [one, two] = [world.tab(), world.tab()];
      await one.token();
      await two.token();
      let answer = () => {};
      const fresh = tokenOf({ sub: "ann", iat: 1, exp: 1000 });
      world.server.next("/api", async () => {
        await new Promise<void>((resolve) => (answer = resolve));
        return Response.json({}, { headers: { "Authorization-Refreshed": fresh } });
      });
      let end = () => {};
      const held = new Promise<undefined>((resolve) => (end = () => resolve(undefined)));
      world.server.next({ login: "/auth/login", stepUp: "/auth/step-up", logout: "/auth/logout" }[change], () => held);
      const asking = two.fetch("/api");
      await vi.waitFor(() => expect(world.server.asked("/api")).toBe(1));
      const user = change === "login" ? "bob" : "ann";
      const changing = change === "logout" ? one.logout() : one[change]({ username: user, password: "right" });
      await new Promise((resolve) => setTimeout(resolve, 20)); // so that the clock has gone on
      answer();
      await asking;
      end();
      await changing;
      const status = change === "logout" ? "signed-out" : "signed-in";
      await vi.waitFor(() => expect(world.states()).toEqual([status, status]));
      if (change === "logout") continue;
      await vi.waitFor(async () => expect(await two.token()).toBe(await one.token()));
      expect(one.session().userId).toBe(user);
      expect(await one.token()).not.toBe(fresh);
    }
  });

  test("nothing that one user has asked for is done as another", async () => {
    world.close();
    world = openWorld("ann");
    const [one, two] = [world.tab(), world.tab()];
    await one.token();
    await two.token();
    const later = Date.now() + 3_600_000;
    vi.spyOn(Date, "now").mockReturnValue(later); // so that a token is needed
    const signingIn = one.login({ username: "bob", password: "right" });
    const error = await failure(two.fetch("/api", { method: "POST", body: "ann's" }));
    expect(error).toMatchObject({ code: "user_changed", status: 0 });
    await signingIn;
    vi.restoreAllMocks();
    expect(world.server.asked("/api")).toBe(0);
    world.server.next("/api", async () => {
      await one.login({ username: "ann", password: "right" });
      await vi.waitFor(() => expect(two.session().userId).toBe("ann"));
      return refusal(401, "invalid_token");
    });
    await vi.waitFor(() => expect(two.session().userId).toBe("bob"));
    expect((await two.fetch("/api", { method: "POST", body: "bob's" })).status).toBe(401);
    expect(world.server.asked("/api")).toBe(1); // and not once more, as Ann
  });

  test.each(["garbage", tokenOf({ sub: "ann" }), tokenOf({ sub: "ann", iat: 5, exp: 5 }), tokenOf({ iat: 1, exp: 9 })])(
    "a renewed token that is none is not taken: %s",
    async (fresh) => {
      const auth = world.tab();
      const old = await auth.token();
      world.server.next("/api", () => Response.json({}, { headers: { "Authorization-Refreshed": fresh } }));
      expect((await auth.fetch("/api")).status).toBe(200);
      expect(await auth.token()).toBe(old);
    },
  );

  test("a renewed token from somebody who got none is not looked at", async () => {
    const auth = world.tab();
    const old = await auth.token();
    const fresh = tokenOf({ sub: "eve", iat: 1, exp: 1000 });
    world.server.next("/open", () => Response.json({}, { headers: { "Authorization-Refreshed": fresh } }));
    await auth.fetch("https://evil.test/open");
    expect(await auth.token()).toBe(old);
  });
});
