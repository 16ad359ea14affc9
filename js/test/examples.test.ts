// @vitest-environment happy-dom
/** The examples of the guides, in a page: what is read there is what runs here. */

import { act, createElement } from "react";
import { createRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createApp, defineComponent, h, nextTick } from "vue";
import { refusal, Server } from "./server.ts";

const server = new Server();
vi.stubGlobal("fetch", server.fetch);
vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
const { auth } = await import("./examples/auth.ts");
const react = await import("./examples/use-session.ts");
const vue = await import("./examples/session.ts");

const signIn = () => auth.login({ username: "ann", password: "right" });

beforeAll(() => vi.waitFor(() => expect(auth.session().status).toBe("signed-out")));
beforeEach(async () => {
  if (auth.session().status === "signed-in") await auth.logout();
});
afterAll(() => {
  auth.close();
  vi.unstubAllGlobals();
});

const Name = () => createElement("p", null, react.useSession().status);

test("the React hook shows the session, and each change", async () => {
  const place = document.createElement("div");
  const root = createRoot(place);
  await act(async () => root.render(createElement(Name)));
  expect(place.textContent).toBe("signed-out");
  await act(signIn);
  expect(place.textContent).toBe("signed-in");
  expect(renderToString(createElement(Name))).toBe("<p>pending</p>");
  await act(async () => root.unmount());
});

test("the Vue composable shows the session, and each change until its component goes", async () => {
  const Name = defineComponent(() => {
    const session = vue.useSession();
    return () => h("p", session.value.status);
  });
  const place = document.createElement("div");
  const app = createApp(Name);
  app.mount(place);
  expect(place.textContent).toBe("signed-out");
  await signIn();
  await nextTick();
  expect(place.textContent).toBe("signed-in");
  app.unmount();
});

test("the sign-in says what to tell the user", async () => {
  const { signIn } = await import("./examples/sign-in.ts");
  expect(await signIn("ann", "wrong")).toContain("is wrong");
  server.next("/auth/login", () => refusal(429, "slow_down", { "Retry-After": "30" }));
  expect(await signIn("ann", "right")).toContain("30 seconds");
  server.next("/auth/login", () => refusal(503, "temporarily_unavailable"));
  expect(await signIn("ann", "right")).toContain("not possible right now");
  expect(await signIn("ann", "right")).toBeUndefined();
});

test("the step-up asks for the password where the server wants a recent sign-in, and there only", async () => {
  const { deleteAccount } = await import("./examples/delete-account.ts");
  await signIn();
  const ask = vi.fn(async () => "");
  expect((await deleteAccount(ask)).status).toBe(200);
  expect(ask).not.toHaveBeenCalled();
  expect(auth.session().status).toBe("signed-out");
  await signIn();
  const header = { "WWW-Authenticate": 'Bearer error="insufficient_user_authentication"' };
  const stale = () => refusal(401, "insufficient_user_authentication", header);
  server.next("/account", stale);
  expect((await deleteAccount(ask)).status).toBe(401);
  expect(ask).toHaveBeenCalledOnce();
  expect(server.log.at(-1)).toBe("DELETE /account");
  expect(auth.session().status).toBe("signed-in");
  ask.mockResolvedValue("right");
  server.next("/account", stale);
  expect((await deleteAccount(ask)).status).toBe(200);
  const ended = ["DELETE /account", "POST /auth/step-up", "DELETE /account", "POST /auth/logout"];
  expect(server.log.slice(-4)).toEqual(ended);
});

test("the menu is by role, and shorter for who is not signed in", async () => {
  const { menu } = await import("./examples/menu.ts");
  expect(menu()).toEqual(["Orders"]);
  server.next("/auth/login", () => {
    server.user = "ann";
    return server.grant({ roles: ["admin"] });
  });
  await signIn();
  expect(menu()).toEqual(["Orders", "Everything"]);
});

test("the socket offers the token as a subprotocol", async () => {
  const { openSocket } = await import("./examples/socket.ts");
  const opened = vi.fn();
  vi.stubGlobal(
    "WebSocket",
    class {
      constructor(...given: unknown[]) {
        opened(...given);
      }
    },
  );
  await signIn();
  await openSocket("wss://app.test/feed");
  const token = await auth.token();
  expect(opened).toHaveBeenCalledWith("wss://app.test/feed", ["keyturn", `keyturn.bearer.${token}`]);
});
