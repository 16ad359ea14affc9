/** A page, as far as Node has none: its events, its visibility, its location, what it keeps. It knows no client. */

import { vi } from "vitest";

export const PAGE = "https://app.test/";

/** What the tests turn. */
export interface Page {
  /** Show or hide the page, and say so. */
  show(visible: boolean): void;
  /** Send an event of the window. */
  event(name: string, properties?: object): void;
  stored: Map<string, string>;
}

/** Put a page into the globals, where `vi.unstubAllGlobals` takes it away. Channels and locks are Node's own. */
export const openPage = ({ locks = true, channels = true, keeps = true } = {}): Page => {
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible", baseURI: PAGE });
  const stored = new Map<string, string>();
  const { Request } = globalThis;
  vi.stubGlobal(
    "Request",
    class extends Request {
      static [Symbol.hasInstance](value: unknown): boolean {
        return Request[Symbol.hasInstance](value);
      }

      constructor(input: RequestInfo | URL, init?: RequestInit) {
        super(input instanceof Request ? input : new URL(input, PAGE), init); // as a page resolves it
      }
    },
  );
  vi.stubGlobal("location", new URL(PAGE));
  vi.stubGlobal("document", document);
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => {
      if (!keeps) throw new DOMException("forbidden", "SecurityError");
      return stored.get(key) ?? null;
    },
    setItem: (key: string, value: string) => {
      if (!keeps) throw new DOMException("forbidden", "SecurityError");
      stored.set(key, value);
    },
    removeItem: (key: string) => stored.delete(key),
  });
  if (!locks) vi.stubGlobal("navigator", {});
  if (!channels) vi.stubGlobal("BroadcastChannel", undefined);
  return {
    show(visible) {
      document.visibilityState = visible ? "visible" : "hidden";
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
      window.dispatchEvent(new Event("visibilitychange")); // where it bubbles to, in a page
    },
    event: (name, properties) => void window.dispatchEvent(Object.assign(new Event(name), properties)),
    stored,
  };
};
