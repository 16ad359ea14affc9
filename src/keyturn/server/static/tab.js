// One of the six small tabs: a document of its own with a client of its own, which refreshes when it is told to.

import { openAuth, url } from "./client.js";
import { byId } from "./dom.js";
import { say } from "./texts.js";

const SHOWN = 8;
const asked = new URL(location.href).searchParams;
const isAlone = asked.get("lock") === "off";
let requests = 0;

const counting = (input, init) => {
  if (String(input) === `${url}/refresh`) requests += 1;
  return fetch(input, init);
};

// Without the lock, the tab neither waits for others nor hears them: as in a browser that has neither means.
if (isAlone) delete globalThis.BroadcastChannel;
const auth = isAlone
  ? openAuth({ restore: false, fetch: counting, lock: (_, work) => work() })
  : openAuth({ fetch: counting });

const tell = (message) => parent.postMessage(message, location.origin);

function show(answer, token) {
  const { claims } = auth.session();
  byId("answer").textContent = say(`tab.${answer}`);
  byId("generation").textContent = claims ? say("tab.generation", { generation: claims.gen }) : "";
  if (token) byId("token").textContent = `…${token.slice(-SHOWN)}`;
  document.body.dataset.answer = answer;
}

async function refresh() {
  show("asking");
  const [before, begun] = [await held(), requests];
  await auth.refresh().catch(() => undefined);
  const token = await held();
  const renewed = token !== undefined && token !== before;
  show(renewed ? (requests > begun ? "asked" : "told") : "failed", token);
  auth.close();
  tell({ kind: "done", renewed });
}

const held = () => (auth.session().status === "signed-in" ? auth.token() : undefined);

async function settled() {
  if (auth.session().status === "pending") {
    await new Promise((resolve) => {
      const end = auth.subscribe((session) => {
        if (session.status === "pending") return;
        end();
        resolve();
      });
    });
  }
  show("ready", await held());
  tell({ kind: "ready" });
}

byId("number").textContent = asked.get("number");
addEventListener("message", ({ source, origin, data }) => {
  if (source === parent && origin === location.origin && data === "refresh") refresh();
});
show("opening");
settled();
