// One button, one piece of work at a time, one sentence about how it went. It knows no session.

import { byId } from "./dom.js";
import { sayError } from "./texts.js";

/** Say whether a button can be used. It keeps the focus either way, and can be read out. */
export const allow = (button, allowed) => button.setAttribute("aria-disabled", String(!allowed));

/** Show a sentence, or nothing. */
export function show(id, text) {
  byId(id).textContent = text ?? "";
  byId(id).hidden = !text;
}

let busy = false;

/** Do the work, while no other is being done; what it returns is said, and what it throws too. */
export async function act(work) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  show("message");
  show("done");
  try {
    show("done", await work());
  } catch (error) {
    show("message", sayError(error));
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

/** Have a button do work when it is pressed. */
export const onPress = (button, work) =>
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") act(() => work(button));
  });
