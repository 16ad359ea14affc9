/** The example of a server that renders pages, on a server: what is read in the guide is what runs here. */

import { afterAll, expect, test, vi } from "vitest";
import { refreshFor } from "./examples/render.ts";
import { refusal, Server } from "./server.ts";

const server = new Server();
vi.stubGlobal("fetch", server.fetch);
afterAll(() => vi.unstubAllGlobals());

const page = new Request("https://app.test/", { headers: { "User-Agent": "Firefox", Cookie: "keyturn=old" } });

test("it asks as the browser, and passes each cookie on", async () => {
  const cookies = ["keyturn=new; Path=/; HttpOnly", "other=1"];
  server.next("/auth/refresh", () => {
    const headers = new Headers(cookies.map((each): [string, string] => ["Set-Cookie", each]));
    return Response.json({ access_token: "t" }, { headers });
  });
  const { token, headers } = await refreshFor(page, "192.0.2.7");
  expect([token, headers.getSetCookie()]).toEqual(["t", cookies]);
  expect(headers.get("Cache-Control")).toBe("private, no-store");
  const [asked] = server.requests;
  expect(["User-Agent", "Cookie", "X-Forwarded-For"].map((name) => asked?.headers.get(name))).toEqual([
    "Firefox",
    "keyturn=old",
    "192.0.2.7",
  ]);
});

test("nobody is signed in, or it is not known: two things", async () => {
  server.next("/auth/refresh", () => refusal(401, "invalid_grant", { "Set-Cookie": "keyturn=; Max-Age=0" }));
  const { token, headers } = await refreshFor(page, "192.0.2.7");
  expect([token, headers.getSetCookie()]).toEqual([undefined, ["keyturn=; Max-Age=0"]]);
  server.next("/auth/refresh", () => refusal(503, "temporarily_unavailable"));
  await expect(refreshFor(page, "192.0.2.7")).rejects.toThrow("503");
});
