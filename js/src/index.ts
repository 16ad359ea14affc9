/** The public surface; nothing happens when it is imported. It knows no behaviour. */

export { createAuth } from "./client.ts";
export { AuthError } from "./errors.ts";
export { PENDING } from "./state.ts";
export type * from "./types.ts";
