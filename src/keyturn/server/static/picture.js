// Draws a lineage: generations in a row, arrows from each to the next. It knows no moment, and measures nothing.

import { draw } from "./dom.js";
import { say } from "./texts.js";

const STEP = 104; // from one generation to the next
const LEFT = 44;
const MIDDLE = 92; // the row of generations
const BELOW = 176; // the row of the thief's copies
const HEIGHT = 224;
const RADIUS = 23;
const MOST_ARCS = 5;

/** Draw into a box that scrolls by itself. */
export function showPicture(box, lineage) {
  const last = lineage.current - lineage.first + (lineage.end || lineage.theft ? 1 : 0);
  const width = LEFT * 2 + last * STEP;
  const svg = draw(
    "svg",
    {
      role: "img",
      "aria-labelledby": "drawing-title drawing-desc",
      viewBox: `0 0 ${width} ${HEIGHT}`,
      width,
      height: HEIGHT,
    },
    draw("title", { id: "drawing-title" }, say("picture_title")),
    draw("desc", { id: "drawing-desc" }, describe(lineage)),
    draw("defs", {}, ...["way", "alarm", "mute"].map(head)),
    ...links(lineage),
    ...ending(lineage),
    ...nodes(lineage),
  );
  const atEnd = box.scrollLeft + box.clientWidth >= box.scrollWidth - STEP;
  box.replaceChildren(svg);
  if (atEnd) box.scrollLeft = box.scrollWidth;
}

const describe = ({ current, counts, end }) =>
  say("picture_desc", { generation: current, ...counts, state: say(end ? "picture_over" : "picture_alive") });

const head = (name) =>
  draw(
    "marker",
    {
      id: `head-${name}`,
      class: name,
      viewBox: "0 0 10 10",
      refX: 8,
      refY: 5,
      markerWidth: 7,
      markerHeight: 7,
      orient: "auto-start-reverse",
    },
    draw("path", { d: "M1 1 9 5 1 9Z" }),
  );

const xOf = ({ first }, generation) => LEFT + (generation - first) * STEP;

function links(lineage) {
  const newest = Math.max(0, ...lineage.links.map(({ number }) => number));
  const drawn = new Map(); // how many arcs there are already, by place
  return lineage.links.flatMap((link) => {
    const [from, to] = [xOf(lineage, link.from), xOf(lineage, link.to)];
    if (link.from < lineage.first) return [];
    const place = `${link.to} ${link.twin || link.kind}`;
    const index = drawn.get(place) ?? 0;
    drawn.set(place, index + 1);
    const lively = link.number === newest ? " new" : "";
    if (link.kind === "race" && !link.twin && index >= MOST_ARCS) {
      return [draw("text", { class: `more${lively}`, x: (from + to) / 2, y: 20 }, `+${index + 1 - MOST_ARCS}`)];
    }
    const arrow = draw("path", {
      class: `link ${link.twin ? "theft" : link.kind}${lively}`,
      d: path(link, from, to, index),
      "marker-end": `url(#head-${link.twin ? "alarm" : "way"})`,
    });
    return link.dropped ? [arrow, cut((from + to) / 2, lively)] : [arrow];
  });
}

function path({ kind, twin }, from, to, index) {
  const gap = RADIUS + 5;
  if (twin) return `M${from + 16} ${MIDDLE + gap - 9}C${from + 34} ${BELOW} ${from + 44} ${BELOW} ${to - gap} ${BELOW}`;
  if (kind === "rotated") return `M${from + gap} ${MIDDLE}H${to - gap}`;
  const [start, end] = [from + 17, to - 17];
  const up = kind === "race";
  const y = up ? MIDDLE - 21 : MIDDLE + 21;
  const bend = (up ? -1 : 1) * (22 + index * 17);
  return `M${start} ${y}C${start + 14} ${y + bend} ${end - 14} ${y + bend} ${end} ${y}`;
}

const cut = (x, lively) => draw("path", { class: `cut${lively}`, d: `M${x - 6} ${MIDDLE - 6}l12 12m0-12-12 12` });

function ending(lineage) {
  if (!lineage.end && !lineage.theft) return [];
  const { theft, current } = lineage;
  const [from, to] = [xOf(lineage, current), xOf(lineage, current + 1)];
  const alarm = theft ? "theft" : "ended";
  const parts = [];
  if (theft) {
    const start = xOf(lineage, theft.from);
    const y = theft.twin ? BELOW : MIDDLE;
    const d = theft.twin
      ? `M${start + RADIUS + 5} ${y}C${to - 40} ${y} ${to} ${y} ${to} ${MIDDLE + RADIUS + 3}`
      : `M${start + 16} ${MIDDLE + RADIUS - 3}C${start + 40} ${BELOW} ${to} ${BELOW} ${to} ${MIDDLE + RADIUS + 3}`;
    parts.push(draw("path", { class: "link theft new", d, "marker-end": "url(#head-alarm)" }));
  } else {
    parts.push(
      draw("path", {
        class: "link ended new",
        d: `M${from + RADIUS + 5} ${MIDDLE}H${to - RADIUS - 4}`,
        "marker-end": "url(#head-mute)",
      }),
    );
  }
  const [x, y] = [to - 19, MIDDLE - 19];
  parts.push(
    draw("rect", { class: `end ${alarm}`, x, y, width: 38, height: 38, rx: 9 }),
    draw("path", { class: `end-cross ${alarm}`, d: `M${to - 7} ${MIDDLE - 7}l14 14m0-14-14 14` }),
    draw("text", { class: `label ${alarm}`, x: to, y: MIDDLE - 32 }, say("ended")),
  );
  return parts;
}

function nodes(lineage) {
  const parts = [];
  for (let generation = lineage.first; generation <= lineage.current; generation += 1) {
    const x = xOf(lineage, generation);
    const over = lineage.end || lineage.theft;
    const state = generation < lineage.current ? "spent" : over ? "over" : "current";
    parts.push(...node(x, MIDDLE, generation, state));
    const isStolen = lineage.stolen.has(generation);
    if (state === "current") {
      parts.push(draw("text", { class: "label current", x, y: MIDDLE + (isStolen ? 56 : 44) }, say("now")));
    }
    if (lineage.kept.has(generation)) parts.push(...loop(x, lineage.kept.get(generation)));
    if (isStolen) {
      parts.push(draw("circle", { class: "mark", cx: x, cy: MIDDLE + 27, r: 13 }));
      parts.push(draw("use", { class: "mask", href: "#i-stolen", x: x - 9, y: MIDDLE + 18, width: 18, height: 18 }));
    }
    if (lineage.twins.has(generation)) {
      parts.push(
        ...node(x, BELOW, generation, "twin"),
        draw("text", { class: "label theft", x, y: BELOW + 42 }, say("twin")),
      );
    }
  }
  return parts;
}

const node = (x, y, generation, state) => [
  draw("circle", { class: `node ${state}`, cx: x, cy: y, r: RADIUS }),
  draw("text", { class: `number ${state}`, x, y: y + 6 }, String(generation)),
];

const loop = (x, times) => [
  draw("path", {
    class: "link kept",
    d: `M${x - 9} ${MIDDLE - 25}C${x - 24} ${MIDDLE - 54} ${x + 24} ${MIDDLE - 54} ${x + 10} ${MIDDLE - 27}`,
    "marker-end": "url(#head-mute)",
  }),
  ...(times > 1 ? [draw("text", { class: "more", x, y: MIDDLE - 54 }, `×${times}`)] : []),
];
