// Signs in, shows notes, and never thinks about tokens: the client refreshes, in one tab for all of them.
import { createAuth } from "/auth/keyturn.js";

const auth = createAuth({ url: "/auth" });
const find = (id) => document.getElementById(id);
const say = (sentence) => {
  find("message").textContent = sentence;
};
const ENDED = "Your session has ended. Sign in again.";

// Called now, and whenever somebody signs in or out, here or in another tab.
function show(session) {
  find("sign-in").hidden = session.status !== "signed-out";
  find("signed-in").hidden = session.status !== "signed-in";
  find("user").textContent = session.userId ?? "";
  if (session.status === "signed-in") attempt(loadNotes);
  else find("notes").replaceChildren();
  if (session.reason === "ended") say(ENDED);
}

async function ask(path, options) {
  const answer = await auth.fetch(path, options);
  if (answer.ok) return answer;
  throw Object.assign(new Error(path), { code: answer.status === 401 ? "signed_out" : "refused" });
}

async function loadNotes() {
  const answer = await ask("/api/notes");
  const items = (await answer.json()).map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  find("notes").replaceChildren(...items);
}

// Gives whether it worked, and says so where it did not.
async function attempt(work) {
  say("");
  try {
    await work();
    return true;
  } catch (error) {
    const sentences = { invalid_credentials: "That name or password is not right.", signed_out: ENDED };
    say(sentences[error.code] ?? "That did not work. Try again in a moment.");
    return false;
  }
}

function onSubmit(id, work) {
  find(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    if (await attempt(() => work(Object.fromEntries(new FormData(form))))) form.reset(); // else nothing typed is lost
  });
}

onSubmit("sign-in", (fields) => auth.login(fields));
onSubmit("add", async ({ note }) => {
  await ask("/api/notes", { method: "POST", body: note });
  await loadNotes();
});
find("sign-out").addEventListener("click", () => attempt(() => auth.logout()));

auth.subscribe(show);
show(auth.session());
