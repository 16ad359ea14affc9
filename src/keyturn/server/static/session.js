// Signing in and out, and who is signed in: what both pages at "/" have. It keeps no token.

import { onceAtATime, onPress, show } from "./acting.js";
import { byId } from "./dom.js";
import { say } from "./texts.js";

const REGISTERED = new Set("iss sub aud exp nbf iat jti sid gen auth_time cnf".split(" ")); // RFC 7519, RFC 9068
const SHOWN = 12;

/** Keep the page in step with a client. */
export function followSession(auth) {
  let was = "pending";
  const follow = (session) => {
    const now = session.status;
    byId("signed-out").hidden = now !== "signed-out";
    byId("signed-in").hidden = now !== "signed-in";
    if (now === "signed-in") showUser(auth, session);
    else for (const id of ["user", "user-id", "claims", "token", "expires"]) byId(id).replaceChildren();
    if (now === "signed-out" && was === "signed-in") {
      if (session.reason === "ended") show("message", say("over"));
      byId("sign-in-title").focus({ preventScroll: true });
    }
    was = now;
  };
  auth.subscribe(follow);
  follow(auth.session());
  wire(auth);
}

async function showUser(auth, session) {
  const ends = new Date(session.expiresAt);
  const own = Object.entries(session.claims).filter(([name]) => !REGISTERED.has(name));
  byId("user").textContent = session.claims.name ?? "";
  byId("user-id").textContent = session.userId;
  byId("claims").textContent = JSON.stringify(Object.fromEntries(own));
  byId("expires").textContent = ends.toLocaleTimeString(document.documentElement.lang);
  byId("expires").dateTime = ends.toISOString();
  const token = await auth.token();
  if (auth.session().status === "signed-in") byId("token").textContent = `…${token.slice(-SHOWN)}`;
}

function wire(auth) {
  const form = byId("sign-in");
  const signIn = onceAtATime(async () => {
    const { username, password } = form.elements;
    await auth.login({ username: username.value, password: password.value });
    password.value = "";
    byId("you-title").focus();
    return say("signed_in");
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    signIn();
  });
  onPress(byId("sign-out"), async () => {
    await auth.logout();
    return say("signed_out");
  });
  onPress(byId("sign-out-all"), async () => {
    await auth.logout({ everywhere: true });
    return say("signed_out_all");
  });
}
