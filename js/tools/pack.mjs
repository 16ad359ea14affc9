/**
 * Packs the package as it would be published, and installs that where the tests find it; with `--keep` it goes into the
 * folder `dist` of the project instead, for an application of yours. It must not know the tests.
 *
 * `KEYTURN_TARBALL` is the path of one that was packed before: a release tests the very file that it publishes.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const built = process.env.KEYTURN_TARBALL && resolve(process.env.KEYTURN_TARBALL);
process.chdir(new URL("..", import.meta.url).pathname);
const npm = (...args) => {
  const options = { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] };
  return execFileSync(process.execPath, [process.env.npm_execpath, ...args], options);
};
const packInto = (folder) => {
  const [{ filename }] = JSON.parse(npm("pack", "--json", "--ignore-scripts", "--pack-destination", folder));
  return join(folder, filename);
};

if (process.argv[2] === "--keep") {
  const folder = resolve("../dist");
  mkdirSync(folder, { recursive: true });
  console.log(packInto(folder));
} else {
  const folder = mkdtempSync(join(tmpdir(), "keyturn-pack-"));
  try {
    const tarball = built || packInto(folder);
    rmSync("test/node_modules", { recursive: true, force: true });
    const quiet = ["--offline", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
    npm("install", "--prefix", "test", ...quiet, tarball);
    copyFileSync(tarball, "test/node_modules/keyturn.tgz");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
