// Six real documents refresh at the same moment; the server says how many requests it saw.

import { byId } from "./dom.js";
import { REFRESHES, seenSince, windowPassed } from "./server.js";
import { say } from "./texts.js";

const TABS = 6;
const PATIENCE = 30_000; // milliseconds

/** Run it, and say in a sentence what happened. */
export async function refreshInTabs(said, { locked }) {
  said.textContent = say("working");
  const frames = Array.from({ length: TABS }, (_, index) => openTab(index + 1, locked));
  const ready = heardFrom(frames, "ready");
  byId("frames").hidden = false;
  byId("frames").replaceChildren(...frames);
  const opened = (await ready).length;
  if (opened < TABS) return say("tabs.unopened", { tabs: opened });
  await windowPassed(said);
  said.textContent = say("working");
  const { last } = await seenSince(0);
  const done = heardFrom(frames, "done");
  for (const frame of frames) frame.contentWindow.postMessage("refresh", location.origin);
  const tabs = (await done).filter(({ renewed }) => renewed).length;
  return sentence(tabs, (await seenSince(last)).moments, locked);
}

function sentence(tabs, moments, locked) {
  const codes = moments.map(({ code }) => code).filter((code) => REFRESHES.has(code));
  const count = (...wanted) => codes.filter((code) => wanted.includes(code)).length;
  const values = {
    tabs,
    requests: codes.length,
    rotated: count("rotated"),
    converged: count("race", "recovered"),
    kept: count("kept"),
  };
  const good = tabs === TABS && values.rotated + values.converged + values.kept === codes.length;
  if (good && locked && codes.length === 1) return say("tabs.locked");
  if (good && !locked) return say(values.kept > 0 ? "tabs.unlocked_late" : "tabs.unlocked", values);
  return say("tabs.other", values);
}

function openTab(number, locked) {
  const frame = document.createElement("iframe");
  frame.src = `demo/tab?number=${number}&lock=${locked ? "on" : "off"}`;
  frame.title = say("tab.title", { number });
  return frame;
}

/** Wait for one message of a kind from each of the frames; gives those that came in time. */
async function heardFrom(frames, kind) {
  const over = new AbortController();
  const heard = new Map();
  await new Promise((resolve) => {
    const listen = ({ source, origin, data }) => {
      const frame = frames.find((each) => each.contentWindow === source);
      if (!frame || origin !== location.origin || data.kind !== kind) return;
      heard.set(frame, data);
      if (heard.size === frames.length) resolve();
    };
    addEventListener("message", listen, { signal: over.signal });
    setTimeout(resolve, PATIENCE);
  });
  over.abort();
  return [...heard.values()];
}
