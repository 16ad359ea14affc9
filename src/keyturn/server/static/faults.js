// A network that loses an answer when it is asked to. What it loses was a real refresh, at the server.

import { url } from "./client.js";

let armed = false;

/** Have the answer of the next refresh dropped; what is returned says whether one was, and ends it. */
export function dropNext() {
  armed = true;
  return () => {
    const dropped = !armed;
    armed = false;
    return dropped;
  };
}

/** Like `fetch`, given to the client. */
export function fetchWithFaults(input, init) {
  if (!armed || String(input) !== `${url}/refresh`) return fetch(input, init);
  armed = false;
  return fetch(`${url}/demo/drop`, init);
}
