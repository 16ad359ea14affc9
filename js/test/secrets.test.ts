/** Where the access token is not, and where the client is not what it is in a page. */

import { execFileSync } from "node:child_process";
import { AuthError, createAuth } from "keyturn";
import { afterEach, describe, expect, test, vi } from "vitest";
import { refusal } from "./server.ts";
import { failure, openWorld, type World } from "./world.ts";

let world: World | undefined;
afterEach(() => {
  world?.close();
  world = undefined;
  vi.restoreAllMocks();
});

test("the token is in memory alone: in nothing that is kept, shown, thrown or printed", async () => {
  world = openWorld("ann", { channels: false });
  const printed = (["log", "info", "warn", "error", "debug"] as const).map((each) => vi.spyOn(console, each));
  const auth = world.tab();
  const token = await auth.token();
  world.server.next("/auth/refresh", () => refusal(403, "csrf_failed"));
  const error = (await failure(auth.refresh())) as AuthError;
  await auth.fetch("/api");
  const shown = [
    JSON.stringify([...world.page.stored]),
    JSON.stringify(auth.session()),
    JSON.stringify(auth),
    `${error} ${error.stack} ${JSON.stringify(error)}`,
    ...world.server.requests.map((each) => each.url),
  ].join("\n");
  for (const part of token.split(".")) expect(shown).not.toContain(part);
  expect(printed.flatMap((each) => each.mock.calls)).toEqual([]);
});

test("one word is kept", async () => {
  world = openWorld("ann");
  await world.tab().token();
  await world.tabs[0]?.logout();
  expect([...world.page.stored]).toEqual([["keyturn:https://app.test/auth", "out"]]);
});

describe("on a server that renders pages", () => {
  test("nothing happens when it is imported or made, and it does not keep the process alive", () => {
    const script = `
      const before = Object.getOwnPropertyNames(globalThis).length;
      const { createAuth, PENDING } = await import("keyturn");
      const auth = createAuth({ url: "/auth", fetch: () => { throw new Error("asked"); } });
      if (auth.session() !== PENDING) throw new Error("known already");
      auth.subscribe(() => {});
      if (Object.getOwnPropertyNames(globalThis).length !== before) throw new Error("left something behind");
    `;
    const cwd = new URL(".", import.meta.url).pathname;
    execFileSync(process.execPath, ["--input-type=module", "--eval", script], { cwd, timeout: 20_000 });
  });

  test("two clients share nothing: they are two users'", async () => {
    const { Server } = await import("./server.ts");
    const [ann, bob] = [new Server("ann"), new Server("bob")];
    const one = createAuth({ url: "https://app.test/auth", fetch: ann.fetch });
    const two = createAuth({ url: "https://app.test/auth", fetch: bob.fetch });
    await Promise.all([one.token(), two.token()]);
    await one.refresh();
    expect([one.session().userId, two.session().userId]).toEqual(["ann", "bob"]);
    await one.logout();
    expect(two.session().status).toBe("signed-in");
  });

  test("a relative URL is an error of the request, not of the import", async () => {
    const auth = createAuth();
    const error = await failure(auth.login({ username: "ann", password: "right" }));
    expect(error).toBeInstanceOf(AuthError);
    expect(error).toMatchObject({ code: "network" });
  });
});
