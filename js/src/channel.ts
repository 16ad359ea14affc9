/** What tabs say to each other, and what of it is believed. It knows no request and no lock. */

import { openChannel } from "./platform.ts";
import type { Grant } from "./state.ts";
import type { SignedOut } from "./types.ts";

/** What tabs say. */
export type Message =
  /** Who holds something newer than this moment? */
  | { type: "ask"; at: number }
  /** Somebody is here, but holds nothing newer. */
  | { type: "here" }
  | ({ type: "token" } & Grant)
  | { type: "out"; at: number; reason?: SignedOut["reason"] }
  /** The server could not say. */
  | { type: "failed"; code: string; status: number; retryAfter: number | undefined };

/** Open the channel to the other tabs; without one, nobody is heard. */
export const openTabs = (name: string, hear: (message: Message) => void) => {
  let channel = openChannel(name);
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (isMessage(data)) hear(data);
    };
  }
  return {
    post: (message: Message) => channel?.postMessage(message),
    close() {
      channel?.close();
      channel = undefined;
    },
  };
};

/** Tell whether it is what a tab would say: another version, or another script of this origin, may say anything. */
const isMessage = (said: unknown): said is Message => {
  const data = Object(said) as Record<string, unknown>;
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
