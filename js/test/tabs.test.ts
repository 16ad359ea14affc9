/** Several tabs: one refresh, one sign-out, over real locks and real channels. */

import { type Auth, type AuthOptions, createAuth } from "keyturn";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { openPage, type Page } from "./browser.ts";
import { Server } from "./server.ts";

let page: Page;
let server: Server;
const open: Auth[] = [];

const tab = (options: AuthOptions = {}): Auth => {
  const auth = createAuth({ fetch: server.fetch, ...options });
  open.push(auth);
  return auth;
};
const status = (status: string) => () =>
  expect(open.map((each) => each.session().status)).toEqual(open.map(() => status));

beforeEach(() => {
  page = openPage();
  server = new Server("ann");
});
afterEach(() => {
  for (const each of open.splice(0)) each.close();
  vi.unstubAllGlobals();
});

describe("refresh", () => {
  test("six tabs that open at the same moment make one request", async () => {
    for (let each = 0; each < 6; each++) tab();
    await vi.waitFor(status("signed-in"));
    expect(server.asked("/auth/refresh")).toBe(1);
    expect(new Set(await Promise.all(open.map((each) => each.token()))).size).toBe(1);
  });

  test("a new tab gets the token of an old one, without a request", async () => {
    const old = tab();
    await vi.waitFor(status("signed-in"));
    const fresh = tab();
    expect(await fresh.token()).toBe(await old.token());
    expect(server.asked("/auth/refresh")).toBe(1);
  });

  test("refresh() of six tabs at once is one request", async () => {
    for (let each = 0; each < 6; each++) tab();
    await vi.waitFor(status("signed-in"));
    const sessions = await Promise.all(open.map((each) => each.refresh()));
    expect(server.asked("/auth/refresh")).toBe(2);
    expect(new Set(sessions.map((each) => each.expiresAt)).size).toBe(1);
  });

  test("logout in one tab ends the others at once, also while the server is slow", async () => {
    for (let each = 0; each < 6; each++) tab();
    await vi.waitFor(status("signed-in"));
    server.next("/auth/logout", () => new Promise((resolve) => setTimeout(resolve, 300)));
    const going = open[0]?.logout();
    await vi.waitFor(status("signed-out"), { timeout: 200 });
    await going;
    expect(server.user).toBeUndefined();
    expect([...page.stored.values()]).toEqual(["out"]);
  });
});
