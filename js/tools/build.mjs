/**
 * Builds the package into `dist`, and the one file for pages without a build, which the Python package serves. With
 * `--check` that file, which is committed, is compared and not written. It must not know what the client does.
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const served = new URL("../../src/keyturn/http/static/keyturn.js", import.meta.url);
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

process.chdir(new URL("..", import.meta.url).pathname);
copyFileSync("../LICENSE", "LICENSE");
rmSync("dist", { recursive: true, force: true });
execFileSync(process.execPath, ["node_modules/typescript/bin/tsc"], { stdio: "inherit" });

const { outputFiles } = await build({
  entryPoints: ["src/index.ts"],
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  banner: {
    js: `// Keyturn ${version}: the browser client. MIT licence. Built from js/src by \`npm run build\`; do not edit.`,
  },
  write: false,
});
const bundle = outputFiles[0].text;

if (!process.argv.includes("--check")) {
  writeFileSync(served, bundle);
} else if (readFileSync(served, "utf8") !== bundle) {
  console.error("src/keyturn/http/static/keyturn.js is not what js/src makes of it: run `npm run build` in js");
  process.exit(1);
}
