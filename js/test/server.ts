/** An auth server and an API in one function that stands in for `fetch`: one browser's cookie. It knows no client. */

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Make a token as the server would, but for its signature. */
export const tokenOf = (claims: Record<string, unknown>): string => `${encode({ alg: "none" })}.${encode(claims)}.c2ln`;

/** Answer JSON. */
export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  Response.json(body, { status, headers });

/** Refuse as the server does. */
export const refusal = (status: number, error: string, headers: Record<string, string> = {}): Response =>
  json({ error, error_description: "…" }, status, headers);

/** An answer to one request, in the place of the server's own; it may never come. */
export type Plan = (request: Request) => Response | undefined | Promise<Response | undefined>;

export class Server {
  /** Who the cookie signs in. */
  user: string | undefined;
  /** Seconds that an access token lives. */
  ttl = 900;
  /** All requests, in their order, as "POST /auth/refresh". */
  readonly log: string[] = [];
  readonly requests: Request[] = [];
  /** What is done instead of answering, by path; the first plan that answers is used up. */
  readonly plans: { path: string; plan: Plan }[] = [];
  /** Milliseconds that each answer of the auth server takes. */
  delay = 5;
  #count = 0;
  #live = new Set<string>();

  constructor(user?: string) {
    this.user = user;
  }

  /** Answer the next requests of a path differently. */
  next(path: string, ...plans: Plan[]): void {
    for (const plan of plans) this.plans.push({ path, plan });
  }

  /** How often a path was asked. */
  asked(path: string): number {
    return this.log.filter((line) => line.endsWith(` ${path}`)).length;
  }

  /** Accept no token that was given out until now. */
  revoke(): void {
    this.#live.clear();
  }

  /** Give out tokens. */
  grant(extra: Record<string, unknown> = {}): Response {
    this.#count += 1;
    const iat = Math.floor(Date.now() / 1000);
    const sid = `session-of-${this.user}`;
    const claims = { sub: this.user, sid, jti: `${this.#count}`, iat, exp: iat + this.ttl, ...extra };
    const access = tokenOf(claims);
    this.#live.add(access);
    return json({ access_token: access, token_type: "Bearer", expires_in: this.ttl, session_id: sid });
  }

  /** Stands in for `fetch`. */
  readonly fetch: typeof fetch = async (input, init) => {
    const given = input instanceof Request ? input : new Request(new URL(`${input}`, "https://app.test/"), init);
    const request = new Request(given, init);
    const url = new URL(request.url);
    this.requests.push(request);
    this.log.push(`${request.method} ${url.pathname}`);
    request.signal.throwIfAborted();
    const found = this.plans.findIndex(({ path }) => path === url.pathname);
    const [planned] = found < 0 ? [] : this.plans.splice(found, 1);
    const work = planned?.plan(request) ?? undefined;
    const answer = await Promise.race([
      Promise.resolve(work).then((answer) => answer ?? this.#answer(request, url.pathname)),
      new Promise<never>((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      }),
    ]);
    if (Object.hasOwn(answer, "url")) return answer; // a plan says where it was led
    return Object.defineProperty(answer, "url", { value: request.url }); // as where nothing was redirected
  };

  async #answer(request: Request, path: string): Promise<Response> {
    if (!path.startsWith("/auth/")) {
      const token = request.headers.get("Authorization")?.slice(7) ?? request.headers.get("jwt");
      const body = await request.text();
      if (path === "/open") return json({ token, body });
      return token && this.#live.has(token) ? json({ token, body }) : refusal(401, "invalid_token");
    }
    if (this.delay) await new Promise((resolve) => setTimeout(resolve, this.delay));
    const sent = await request.text();
    switch (path) {
      case "/auth/login":
      case "/auth/step-up": {
        const { username, password } = JSON.parse(sent);
        if (password !== "right") return refusal(401, "invalid_credentials");
        this.user = username;
        return this.grant();
      }
      case "/auth/refresh":
        return this.user ? this.grant() : refusal(401, "invalid_grant");
      case "/auth/logout":
        this.user = undefined;
        this.revoke();
        return new Response(null, { status: 204 });
      case "/auth/logout-all":
        this.user = undefined;
        this.revoke();
        return json({ revoked: 3 });
      default:
        return refusal(404, "not_found");
    }
  }
}
