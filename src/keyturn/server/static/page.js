// The page at "/": signs in, refreshes, shows and ends sessions. The access token is in this module's memory
// only; the refresh token is in a cookie that no script can read.

const byId = (id) => document.getElementById(id);
const { prefix, accessHeader } = document.body.dataset;
const base = new URL(`.${prefix}`, document.baseURI);
const HINT = "keyturn-signed-in"; // only that somebody was: saves asking in vain on a first visit
let token = null;
let refreshing = null;

const SENTENCES = {
  invalid_credentials: "That username or password is not right.",
  slow_down: "Too many attempts. Wait a little, then try again.",
  invalid_grant: "Your session is over. Sign in again.",
  invalid_token: "Your session is over. Sign in again.",
  temporarily_unavailable: "The server cannot do this right now. Try again in a moment.",
  session_limit: "You are signed in on as many devices as are allowed. Sign out on one of them first.",
  csrf_failed: "The server did not accept this request, because it seems to come from another site.",
};

class Refused extends Error {
  constructor(status, body) {
    super(SENTENCES[body.error] ?? body.error_description ?? `The server answered ${status}.`);
    this.status = status;
  }
}

async function send(method, path, body) {
  const headers = { "X-Keyturn": "1" };
  if (token) headers[accessHeader] = accessHeader === "Authorization" ? `Bearer ${token}` : token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(base + path, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin",
    });
  } catch {
    throw new Error("The server cannot be reached. Is it running?");
  }
  const text = await response.text();
  const answer = text && response.headers.get("Content-Type")?.startsWith("application/json") ? JSON.parse(text) : {};
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}

// Asks with the access token; where that is not accepted any more, refreshes once and asks again.
async function ask(method, path, body) {
  try {
    return await send(method, path, body);
  } catch (error) {
    if (error.status !== 401) throw error;
    await refresh();
    return await send(method, path, body);
  }
}

function refresh() {
  refreshing ??= (async () => {
    token = null;
    token = (await send("POST", "/refresh", {})).access_token;
  })().finally(() => { refreshing = null; });
  return refreshing;
}

const when = (seconds) => new Date(seconds * 1000).toLocaleString();

function show(id, text) {
  const element = byId(id);
  element.textContent = text ?? "";
  element.hidden = !text;
}

async function showSignedIn() {
  const me = await ask("GET", "/me");
  const { sessions } = await ask("GET", "/sessions");
  byId("user").textContent = me.user_id;
  byId("claims").textContent = JSON.stringify(me.claims);
  byId("token").textContent = `…${token.slice(-12)}`;
  byId("expires").textContent = when(me.expires_at);
  byId("expires").dateTime = new Date(me.expires_at * 1000).toISOString();
  byId("sessions").replaceChildren(...sessions.map(sessionItem));
  byId("sign-out-others").disabled = sessions.length < 2;
  byId("signed-out").hidden = true;
  byId("signed-in").hidden = false;
  localStorage.setItem(HINT, "yes");
}

function showSignedOut() {
  token = null;
  localStorage.removeItem(HINT);
  byId("signed-in").hidden = true;
  byId("signed-out").hidden = false;
  for (const id of ["user", "claims", "token", "sessions"]) byId(id).replaceChildren();
}

function sessionItem(session) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const device = session.device.name ?? session.device.user_agent ?? "An unnamed client";
  const small = document.createElement("small");
  small.textContent = `signed in ${when(session.created_at)}, last seen ${when(session.last_seen_at)}`;
  name.append(session.current ? `${device} (this one)` : device, document.createElement("br"), small);
  item.append(name);
  if (!session.current) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = "End";
    button.setAttribute("aria-label", `End the session of ${device}, signed in ${when(session.created_at)}`);
    button.addEventListener("click", () => act(button, async () => {
      await ask("DELETE", `/sessions/${session.id}`);
      await showSignedIn();
      return "That session has ended.";
    }));
    item.append(button);
  }
  return item;
}

// Does one thing at a time, and says in a sentence how it went.
async function act(button, work) {
  show("message");
  show("done");
  button.disabled = true;
  try {
    show("done", await work());
  } catch (error) {
    if (error.status === 401) showSignedOut();
    show("message", error.message);
  } finally {
    button.disabled = false;
  }
}

const onClick = (id, work) => byId(id).addEventListener("click", (event) => act(event.currentTarget, work));

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const { username, password } = event.target.elements;
  act(event.submitter ?? event.target.querySelector("button"), async () => {
    token = (await send("POST", "/login", { username: username.value, password: password.value })).access_token;
    password.value = "";
    await showSignedIn();
    byId("you-title").focus();
  });
});
onClick("refresh", async () => {
  const before = token;
  await refresh();
  await showSignedIn();
  return token === before ? "Nothing changed." : "There is a new access token.";
});
onClick("sign-out", async () => {
  await send("POST", "/logout", {});
  showSignedOut();
  return "You are signed out.";
});
onClick("sign-out-others", async () => {
  const { revoked } = await ask("POST", "/logout-all", { keep_current: true });
  await showSignedIn();
  return `Signed out everywhere else: ${revoked} ${revoked === 1 ? "session" : "sessions"} ended.`;
});
onClick("sign-out-all", async () => {
  const { revoked } = await ask("POST", "/logout-all", {});
  showSignedOut();
  return `Signed out everywhere: ${revoked} ${revoked === 1 ? "session" : "sessions"} ended.`;
});

// After a reload the access token is gone; the cookie brings a new one, where there is a session.
try {
  if (localStorage.getItem(HINT)) {
    await refresh();
    await showSignedIn();
  } else showSignedOut();
} catch (error) {
  showSignedOut();
  if (error.status !== 401) show("message", error.message);
}
