// Finding and making elements. It knows no session.

export const byId = (id) => document.getElementById(id);

/** Make an element with text in it. */
export function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an element of a drawing: attributes alone, because the page forbids inline styles. */
export function draw(tag, attributes, ...content) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...content);
  return element;
}

/** Make an icon out of the page's own sprite. */
export const icon = (name) =>
  draw("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("use", { href: `#i-${name}` }));
