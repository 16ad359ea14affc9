// One button, its work once at a time, one sentence about how it went. It knows no session.

import { byId } from "./dom.js";
import { sayError } from "./texts.js";

/** Say whether a button can be used. It keeps the focus either way, and can be read out. */
export const allow = (button, allowed) => button.setAttribute("aria-disabled", String(!allowed));

/** Show a sentence, or nothing. */
export function show(id, text) {
  byId(id).textContent = text ?? "";
  byId(id).hidden = !text;
}

let going = 0; // pieces of work: one may begin while another is being done, such as signing out

async function act(work) {
  going += 1;
  document.body.setAttribute("aria-busy", "true");
  show("message");
  show("done");
  try {
    const said = await work();
    if (said) show("done", said);
  } catch (error) {
    show("message", sayError(error));
  } finally {
    going -= 1;
    if (going === 0) document.body.removeAttribute("aria-busy");
  }
}

/** Give what does the work, unless it is being done; what it returns is said, and what it throws too. */
export function onceAtATime(work) {
  let busy = false;
  return async () => {
    if (busy) return;
    busy = true;
    await act(work);
    busy = false;
  };
}

/** Have a button do work when it is pressed. */
export function onPress(button, work) {
  const begin = onceAtATime(work);
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") !== "true") begin();
  });
}
