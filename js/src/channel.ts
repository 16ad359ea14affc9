/** What tabs say to each other, and what of it is believed. It knows no request and no lock. */

import type { AuthError } from "./errors.ts";
import { openChannel } from "./platform.ts";
import type { Grant } from "./state.ts";
import type { SignedOut } from "./types.ts";

const DAY = 86_400_000; // milliseconds

/** The server could not say. */
export type Failure = Pick<AuthError, "code" | "status" | "retryAfter">;

/** What tabs say. */
export type Message =
  /** Who holds something newer than this moment? */
  | { type: "ask"; at: number }
  /** Somebody is here, but holds nothing newer. */
  | { type: "here" }
  | Grant
  | { type: "out"; at: number; reason: SignedOut["reason"] | undefined }
  | ({ type: "failed" } & Failure);

/** Open the channel to the other tabs; without one, nobody is heard. */
export const openTabs = (name: string, hear: (message: Message) => void) => {
  let channel = openChannel(name);
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (isMessage(data)) hear(data);
    };
  }
  return {
    /** Say something to all others, and say whether anybody could hear it. */
    post(message: Message): boolean {
      channel?.postMessage(message);
      return !!channel;
    },
    close() {
      channel?.close();
      channel = undefined;
    },
  };
};

/** Tell whether it is what a tab would say: another version, or another script of this origin, may say anything. */
const isMessage = (said: unknown): said is Message => {
  const { type, at, code } = Object(said);
  if (type === "here") return true;
  if (type === "failed") return typeof code === "string";
  // A moment that has not come would count as newer than all that follows.
  if (!Number.isFinite(at) || at > Date.now() + DAY) return false;
  return type === "ask" || type === "out" || type === "token";
};
