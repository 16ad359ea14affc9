// The words of scripts: those that the server wrote into the page, in its language. It knows no place for them.

const texts = JSON.parse(document.getElementById("texts").content.textContent);

/** Give a text by its place, such as "tabs.locked"; undefined where there is none. */
export function say(place, values = {}) {
  const text = place.split(".").reduce((part, name) => part?.[name], texts);
  return text?.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Say why something failed. */
export const sayError = (error) =>
  say(`errors.${error.code}`) ?? (error.code ? say("errors.other", { status: error.status }) : String(error));
