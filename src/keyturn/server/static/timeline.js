// The story of the session as it happens: server-sent events into a list, the newest first. It draws nothing.

import { show } from "./acting.js";
import { url } from "./client.js";
import { byId, icon, make } from "./dom.js";
import { seenSince } from "./server.js";
import { say } from "./texts.js";

const ICONS = {
  issued: "issued",
  rotated: "rotated",
  kept: "kept",
  race: "race",
  recovered: "recovered",
  dropped: "dropped",
  "dropped-kept": "dropped",
  stolen: "stolen",
  fork: "alarm",
  previous: "alarm",
  stale: "alarm",
  forged: "alarm",
  logout: "signed-out",
  user: "signed-out",
};
const MOST_LINES = 200; // as many as the server keeps
const PAUSE = 3000; // milliseconds; after a refusal an EventSource does not come back by itself

/**
 * Follow one session after the other.
 *
 * `changed` is given all moments of the one that is followed; `ended` is called when that may be over.
 */
export function openTimeline(changed, ended) {
  let source;
  let again;
  let following = null;
  let place = "";
  let moments = [];

  const close = () => {
    clearTimeout(again);
    source?.close();
    source = undefined;
  };
  const open = () => {
    close();
    // A page that nobody looks at holds no connection: a browser has six for one server, for all its tabs.
    if (!following || document.hidden) return;
    source = new EventSource(`${url}/demo/events?after=${place}`);
    source.addEventListener("open", () => show("paused"));
    source.addEventListener("error", () => {
      show("paused", say("paused"));
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(comeBack, PAUSE);
    });
    source.addEventListener("message", ({ data, lastEventId }) => {
      place = lastEventId;
      add(JSON.parse(data));
    });
    source.addEventListener("end", finish);
  };
  const finish = () => {
    following = null;
    close();
    show("paused");
    ended();
  };
  const comeBack = () =>
    seenSince(0).then(open, ({ status }) => {
      if (status === 401) finish();
      else open();
    });
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
