// The page at "/" of a demonstration: brings session, timeline, picture and experiments together.

import { allow, onPress } from "./acting.js";
import { openAuth } from "./client.js";
import { byId } from "./dom.js";
import { dropAnswer } from "./drop.js";
import { fetchWithFaults } from "./faults.js";
import { readLineage } from "./lineage.js";
import { showPicture } from "./picture.js";
import { followSession } from "./session.js";
import { refreshInTabs } from "./tabs.js";
import { isStolen, replayInside, replayOutside, stealToken } from "./theft.js";
import { openTimeline } from "./timeline.js";

const auth = openAuth({ fetch: fetchWithFaults });
const empty = byId("picture").firstElementChild;
/** Have the client find out that the session may have ended elsewhere; where it has, that is said. */
const lookAgain = () => auth.refresh().catch(() => auth.session());
const timeline = openTimeline(
  (moments) => {
    const lineage = readLineage(moments);
    byId("generation").textContent = lineage.current;
    if (moments.length > 0) showPicture(byId("picture"), lineage);
    else byId("picture").replaceChildren(empty);
  },
  () => auth.session().status === "signed-in" && lookAgain(),
);

let shown; // the session that all this is about
let running = false; // an experiment, during which no other can begin

function follow(session) {
  if (session.sessionId && session.sessionId !== shown) {
    shown = session.sessionId;
    for (const element of document.querySelectorAll(".said, .steps")) element.replaceChildren();
    timeline.follow(shown);
  }
  const ready = session.status === "signed-in" && !running;
  for (const id of ["tabs", "drop", "steal"]) if (byId(id)) allow(byId(id), ready);
  for (const id of ["inside", "outside"]) if (byId(id)) allow(byId(id), ready && isStolen(session.sessionId));
}

/** Have a button run an experiment; its sentence stands behind it, where it stays. */
function onExperiment(id, run) {
  const button = byId(id);
  if (!button) return; // where nothing rotates
  button.disabled = false;
  const said = byId(`${id}-said`);
  onPress(button, async () => {
    running = true;
    follow(auth.session());
    try {
      said.replaceChildren(await run(said));
    } catch (error) {
      said.replaceChildren();
      const { status } = error.status === 401 ? await lookAgain() : auth.session();
      if (status === "signed-in") throw error; // else it is said that the session is over
    } finally {
      running = false;
      follow(auth.session());
    }
  });
}

followSession(auth);
auth.subscribe(follow);
onExperiment("tabs", (said) =>
  refreshInTabs(said, { locked: document.querySelector("input[name=lock]:checked").value === "on" }),
);
onExperiment("drop", (said) => dropAnswer(said, auth));
onExperiment("steal", () => stealToken(auth));
onExperiment("inside", (said) => replayInside(said, byId("inside-steps"), auth));
onExperiment("outside", (said) => replayOutside(said, byId("outside-steps"), auth));
for (const button of document.querySelectorAll("[data-user]")) {
  button.addEventListener("click", () => {
    byId("username").value = button.dataset.user;
    byId("password").focus();
  });
}
follow(auth.session());
