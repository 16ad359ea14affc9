// Keyturn 0.1.0: the browser client. MIT licence. Built from js/src by `npm run build`; do not edit.

// src/platform.ts
var inBrowser = () => "location" in globalThis;
var pageOrigin = () => inBrowser() ? originOf(location.href) : void 0;
var originOf = (url) => {
  const origin = URL.canParse(url) ? new URL(url).origin : "null";
  return origin === "null" ? void 0 : origin;
};
var absolute = (url) => inBrowser() ? new URL(url, globalThis.document?.baseURI ?? location.href).href : `${url}`;
var page = () => globalThis.document;
var webLocks = () => inBrowser() ? navigator.locks : void 0;
var openChannel = (name) => inBrowser() && "BroadcastChannel" in globalThis ? new BroadcastChannel(name) : void 0;
var storage = () => {
  try {
    return inBrowser() ? localStorage : void 0;
  } catch {
    return void 0;
  }
};
var sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// src/channel.ts
var openTabs = (name, hear) => {
  let channel = openChannel(name);
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (isMessage(data)) hear(data);
    };
  }
  return {
    post: (message) => channel?.postMessage(message),
    close() {
      channel?.close();
      channel = void 0;
    }
  };
};
var isMessage = (said) => {
  const data = Object(said);
  switch (data.type) {
    case "here":
      return true;
    case "ask":
    case "out":
      return Number.isFinite(data.at);
    case "token":
      return Number.isFinite(data.at) && Number.isFinite(data.ends) && typeof data.token === "string";
    case "failed":
      return typeof data.code === "string" && Number.isFinite(data.status);
    default:
      return false;
  }
};

// src/errors.ts
var AuthError = class extends Error {
  name = "AuthError";
  /**
   * The `error` of the server's answer, such as `invalid_credentials`, `slow_down`, `temporarily_unavailable` or
   * `csrf_failed`; `network` where no answer came; `invalid_response` where the answer was not the auth server's;
   * `signed_out` where a token was asked for and nobody is signed in.
   */
  code;
  /** The HTTP status of the answer; 0 where there was none. */
  status;
  /** Seconds to wait before the next attempt, where the server named them. */
  retryAfter;
  /** Make one; see the properties. */
  constructor(code, status = 0, retryAfter2) {
    super(status ? `${code} (HTTP ${status})` : code);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter2;
  }
};

// src/transport.ts
var LIMIT = 1e4;
var ATTEMPTS = 3;
var PATIENCE = 1e4;
var createTransport = (send, base, accessHeader) => async (path, json, token) => {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), LIMIT);
  const headers = new Headers({ "X-Keyturn": "1" });
  if (json) headers.set("Content-Type", "application/json");
  if (token) authorize(headers, accessHeader, token);
  try {
    const response = await send(base + path, {
      method: "POST",
      headers,
      body: json ? JSON.stringify({ username: json.username, password: json.password }) : null,
      credentials: "include",
      cache: "no-store",
      redirect: "error",
      // no password goes where somebody points
      keepalive: true,
      // a new cookie is kept, and a sign-out told, also while the page goes away
      signal: limit.signal
    });
    const text = await response.text();
    const body = parse(text);
    if (response.ok) return body;
    const code = typeof body.error === "string" ? body.error : void 0;
    throw new AuthError(
      code ?? (response.status < 500 ? "invalid_response" : "temporarily_unavailable"),
      response.status,
      retryAfter(response.headers)
    );
  } catch (error) {
    throw error instanceof AuthError ? error : new AuthError("network");
  } finally {
    clearTimeout(timer);
  }
};
var authorize = (headers, accessHeader, token) => headers.set(accessHeader, isStandard(accessHeader) ? `Bearer ${token}` : token);
var isStandard = (accessHeader) => accessHeader.toLowerCase() === "authorization";
var parse = (text) => {
  try {
    const body = JSON.parse(text);
    return typeof body === "object" && body ? body : {};
  } catch {
    return {};
  }
};
var retryAfter = (headers) => {
  const value = headers.get("Retry-After");
  if (!value) return void 0;
  const now = Date.parse(headers.get("Date") ?? "") || Date.now();
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - now) / 1e3;
  return seconds >= 0 ? seconds : void 0;
};
var isOver = (error) => error instanceof AuthError && error.status === 401 && error.code !== "invalid_response";
var backOff = (error, failures) => Math.max(
  Math.min(6e4, 500 * 2 ** failures) * (0.5 + Math.random() / 2),
  1e3 * (error.retryAfter ?? 0)
);
var pause = (error, failures) => {
  const { status } = error;
  const passing = error instanceof AuthError && (status === 0 || status === 409 || status === 429 || status >= 500);
  const ms = backOff(error, failures);
  return passing && failures < ATTEMPTS && ms <= PATIENCE ? ms : void 0;
};

// src/fetching.ts
var createFetch = (send, tokens, origins, accessHeader) => async (input, init) => {
  const given = input instanceof Request ? input : void 0;
  const target = new URL(given?.url ?? absolute(input)).origin;
  if (!origins.has(target) || new Headers(init?.headers ?? given?.headers).has(accessHeader)) {
    return send(input, init);
  }
  const kept = new Request(input, init);
  const { signal } = kept;
  const attempt = async (request, token) => {
    const asked = Date.now();
    if (token) authorize(request.headers, accessHeader, token);
    const response2 = await send(request, token && !isStandard(accessHeader) ? { redirect: "error" } : void 0);
    const fresh = response2.headers.get("Authorization-Refreshed");
    if (token && fresh) tokens.renewed(token, fresh, asked);
    return response2;
  };
  const first = await unlessAborted(tokens.usable(), signal);
  const response = await attempt(kept.clone(), first);
  if (response.status !== 401 || needsStepUp(response)) return response;
  if (first && tokens.held() === first) await unlessAborted(tokens.refresh(), signal);
  const second = tokens.held();
  if (!second || second === first) return response;
  response.body?.cancel().catch(() => void 0);
  return attempt(kept, second);
};
var needsStepUp = (response) => !!response.headers.get("WWW-Authenticate")?.includes("insufficient_user_authentication");
var unlessAborted = (promise, signal) => new Promise((resolve, reject) => {
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  promise.then(resolve, reject);
});

// src/lock.ts
var PATIENCE2 = 3e4;
var LEASE = 25e3;
var alone = (name, work) => {
  const locks = webLocks();
  return locks ? byWebLock(locks, name, work) : byLease(name, work);
};
var byWebLock = async (locks, name, work) => {
  let result;
  const run = (waited) => async (held) => {
    if (!held) return;
    result = work(waited);
    await result.catch(() => void 0);
  };
  try {
    await locks.request(name, { ifAvailable: true }, run(false));
    if (!result) await locks.request(name, { signal: AbortSignal.timeout(PATIENCE2) }, run(true));
  } catch {
  }
  return result ?? work(true);
};
var byLease = async (name, work) => {
  const key = `${name}#lock`;
  const mine = `${Math.random()}`;
  const until = Date.now() + PATIENCE2;
  let waited = false;
  const read = () => storage()?.getItem(key)?.split(" ") ?? [];
  try {
    while (Date.now() < until && storage()) {
      if (!(Number(read()[1]) > Date.now())) {
        storage()?.setItem(key, `${mine} ${Date.now() + LEASE}`);
        await sleep(10 + Math.random() * 20);
        if (read()[0] === mine) break;
      }
      waited = true;
      await sleep(20 + Math.random() * 30);
    }
  } catch {
  }
  try {
    return await work(waited);
  } finally {
    try {
      if (read()[0] === mine) storage()?.removeItem(key);
    } catch {
    }
  }
};

// src/schedule.ts
var LOOK = 6e4;
var createSchedule = (wait, work, awake) => {
  const over = new AbortController();
  let timer;
  let failures = 0;
  let earliest = 0;
  const look = (asked = false) => {
    clearTimeout(timer);
    if (over.signal.aborted || !(asked || page()?.visibilityState === "visible")) return;
    const ms = Math.max(wait(), earliest - Date.now());
    if (ms > 0) {
      if (ms < Number.POSITIVE_INFINITY) timer = setTimeout(look, Math.min(ms, LOOK));
      return;
    }
    earliest = Date.now() + LOOK;
    work().then(done, (error) => {
      failures += 1;
      earliest = Date.now() + backOff(error, failures);
      look();
    });
  };
  const done = () => {
    failures = 0;
    earliest = 0;
    look();
  };
  const on = (target, events, then) => {
    for (const event of events) target.addEventListener(event, then, { signal: over.signal });
  };
  const wake = () => {
    awake();
    look();
  };
  const document = page();
  if (document) {
    on(document, ["visibilitychange"], wake);
    on(globalThis, ["pageshow", "focus"], wake);
    on(globalThis, ["online"], () => {
      earliest = 0;
      wake();
    });
  }
  return { look, done, close: () => over.abort() };
};

// src/token.ts
function readClaims(token) {
  try {
    const payload = token.split(".")[1];
    const bytes = Uint8Array.from(atob(payload.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims.sub === "string" ? claims : void 0;
  } catch {
    return void 0;
  }
}

// src/state.ts
var nobody = (status, reason) => Object.freeze({
  status,
  userId: null,
  sessionId: null,
  claims: null,
  expiresAt: null,
  ...reason && { reason }
});
var PENDING = /* @__PURE__ */ nobody("pending");
var createState = (known, failed) => {
  const listeners = /* @__PURE__ */ new Set();
  let session = known ? nobody("signed-out") : PENDING;
  let held;
  let at = 0;
  const change = (next, moment) => {
    at = moment;
    session = next;
    for (const listener of [...listeners]) {
      try {
        listener(next);
      } catch (error) {
        failed(error);
      }
    }
    return true;
  };
  return {
    session: () => session,
    grant: () => held,
    /** When what is held was asked for. */
    at: () => at,
    /** Give a moment after all that has happened; it is the time of day, unless somebody has set the clock back. */
    tick: () => Math.max(Date.now(), at + 1),
    /** Milliseconds that the token can still be used, by the clock that says less: one may have stood still. */
    left: () => held ? Math.min(held.ends - Date.now(), held.deadline - performance.now()) : 0,
    life: () => held?.life ?? 0,
    /** Take a token over, unless something newer is known. */
    adopt({ token, at: moment, ends }) {
      const claims = readClaims(token);
      const left = ends - Date.now();
      if (moment <= at || !claims) return false;
      held = { token, at: moment, ends, deadline: performance.now() + left, life: Math.max(left, ends - moment) };
      return change(
        Object.freeze({
          status: "signed-in",
          userId: claims.sub,
          sessionId: typeof claims.sid === "string" ? claims.sid : null,
          claims: Object.freeze(claims),
          expiresAt: ends
        }),
        moment
      );
    },
    /** Forget the token, unless something newer is known. */
    leave(moment, reason) {
      if (moment <= at) return false;
      held = void 0;
      return change(nobody("signed-out", reason), moment);
    },
    subscribe(listener) {
      const own = (next) => listener(next);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    clear: () => listeners.clear()
  };
};

// src/client.ts
var ASK_AFTER_WAITING = 1e3;
var ASK = 100;
var LAST_SECONDS = 5e3;
function createAuth(options = {}) {
  const { url = "/auth", origins = [], accessHeader = "Authorization", lock = alone } = options;
  const { restore = page() !== void 0 } = options;
  const send = (input, init) => (options.fetch ?? globalThis.fetch)(input, init);
  const base = absolute(url).replace(/\/+$/, "");
  const name = `keyturn:${base}`;
  const reached = /* @__PURE__ */ new Set([pageOrigin(), originOf(base)]);
  for (const each of origins) {
    const origin = originOf(each);
    if (!origin) throw new TypeError(`origins: write https://api.example.com, not ${each}`);
    reached.add(origin);
  }
  let remembered;
  const failed = (error) => {
    if (options.onError) options.onError(error);
    else if (!(error instanceof AuthError))
      queueMicrotask(() => {
        throw error;
      });
  };
  const mark = () => {
    try {
      return storage()?.getItem(name) ?? remembered;
    } catch {
      return remembered;
    }
  };
  const setMark = (word) => {
    remembered = word;
    try {
      storage()?.setItem(name, word);
    } catch {
    }
  };
  const isLeaving = () => mark()?.startsWith("leaving");
  const isOut = () => isLeaving() || mark() === "out";
  const state = createState(page() !== void 0 && (!restore || !!isOut()), failed);
  const ask = createTransport(send, base, accessHeader);
  let company = true;
  let failure;
  let heard = () => void 0;
  const isUsable = () => state.left() > Math.min(LAST_SECONDS, state.life() / 10);
  const tabs = openTabs(name, (message) => {
    company = true;
    switch (message.type) {
      case "ask": {
        const grant = state.grant();
        tabs.post(
          grant && grant.at > message.at && isUsable() ? { type: "token", token: grant.token, at: grant.at, ends: grant.ends } : { type: "here" }
        );
        return;
      }
      case "here":
        return;
      case "token":
        state.adopt(message);
        break;
      case "out":
        state.leave(message.at, message.reason);
        break;
      case "failed":
        failure = { error: new AuthError(message.code, message.status, message.retryAfter), heard: performance.now() };
    }
    heard();
    if (message.type !== "failed") schedule.done();
  });
  const hear = (ms) => new Promise((resolve) => {
    heard = resolve;
    setTimeout(resolve, ms);
    company = false;
    tabs.post({ type: "ask", at: state.at() });
  });
  const take = (at, sent, { access_token: token2, expires_in: seconds }) => {
    const grant = { token: token2, at, ends: sent + Number(seconds) * 1e3 };
    if (!(grant.ends > sent)) throw new AuthError("invalid_response", 200);
    if (at > state.at()) setMark("in");
    if (state.adopt(grant)) tabs.post({ type: "token", ...grant });
    else if (at > state.at()) throw new AuthError("invalid_response", 200);
  };
  const leave = (at, word, reason) => {
    if (at > state.at()) setMark(word);
    if (state.leave(at, reason)) tabs.post({ type: "out", at, ...reason && { reason } });
  };
  const tell = async () => {
    try {
      if (mark() === "leaving") await ask("/logout");
      else await ask("/logout-all", void 0, (await ask("/refresh")).access_token);
    } catch (error) {
      if (!isOver(error)) throw error;
    }
    setMark("out");
  };
  const agree = async (known, since, waited) => {
    const settled = () => {
      if (failure && failure.heard > since) throw failure.error;
      return state.at() !== known;
    };
    if (isLeaving()) return tell();
    if (settled()) return;
    if (waited || company) await hear(waited ? ASK_AFTER_WAITING : ASK);
    if (settled()) return;
    const at = state.tick();
    const sent = Date.now();
    try {
      take(at, sent, await ask("/refresh"));
    } catch (error) {
      if (isOver(error)) {
        leave(at, "out", state.grant() || mark() === "in" ? "ended" : void 0);
      } else {
        const { code, status, retryAfter: retryAfter2 } = error;
        tabs.post({ type: "failed", code, status, retryAfter: retryAfter2 });
        throw error;
      }
    }
  };
  const settle = async () => {
    const known = state.at();
    for (let failures = 1; ; failures++) {
      const since = performance.now();
      try {
        await lock(name, (waited) => agree(known, since, waited));
        schedule.done();
        return state.session();
      } catch (error) {
        const ms = pause(error, failures);
        if (ms === void 0) throw error;
        await sleep(ms);
      }
    }
  };
  let flight;
  const refresh = () => {
    flight ??= settle().finally(() => {
      flight = void 0;
    });
    return flight;
  };
  const signIn = (path, credentials, token2) => lock(name, async () => {
    const at = state.tick();
    const sent = Date.now();
    take(at, sent, await ask(path, credentials, token2));
    const session = state.session();
    schedule.done();
    if (session.status !== "signed-in") throw new AuthError("signed_out");
    return session;
  });
  let share = 0;
  let shared;
  const untilDue = () => {
    const session = state.session();
    if (isLeaving()) return 0;
    if (session.status === "signed-out") return Number.POSITIVE_INFINITY;
    if (session.status === "pending") return restore ? 0 : Number.POSITIVE_INFINITY;
    if (shared !== session) share = 0.1 + Math.random() * 0.15;
    shared = session;
    return state.left() - state.life() * share;
  };
  const quietly = () => {
    const going = refresh();
    going.catch(failed);
    return going;
  };
  const schedule = createSchedule(untilDue, quietly, () => {
    if (state.grant() && isOut()) state.leave(state.tick(), "logout");
    tabs.post({ type: "ask", at: state.at() });
  });
  const usable = async () => {
    if (isUsable()) schedule.look(true);
    else if (state.session().status !== "signed-out") {
      await refresh().catch((error) => {
        if (!(state.left() > 0)) throw error;
      });
    }
    return state.left() > 0 ? state.grant()?.token : void 0;
  };
  const token = async () => {
    const found = await usable();
    if (!found) throw new AuthError("signed_out");
    return found;
  };
  schedule.look(restore);
  const tokens = {
    usable,
    refresh,
    held: () => state.grant()?.token,
    renewed(old, fresh, sent) {
      const { iat, exp } = readClaims(fresh) ?? {};
      const grant = { token: fresh, at: state.tick(), ends: sent + (Number(exp) - Number(iat)) * 1e3 };
      if (state.grant()?.token === old && grant.ends > sent && state.adopt(grant)) {
        tabs.post({ type: "token", ...grant });
        schedule.done();
      }
    }
  };
  return {
    login: (credentials) => signIn("/login", credentials),
    stepUp: async (credentials) => signIn("/step-up", credentials, await token()),
    fetch: createFetch(send, tokens, reached, accessHeader),
    token,
    refresh,
    async logout({ everywhere = false } = {}) {
      leave(state.tick(), everywhere ? "leaving-everywhere" : "leaving", "logout");
      await settle();
    },
    session: state.session,
    subscribe: state.subscribe,
    close() {
      schedule.close();
      tabs.close();
      state.clear();
    }
  };
}
export {
  AuthError,
  PENDING,
  createAuth
};
