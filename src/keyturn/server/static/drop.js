// A refresh whose answer is lost on its way: the client must recover by itself.

import { dropNext } from "./faults.js";
import { seenSince, windowPassed } from "./server.js";
import { say } from "./texts.js";

/** Run it, and say in a sentence what happened. */
export async function dropAnswer(said, auth) {
  await windowPassed(said);
  said.textContent = say("working");
  const { last } = await seenSince(0);
  const end = dropNext();
  let dropped = false;
  try {
    await auth.refresh();
  } finally {
    dropped = end();
  }
  const codes = (await seenSince(last)).moments.map(({ code }) => code);
  if (!dropped) return say("drop.none");
  const lost = codes.indexOf("dropped");
  const after = lost < 0 ? [] : codes.slice(lost);
  const kind = after.find((code) => code === "race" || code === "recovered");
  return say(`drop.${kind ?? "other"}`, { race_window: document.body.dataset.raceWindowText });
}
