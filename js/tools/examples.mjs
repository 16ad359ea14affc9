/**
 * Takes the examples out of the guides, so that what is read is what is tested: each block of code whose first line
 * names a file becomes that file. It must not know what they say.
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const target = new URL("../test/examples/", import.meta.url);
rmSync(target, { recursive: true, force: true });
mkdirSync(target);
for (const name of ["browser-client.md", "server-side-rendering.md"]) {
  const guide = readFileSync(new URL(`../../docs/how-to/${name}`, import.meta.url), "utf8");
  for (const [, file, code] of guide.matchAll(/^```tsx?\n\/\/ ([\w-]+\.tsx?)\n(.*?)^```$/gms)) {
    writeFileSync(new URL(file, target), code, { flag: "wx" });
  }
}
