/** The one error of the client. It knows no request and no token. */

/** What went wrong when the auth server was asked. It holds nothing secret. */
export class AuthError extends Error {
  override readonly name = "AuthError";
  /**
   * The `error` of the server's answer, such as `invalid_credentials`, `slow_down`, `temporarily_unavailable` or
   * `csrf_failed`; `network` where no answer came; `invalid_response` where the answer was not the auth server's, or came
   * when its token had ended;
   * `signed_out` where a token was asked for and nobody is signed in; `user_changed` where somebody else has signed in
   * since a request was made.
   */
  declare readonly code: string;
  /** The HTTP status of the answer; 0 where there was none. */
  declare readonly status: number;
  /** Seconds to wait before the next attempt, where the server named them. */
  declare readonly retryAfter: number | undefined;

  /** Make one; see the properties. */
  constructor(code: string, status = 0, retryAfter?: number) {
    super(code);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
