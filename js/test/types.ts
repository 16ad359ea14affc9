/** What the compiler must know of the public types, and what it must refuse. It is checked, and never run. */

import { type Auth, AuthError, createAuth, type Lock, PENDING, type Session, type SignedIn } from "keyturn";
import { expectTypeOf } from "vitest";

interface Roles {
  roles: string[];
}

const auth = createAuth<Roles>({ url: "/auth", origins: ["https://api.example.com"] as const });
expectTypeOf(auth).toEqualTypeOf<Auth<Roles>>();
expectTypeOf(auth.login({ username: "ann", password: "…" })).resolves.toEqualTypeOf<SignedIn<Roles>>();
expectTypeOf(auth.refresh()).resolves.toEqualTypeOf<Session<Roles>>();
expectTypeOf(auth.token()).resolves.toBeString();
expectTypeOf(auth.logout({ everywhere: true })).resolves.toBeVoid();
expectTypeOf(auth.fetch).toExtend<typeof fetch>();

const session = auth.session();
if (session.status === "signed-in") {
  expectTypeOf(session.claims).toEqualTypeOf<Roles>();
  expectTypeOf(session.userId).toBeString();
  // @ts-expect-error - a snapshot is frozen
  session.userId = "bob";
} else {
  expectTypeOf(session.claims).toBeNull();
  expectTypeOf(session.reason).toEqualTypeOf<"logout" | "ended" | undefined>();
}
expectTypeOf(createAuth().session().claims).toEqualTypeOf<Record<string, unknown> | null>();
expectTypeOf(PENDING).toExtend<Session<Roles>>();

const stop = auth.subscribe((each) => expectTypeOf(each).toEqualTypeOf<Session<Roles>>());
expectTypeOf(stop).returns.toBeVoid();

const error = new AuthError("network");
expectTypeOf(error.code).toBeString();
expectTypeOf(error.retryAfter).toEqualTypeOf<number | undefined>();

const lock: Lock = (_, work) => work();
createAuth({ lock, fetch: globalThis.fetch, onError: (each) => expectTypeOf(each).toBeUnknown() });

// @ts-expect-error - there is no such option
createAuth({ storage: "local" });
// @ts-expect-error - a password is needed
auth.login({ username: "ann" });
// @ts-expect-error - no claims without a check of the status
auth.session().claims.roles;
