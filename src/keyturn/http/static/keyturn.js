// Keyturn 0.1.0: the browser client. MIT licence. Built from js/src by `npm run build`; do not edit.

// src/platform.ts
var inBrowser = () => !!globalThis.location;
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
  const { type, at, code } = Object(said);
  if (type === "here") return true;
  if (type === "failed") return typeof code === "string";
  if (!Number.isFinite(at) || at > Date.now() + DAY) return false;
  return type === "ask" || type === "out" || type === "token";
};

// src/errors.ts
var AuthError = class extends Error {
  name = "AuthError";
  /** Make one; see the properties. */
  constructor(code, status = 0, retryAfter2) {
    super(code);
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
  const signal = AbortSignal.timeout(LIMIT);
  const headers = new Headers({ "X-Keyturn": "1" });
  if (json) headers.set("Content-Type", "application/json");
  if (token) authorize(headers, accessHeader, token);
  try {
    const request = send(base + path, {
      method: "POST",
      headers,
      body: json ? JSON.stringify({ username: json.username, password: json.password }) : null,
      credentials: "include",
      cache: "no-store",
      redirect: "error",
      // no password goes where somebody points
      keepalive: true,
      // a new cookie is kept, and a sign-out told, also while the page goes away
      signal
    });
    const answer = request.then(async (response2) => ({ response: response2, text: await response2.text() }));
    const { response, text } = await unlessAborted(answer, signal);
    const { ok, status } = response;
    const body = parse(text);
    if (ok && body) return body;
    const code = body && typeof body.error === "string" && body.error;
    throw new AuthError(
      code || (status < 500 ? "invalid_response" : "temporarily_unavailable"),
      status,
      retryAfter(response.headers)
    );
  } catch (error) {
    throw error instanceof AuthError ? error : new AuthError("network");
  }
};
var unlessAborted = (promise, signal) => new Promise((resolve, reject) => {
  const abort = () => reject(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener("abort", abort, { once: true });
  promise.then(resolve, reject);
});
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
  const seconds = Number(value) || (Date.parse(value) - Date.now()) / 1e3;
  return seconds >= 0 ? seconds : void 0;
};
var isOver = (error) => error.status === 401 && /^invalid_(grant|request)$/.test(error.code);
var backOff = (error, failures) => Math.max(
  Math.min(6e4, 500 * 2 ** failures) * (0.5 + Math.random() / 2),
  1e3 * (error.retryAfter ?? 0)
);
var pause = (error, failures) => {
  const { status } = error;
  const passing = status < 300 || status === 409 || status === 429 || status >= 500;
  const ms = backOff(error, failures);
  return passing && failures < ATTEMPTS && ms <= PATIENCE ? ms : void 0;
};

// src/fetching.ts
var AGAIN = 1e4;
var createFetch = (send, tokens, origins, accessHeader) => {
  let next = 0;
  return async (input, init) => {
    const given = input instanceof Request ? input : void 0;
    const target = originOf(given?.url ?? absolute(input));
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
      if (token && fresh && origins.has(originOf(response2.url))) tokens.renewed(token, fresh, asked);
      return response2;
    };
    const user = tokens.user();
    const first = await unlessAborted(tokens.usable(), signal);
    const asking = tokens.user();
    if (user && first && asking !== user) throw new AuthError("user_changed");
    const response = await attempt(kept2.clone(), first);
    if (response.status !== 401 || needsStepUp(response)) return response;
    if (first && tokens.held() === first && performance.now() >= next) {
      await unlessAborted(tokens.refresh(), signal);
      next = performance.now() + AGAIN;
    }
    const second = tokens.held();
    if (!second || second === first || tokens.user() !== asking) return response;
    await response.body?.cancel().catch(() => void 0);
    return attempt(kept2, second);
  };
};
var needsStepUp = (response) => !!response.headers.get("WWW-Authenticate")?.includes("insufficient_user_authentication");

// src/lock.ts
var PATIENCE2 = 3e4;
var IMPATIENCE = 1e3;
var LEASE = 25e3;
var createLock = () => {
  let ms = PATIENCE2;
  return async (name, work) => {
    const locks = webLocks();
    if (!locks) return byLease(name, work);
    let result;
    const run = (waited) => async (held) => {
      if (!held) return;
      ms = PATIENCE2;
      result = work(waited);
      await result.catch(() => void 0);
    };
    try {
      await locks.request(name, { ifAvailable: true }, run(false));
      if (!result) await locks.request(name, { signal: AbortSignal.timeout(ms) }, run(true));
    } catch {
      ms = IMPATIENCE;
    }
    return result ?? work();
  };
};
var byLease = async (name, work) => {
  const key = `${name}#lock`;
  let mine;
  const isFree = () => !(Number.parseFloat(`${kept(key)}`) > Date.now());
  const deadline = Date.now() + PATIENCE2;
  let waited = false;
  while (Date.now() < deadline) {
    if (isFree()) {
      mine = `${Date.now() + LEASE} ${Math.random()}`;
      keep(key, mine);
      await sleep(10 + Math.random() * 20);
      if (kept(key) === mine || isFree()) break;
    }
    waited = true;
    await sleep(20 + Math.random() * 30);
  }
  try {
    return await work(waited);
  } finally {
    if (kept(key) === mine) keep(key, "");
  }
};

// src/schedule.ts
var LOOK = 6e4;
var createSchedule = (wait, work, failed, awake) => {
  const over = new AbortController();
  let timer;
  let failures = 0;
  let earliest = 0;
  const look = (asked = false) => {
    clearTimeout(timer);
    if (over.signal.aborted || !(asked || page()?.visibilityState === "visible")) return;
    const ms = Math.max(wait(), earliest - performance.now());
    if (ms > 0) {
      if (page()) timer = setTimeout(look, Math.min(ms, LOOK));
      return;
    }
    earliest = performance.now() + LOOK;
    work().catch((error) => {
      failed(error);
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
    const wake = (event) => {
      if (event.type === "online") earliest = 0;
      awake(event);
      look();
    };
    for (const name of ["visibilitychange", "pageshow", "focus", "online"]) {
      addEventListener(name, wake, { signal: over.signal });
    }
  }
  return {
    look,
    done,
    close() {
      over.abort();
      look();
    }
  };
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
  let due = 0;
  const change = (moment, next) => {
    at = moment;
    session = next;
    for (const own of listeners) {
      queueMicrotask(() => {
        try {
          if (listeners.has(own)) own.listener(next);
        } catch (error) {
          failed(error);
        }
      });
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
    /** Give the token, if it has not ended. */
    held: () => left() > 0 ? grant?.token : void 0,
    /** Tell whether the token lives long enough to reach anybody. */
    isUsable: () => left() > Math.min(LAST_SECONDS, due),
    /** Milliseconds until a new one should be had: chance keeps tabs and machines from coming at the same moment. */
    untilDue: () => left() - due,
    /** Take a token over, unless something newer is known or it has ended, such as on its way. */
    adopt(given) {
      const { token, at: moment, ends } = given;
      const claims = readClaims(token);
      if (!(claims && moment > at && ends > Date.now())) return false;
      grant = given;
      const life = ends - Date.now();
      deadline = performance.now() + life;
      due = life * (0.1 + Math.random() * 0.15);
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
var NEVER = 1e9;
function createAuth(options = {}) {
  const { url = "/auth", origins = [], accessHeader = "Authorization", lock = createLock() } = options;
  const { restore = !!page(), onError } = options;
  const send = (input, init) => (options.fetch ?? fetch)(input, init);
  const base = absolute(url).replace(/\/+$/, "");
  const name = `keyturn:${base}`;
  const reached = new Set(origins.map(originOf));
  if (reached.has(void 0)) throw new TypeError(`not all are origins: ${origins}`);
  reached.add(pageOrigin()).add(originOf(base)).delete(void 0);
  const failed = (error) => {
    if (onError) onError(error);
    else if (!(error instanceof AuthError)) throw error;
  };
  let remembered;
  const mark = () => kept(name) ?? remembered;
  const setMark = (word) => {
    remembered = word;
    keep(name, word);
  };
  const isLeaving = () => !!mark()?.startsWith("leaving");
  const isIn = () => mark() === "in";
  const state = createState(!!page() && (!restore || isLeaving()), failed);
  const ask = createTransport(send, base, accessHeader);
  let company = true;
  let failure;
  let patient = 0;
  let heard = () => void 0;
  const fail = ({ code, status, retryAfter: retryAfter2 }) => {
    failure = new AuthError(code, status, retryAfter2);
    patient = performance.now() + 1e3 * (retryAfter2 ?? 0);
  };
  const tabs = openTabs(name, (message) => {
    const { type } = message;
    const grant = state.grant();
    company = true;
    if (type === "ask") {
      const isNewer = grant && grant.at > message.at && state.isUsable() && isIn();
      tabs.post(isNewer ? grant : { type: "here" });
    } else if (type === "failed") {
      fail(message);
      heard();
    } else if (type === "token" ? state.adopt(message) : type === "out" && state.leave(message.at, message.reason)) {
      remembered = type === "token" ? "in" : "out";
      heard();
      schedule.done();
    }
  });
  const hear = (ms) => new Promise((resolve) => {
    heard = resolve;
    company = false;
    setTimeout(resolve, tabs.post({ type: "ask", at: state.at() }) ? ms : 0);
  });
  const get = async (...request) => {
    const at = state.tick();
    const sent = Date.now();
    const { access_token, expires_in } = await ask(...request);
    const ends = sent + Number(expires_in) * 1e3;
    if (!(readClaims(access_token) && ends > Date.now())) throw new AuthError("invalid_response", 200);
    return { type: "token", token: access_token, at, ends };
  };
  const take = (grant) => {
    if (isLeaving() || !state.adopt(grant)) return;
    setMark("in");
    tabs.post(grant);
    schedule.done();
  };
  const leave = (at, word, reason) => {
    if (!state.leave(at, reason)) return;
    setMark(word);
    tabs.post({ type: "out", at, reason });
  };
  const tell = async () => {
    const [word, id] = `${mark()}`.split(" ");
    if (word === "leaving") await ask("/logout");
    else {
      const grant = await get("/refresh").catch((error) => {
        if (isOver(error)) setMark("out");
        throw error;
      });
      if (id && readClaims(grant.token)?.sid !== id) {
        setMark("out");
        return take(grant);
      }
      await ask("/logout-all", void 0, grant.token);
    }
    setMark("out");
  };
  const settle = async () => {
    const known = state.at();
    const leaving = isLeaving();
    for (let failures = 1; ; failures++) {
      const since = performance.now();
      const isSettled = () => {
        if (failure && patient > since) throw failure;
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
    try {
      take(await get("/refresh"));
    } catch (error) {
      if (isOver(error)) return leave(at, "out", state.grant() || isIn() ? "ended" : void 0);
      fail(error);
      tabs.post({ ...error, type: "failed" });
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
    if (isLeaving()) await tell();
    take(await get(path, credentials, token2));
    const session = state.session();
    if (session.status !== "signed-in") throw new AuthError("signed_out");
    return session;
  });
  const untilDue = () => {
    if (state.grant()) return state.untilDue();
    const isUnknown = restore && (state.session() === PENDING || isIn());
    return isUnknown || isLeaving() ? 0 : NEVER;
  };
  const schedule = createSchedule(untilDue, refresh, failed, (event) => {
    if (event.type === "online") patient = 0;
    if (state.grant() && !isIn()) state.leave(state.tick(), "logout");
    if (state.grant() && event.persisted)
      refresh().catch(failed);
    else tabs.post({ type: "ask", at: state.at() });
  });
  schedule.look(true);
  const usable = async () => {
    if (state.isUsable()) schedule.look(true);
    else if (state.grant() || state.session() === PENDING) {
      await refresh().catch((error) => {
        if (!state.held()) throw error;
      });
    }
    return state.held();
  };
  const token = async () => {
    const found = await usable();
    if (!found) throw new AuthError("signed_out");
    return found;
  };
  const tokens = {
    usable,
    refresh,
    held: state.held,
    user: () => state.session().userId,
    renewed(old, fresh, sent) {
      const { iat, exp } = readClaims(fresh) ?? {};
      const grant = {
        type: "token",
        token: fresh,
        at: state.at() + 0.5,
        ends: sent + (Number(exp) - Number(iat)) * 1e3
      };
      if (state.held() === old && isIn()) take(grant);
    }
  };
  return {
    login: (credentials) => signIn("/login", credentials),
    stepUp: async (credentials) => signIn("/step-up", credentials, await token()),
    fetch: createFetch(send, tokens, reached, accessHeader),
    token,
    refresh,
    async logout({ everywhere = false } = {}) {
      const word = everywhere ? `leaving-everywhere ${state.session().sessionId ?? ""}` : "leaving";
      leave(state.tick(), word, "logout");
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
