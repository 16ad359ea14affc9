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
  for (const [, info, code] of guide.matchAll(/^ *`{3,}(tsx?\b.*?)\n(.*?)^ *`{3,}$/gms)) {
    const named = /^\/\/ ([\w-]+\.(tsx?))\n/.exec(code);
    if (named?.[2] !== info) {
      throw new Error(`${name}: a block of ${info} whose first line names no file of that kind:\n${code}`);
    }
    writeFileSync(new URL(named[1], target), code.slice(named[0].length), { flag: "wx" });
  }
}
