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
var openChannel = (name) => inBrowser() && globalThis.BroadcastChannel ? new BroadcastChannel(name) : void 0;
var kept = (key) => {
  try {
    return inBrowser() ? localStorage.getItem(key) : void 0;
  } catch {
    return void 0;
  }
};
var keep = (key, value) => {
  try {
    if (inBrowser()) localStorage.setItem(key, value);
  } catch {
  }
};
var sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// src/channel.ts
var DAY = 864e5;
var openTabs = (name, hear) => {
  let channel = openChannel(name);
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (isMessage(data)) hear(data);
    };
  }
  return {
    /** Say something to all others, and say whether anybody could hear it. */
    post(message) {
      channel?.postMessage(message);
      return !!channel;
    },
    close() {
      channel?.close();
      channel = void 0;
    }
  };
};
var isMessage = (said) => {
  const { type, at, ends, code } = Object(said);
  if (type === "here") return true;
  if (type === "failed") return typeof code === "string";
  if (!Number.isFinite(at) || at > Date.now() + DAY) return false;
  return type === "ask" || type === "out" || type === "token" && Number.isFinite(ends);
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
    const { ok, status } = response;
    const body = parse(await response.text());
    if (ok && body) return body;
    const code = body && typeof body.error === "string" && body.error;
    throw new AuthError(
      code || (status < 500 ? "invalid_response" : "temporarily_unavailable"),
      status,
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
    return Object(JSON.parse(text || "{}"));
  } catch {
    return void 0;
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
  const kept2 = new Request(input, init);
  const { signal } = kept2;
  const attempt = async (request, token) => {
    const asked = Date.now();
    if (token) authorize(request.headers, accessHeader, token);
    const response2 = await send(request, token && !isStandard(accessHeader) ? { redirect: "error" } : void 0);
    const fresh = response2.headers.get("Authorization-Refreshed");
    if (token && fresh) tokens.renewed(token, fresh, asked);
    return response2;
  };
  const first = await unlessAborted(tokens.usable(), signal);
  const response = await attempt(kept2.clone(), first);
  if (response.status !== 401 || needsStepUp(response)) return response;
  if (first && tokens.held() === first) await unlessAborted(tokens.refresh(), signal);
  const second = tokens.held();
  if (!second || second === first) return response;
  response.body?.cancel().catch(() => void 0);
  return attempt(kept2, second);
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
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), PATIENCE2);
  try {
    await locks.request(name, { ifAvailable: true }, run(false));
    if (!result) await locks.request(name, { signal: patience.signal }, run(true));
  } catch {
  }
  clearTimeout(timer);
  return result ?? work();
};
var byLease = async (name, work) => {
  const key = `${name}#lock`;
  const mine = `${Math.random()}`;
  const holder = () => kept(key)?.split(" ") ?? [];
  const deadline = Date.now() + PATIENCE2;
  let waited = false;
  while (Date.now() < deadline) {
    if (!(Number(holder()[1]) > Date.now())) {
      keep(key, `${mine} ${Date.now() + LEASE}`);
      await sleep(10 + Math.random() * 20);
      if (kept(key) === void 0 || holder()[0] === mine) break;
    }
    waited = true;
    await sleep(20 + Math.random() * 30);
  }
  try {
    return await work(waited);
  } finally {
    if (holder()[0] === mine) keep(key, "");
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
    const ms = Math.max(wait(), earliest - performance.now());
    if (ms > 0) {
      timer = setTimeout(look, Math.min(ms, LOOK));
      return;
    }
    earliest = performance.now() + LOOK;
    work().then(done, (error) => {
      failures += 1;
      earliest = performance.now() + backOff(error, failures);
      look();
    });
  };
  const done = () => {
    failures = 0;
    earliest = 0;
    look();
  };
  if (page()) {
    for (const event of ["visibilitychange", "pageshow", "focus", "online"]) {
      const wake = () => {
        if (event === "online") earliest = 0;
        awake();
        look();
      };
      addEventListener(event, wake, { signal: over.signal });
    }
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
var LAST_SECONDS = 5e3;
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
  let grant;
  let at = 0;
  let deadline = 0;
  let life = 0;
  let share = 0;
  const change = (moment, next) => {
    at = moment;
    session = next;
    for (const { listener } of [...listeners]) {
      try {
        listener(next);
      } catch (error) {
        failed(error);
      }
    }
  };
  const left = () => grant ? Math.min(grant.ends - Date.now(), deadline - performance.now()) : 0;
  return {
    session: () => session,
    grant: () => grant,
    /** When the last change was asked for. */
    at: () => at,
    /** Give a moment after all that has happened; it is the time of day, unless somebody has set the clock back. */
    tick: () => Math.max(Date.now(), at + 1),
    left,
    /** Tell whether the token lives long enough to reach anybody. */
    isUsable: () => left() > Math.min(LAST_SECONDS, life / 10),
    /** Milliseconds until a new one should be had: chance keeps tabs and machines from coming at the same moment. */
    untilDue: () => left() - life * share,
    /** Take a token over, unless something newer is known. */
    adopt(given) {
      const { token, at: moment, ends } = given;
      const claims = readClaims(token);
      if (moment <= at || !claims) return false;
      const now = Date.now();
      grant = { token, at: moment, ends };
      deadline = performance.now() + ends - now;
      life = Math.max(ends - now, ends - moment);
      share = 0.1 + Math.random() * 0.15;
      const session2 = {
        status: "signed-in",
        userId: claims.sub,
        sessionId: typeof claims.sid === "string" ? claims.sid : null,
        claims: Object.freeze(claims),
        expiresAt: ends
      };
      change(moment, Object.freeze(session2));
      return true;
    },
    /** Forget the token, unless something newer is known. */
    leave(moment, reason) {
      if (moment <= at) return false;
      grant = void 0;
      change(moment, nobody("signed-out", reason));
      return true;
    },
    subscribe(listener) {
      const own = { listener };
      listeners.add(own);
      return () => listeners.delete(own);
    },
    clear: () => listeners.clear()
  };
};

// src/client.ts
var ASK_AFTER_WAITING = 1e3;
var ASK = 100;
function createAuth(options = {}) {
  const { url = "/auth", origins = [], accessHeader = "Authorization", lock = alone } = options;
  const { restore = !!page(), onError } = options;
  const send = (input, init) => (options.fetch ?? fetch)(input, init);
  const base = absolute(url).replace(/\/+$/, "");
  const name = `keyturn:${base}`;
  const reached = /* @__PURE__ */ new Set([pageOrigin(), originOf(base)]);
  for (const each of origins) {
    const origin = originOf(each);
    if (!origin) throw new TypeError(`not an origin: ${each}`);
    reached.add(origin);
  }
  const failed = (error) => {
    if (onError) onError(error);
    else if (!(error instanceof AuthError)) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
  let remembered;
  const mark = () => kept(name) ?? remembered;
  const setMark = (word) => {
    remembered = word;
    keep(name, word);
  };
  const isLeaving = () => !!mark()?.startsWith("leaving");
  const isOut = () => isLeaving() || mark() === "out";
  const state = createState(!!page() && (!restore || isOut()), failed);
  const ask = createTransport(send, base, accessHeader);
  let company = true;
  let failure;
  let heard = () => void 0;
  const tabs = openTabs(name, (message) => {
    const { type } = message;
    const grant = state.grant();
    company = true;
    if (type === "ask") {
      const isNewer = grant && grant.at > message.at && state.isUsable();
      tabs.post(isNewer ? { type: "token", ...grant } : { type: "here" });
    } else if (type === "failed") {
      const error = new AuthError(message.code, message.status, message.retryAfter);
      failure = { error, heard: performance.now() };
      heard();
    } else if (type === "token" ? state.adopt(message) : type === "out" && state.leave(message.at, message.reason)) {
      heard();
      schedule.done();
    }
  });
  const hear = (ms) => new Promise((resolve) => {
    heard = resolve;
    company = false;
    if (tabs.post({ type: "ask", at: state.at() })) setTimeout(resolve, ms);
    else resolve();
  });
  const take = (at, sent, { access_token: token2, expires_in: seconds }) => {
    const grant = { token: token2, at, ends: sent + Number(seconds) * 1e3 };
    const isNews = at > state.at();
    if (!(grant.ends > sent) || isNews && !state.adopt(grant)) throw new AuthError("invalid_response", 200);
    if (!isNews) return;
    setMark("in");
    tabs.post({ type: "token", ...grant });
  };
  const leave = (at, word, reason) => {
    if (!state.leave(at, reason)) return;
    setMark(word);
    tabs.post({ type: "out", at, reason });
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
  const settle = async () => {
    const known = state.at();
    const leaving = isLeaving();
    for (let failures = 1; ; failures++) {
      const since = performance.now();
      const isSettled = () => {
        if (failure && failure.heard > since) throw failure.error;
        return leaving || state.at() !== known;
      };
      const work = async (waited) => {
        if (isLeaving()) return tell();
        if (isSettled()) return;
        if (waited || company) await hear(waited ? ASK_AFTER_WAITING : ASK);
        if (!isSettled()) await refreshed();
      };
      try {
        await lock(name, work);
        schedule.done();
        return state.session();
      } catch (error) {
        const ms = pause(error, failures);
        if (ms === void 0) throw error;
        await sleep(ms);
      }
    }
  };
  const refreshed = async () => {
    const at = state.tick();
    const sent = Date.now();
    try {
      take(at, sent, await ask("/refresh"));
    } catch (error) {
      const { code, status, retryAfter: retryAfter2 } = error;
      if (isOver(error)) return leave(at, "out", state.grant() || mark() === "in" ? "ended" : void 0);
      tabs.post({ type: "failed", code, status, retryAfter: retryAfter2 });
      throw error;
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
    schedule.done();
    const session = state.session();
    if (session.status !== "signed-in") throw new AuthError("signed_out");
    return session;
  });
  const untilDue = () => {
    if (state.grant()) return state.untilDue();
    return restore && state.session() === PENDING ? 0 : Number.POSITIVE_INFINITY;
  };
  const quietly = () => {
    const going = refresh();
    going.catch(failed);
    return going;
  };
  const schedule = createSchedule(untilDue, quietly, () => {
    if (state.grant() && isOut()) state.leave(state.tick(), "logout");
    if (isLeaving() || restore && !state.grant() && mark() === "in") quietly();
    else tabs.post({ type: "ask", at: state.at() });
  });
  if (isLeaving()) quietly();
  else schedule.look(restore);
  const usable = async () => {
    if (state.isUsable()) schedule.look(true);
    else if (state.grant() || state.session() === PENDING) {
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
  const tokens = {
    usable,
    refresh,
    held: () => state.grant()?.token,
    renewed(old, fresh, sent) {
      const { iat, exp } = readClaims(fresh) ?? {};
      const grant = { token: fresh, at: state.tick(), ends: sent + (Number(exp) - Number(iat)) * 1e3 };
      if (tokens.held() === old && grant.ends > sent && state.adopt(grant)) {
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
