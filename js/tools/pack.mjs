/**
 * Packs the package as it would be published, and installs that where the tests find it. It must not know the tests.
 *
 * `KEYTURN_TARBALL` is the path of one that was packed before: a release tests the very file that it publishes.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const built = process.env.KEYTURN_TARBALL && resolve(process.env.KEYTURN_TARBALL);
process.chdir(new URL("..", import.meta.url).pathname);
const folder = mkdtempSync(join(tmpdir(), "keyturn-pack-"));
const npm = (...args) => {
  const options = { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] };
  return execFileSync(process.execPath, [process.env.npm_execpath, ...args], options);
};
const pack = () => {
  const [{ filename }] = JSON.parse(npm("pack", "--json", "--ignore-scripts", "--pack-destination", folder));
  return join(folder, filename);
};
try {
  const tarball = built || pack();
  rmSync("test/node_modules", { recursive: true, force: true });
  const quiet = ["--offline", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
  npm("install", "--prefix", "test", ...quiet, tarball);
  copyFileSync(tarball, "test/node_modules/keyturn.tgz");
} finally {
  rmSync(folder, { recursive: true });
}
