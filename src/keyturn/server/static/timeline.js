// The story of the session as it happens: server-sent events into a list, the newest first. It draws nothing.

import { show } from "./acting.js";
import { url } from "./client.js";
import { byId, icon, make } from "./dom.js";
import { say } from "./texts.js";

const ICONS = {
  issued: "issued",
  rotated: "rotated",
  kept: "kept",
  race: "race",
  recovered: "recovered",
  dropped: "dropped",
  stolen: "stolen",
  fork: "alarm",
  previous: "alarm",
  stale: "alarm",
  forged: "alarm",
  logout: "signed-out",
};
const MOST_LINES = 200; // as many as the server keeps

/** Follow one session after the other; `changed` is given all moments of the one that is followed. */
export function openTimeline(changed) {
  let source;
  let following = null;
  let place = "";
  let moments = [];

  const close = () => {
    source?.close();
    source = undefined;
  };
  const open = () => {
    close();
    // A page that nobody looks at holds no connection: a browser has six for one server, for all its tabs.
    if (!following || document.hidden) return;
    source = new EventSource(`${url}/demo/events?after=${place}`);
    source.addEventListener("open", () => show("paused"));
    source.addEventListener("error", () =>
      show("paused", source?.readyState === EventSource.CONNECTING && say("paused")),
    );
    source.addEventListener("message", ({ data, lastEventId }) => {
      place = lastEventId;
      add(JSON.parse(data));
    });
    source.addEventListener("end", () => {
      following = null;
      close();
    });
  };
  const add = (moment) => {
    moments = [...moments, moment].slice(-MOST_LINES);
    byId("timeline").prepend(line(moment));
    byId("timeline").children[MOST_LINES]?.remove();
    byId("timeline-empty").hidden = true;
    changed(moments);
  };

  document.addEventListener("visibilitychange", open);
  return {
    /** Begin with a session, where it is another one. */
    follow(sessionId) {
      if (sessionId === following) return;
      following = sessionId;
      place = "";
      moments = [];
      byId("timeline").replaceChildren();
      byId("timeline-empty").hidden = false;
      changed(moments);
      open();
    },
  };
}

function line(moment) {
  const at = new Date(moment.at * 1000);
  const time = make("time", "", at.toLocaleTimeString(document.documentElement.lang));
  time.dateTime = at.toISOString();
  const title = make("p", "title", moment.title);
  if (moment.actor === "thief") title.prepend(make("span", "thief", say("thief")), " ");
  const item = make(
    "li",
    "",
    icon(ICONS[moment.code] ?? "ended"),
    make("div", "", title, make("p", "text", moment.text)),
    time,
  );
  item.dataset.code = moment.code;
  item.dataset.actor = moment.actor;
  return item;
}
