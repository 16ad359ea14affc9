/** Packs the package as it would be published, and installs that where the tests find it. It must not know the tests. */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

process.chdir(new URL("..", import.meta.url).pathname);
const folder = mkdtempSync(join(tmpdir(), "keyturn-pack-"));
const npm = (...args) => {
  const options = { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] };
  return execFileSync(process.execPath, [process.env.npm_execpath, ...args], options);
};
try {
  const [{ filename }] = JSON.parse(npm("pack", "--json", "--ignore-scripts", "--pack-destination", folder));
  const tarball = join(folder, filename);
  rmSync("test/node_modules", { recursive: true, force: true });
  const quiet = ["--offline", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"];
  npm("install", "--prefix", "test", ...quiet, tarball);
  copyFileSync(tarball, "test/node_modules/keyturn.tgz");
} finally {
  rmSync(folder, { recursive: true });
}
