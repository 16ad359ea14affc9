// The page at "/": signs in, shows who is, refreshes, signs out.

import { onPress } from "./acting.js";
import { openAuth } from "./client.js";
import { byId } from "./dom.js";
import { followSession } from "./session.js";
import { say } from "./texts.js";

const auth = openAuth();
followSession(auth);
onPress(byId("refresh"), async () => {
  const session = await auth.refresh();
  return session.status === "signed-in" ? say("refreshed") : undefined;
});
