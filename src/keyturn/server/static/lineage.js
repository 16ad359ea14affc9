// What a session's moments say of its generations: nodes, links between them, an end. It knows no page.

const THEFTS = new Set(["fork", "previous", "stale"]);
const ENDS = new Set(["logout", "user", "reuse", "revoked", "expired"]);

/** Read moments, the oldest first. */
export function readLineage(moments) {
  const known = moments.map(({ generation }) => generation).filter((each) => typeof each === "number");
  const lineage = {
    first: 0,
    current: 0,
    links: [], // { from, to, kind, thief, dropped, number }
    kept: new Map(), // generation → how often it was refreshed without turning
    stolen: new Set(), // generations of which a copy was made
    twins: new Set(), // generations that a thief holds too
    theft: null, // { kind, from, twin, number }
    end: null, // { kind, number }
    counts: { rotated: 0, race: 0, recovered: 0, theft: 0 },
  };
  if (known.length === 0) return lineage;
  const begins = moments.some(({ code }) => code === "issued");
  lineage.first = begins ? 0 : Math.max(0, Math.min(...known) - 1);
  lineage.current = lineage.first;
  for (const moment of moments) take(lineage, moment);
  return lineage;
}

function take(lineage, { code, generation, actor, number }) {
  const thief = actor === "thief";
  const linked = code === "rotated" || code === "race" || code === "recovered";
  if (typeof generation === "number" && code !== "stolen") lineage.current = Math.max(lineage.current, generation);
  if (linked) {
    const twin = thief && code !== "rotated";
    if (twin) lineage.twins.add(generation);
    lineage.links.push({ from: generation - 1, to: generation, kind: code, twin, dropped: false, number });
    lineage.counts[code] += 1;
  } else if (code === "kept") {
    lineage.kept.set(generation, (lineage.kept.get(generation) ?? 0) + 1);
  } else if (code === "stolen") {
    lineage.stolen.add(generation);
  } else if (code === "dropped") {
    const last = lineage.links.findLast(({ to }) => to === generation);
    if (last) last.dropped = true;
  } else if (THEFTS.has(code)) {
    const from = Math.max(lineage.first, generation - (code === "stale" ? 2 : 1));
    lineage.theft = { kind: code, from, twin: lineage.twins.has(from), number };
    lineage.counts.theft += 1;
  } else if (ENDS.has(code)) {
    lineage.end = { kind: code, number };
  }
}
