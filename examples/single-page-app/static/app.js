// Signs in, shows notes, and never thinks about tokens: the client refreshes, in one tab for all of them.
import { createAuth } from "/auth/keyturn.js";

const auth = createAuth({ url: "/auth" });
const find = (id) => document.getElementById(id);

// Called now, and whenever somebody signs in or out, here or in another tab.
function show(session) {
  find("sign-in").hidden = session.status !== "signed-out";
  find("signed-in").hidden = session.status !== "signed-in";
  find("user").textContent = session.userId ?? "";
  if (session.status === "signed-in") attempt(loadNotes);
  else find("notes").replaceChildren();
}

async function loadNotes() {
  const answer = await auth.fetch("/api/notes");
  if (!answer.ok) return;
  const items = (await answer.json()).map((text) => Object.assign(document.createElement("li"), { textContent: text }));
  find("notes").replaceChildren(...items);
}

async function attempt(work) {
  find("message").textContent = "";
  try {
    await work();
  } catch (error) {
    const sentences = { invalid_credentials: "That name or password is not right." };
    find("message").textContent = sentences[error.code] ?? "That did not work. Try again in a moment.";
  }
}

function onSubmit(id, work) {
  find(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    event.target.reset();
    attempt(() => work(fields));
  });
}

onSubmit("sign-in", (fields) => auth.login(fields));
onSubmit("add", async ({ note }) => {
  await auth.fetch("/api/notes", { method: "POST", body: note });
  await loadNotes();
});
find("sign-out").addEventListener("click", () => attempt(() => auth.logout()));

auth.subscribe(show);
show(auth.session());
