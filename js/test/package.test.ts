/** The package as it is published: what is in it, how small it is, and how it resolves. */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";

const here = new URL(".", import.meta.url).pathname;
const installed = `${here}node_modules/keyturn`;
const LIMIT = 4096; // bytes

/** Bundle a module as an application does. */
const bundle = async (contents: string, minify = true): Promise<string> => {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: here },
    bundle: true,
    minify,
    format: "esm",
    target: "es2022",
    logLevel: "error",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
};

describe("the package", () => {
  test("holds what is published, and nothing else", () => {
    const files = readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map((each) => `${each.parentPath.slice(installed.length)}/${each.name}`.slice(1));
    const modules = readdirSync(`${here}../src`).map((name) => name.replace(/\.ts$/, ""));
    const wanted = modules.flatMap((name) => [`dist/${name}.js`, `dist/${name}.d.ts`]);
    expect(files.sort()).toEqual([...wanted, "LICENSE", "README.md", "package.json"].sort());
  });

  test("needs no other package", () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${installed}/package.json`, "utf8"));
    expect([dependencies, peerDependencies]).toEqual([undefined, undefined]);
  });

  test("has the version of the Python package, which serves the same client", () => {
    const { version } = JSON.parse(readFileSync(`${installed}/package.json`, "utf8"));
    const pyproject = readFileSync(`${here}../../pyproject.toml`, "utf8");
    expect(pyproject).toContain(`\nname = "keyturn"\nversion = "${version}"\n`);
  });

  test("is tested as it was packed, not as it lies beside the tests", () => {
    expect(import.meta.resolve("keyturn")).toBe(`file://${installed}/dist/index.js`);
    expect(existsSync(`${installed}/src`)).toBe(false);
  });

  test.runIf(process.env.KEYTURN_TARBALL)("is the very file that a release publishes", () => {
    const published = readFileSync(process.env.KEYTURN_TARBALL ?? "");
    expect(published.equals(readFileSync(`${installed}.tgz`))).toBe(true);
  });

  test(`is smaller than ${LIMIT} bytes, minified and compressed`, async () => {
    const size = gzipSync(await bundle('export * from "keyturn"'), { level: 9 }).length;
    expect(size).toBeLessThan(LIMIT);
  });

  test("shakes: who imports the error alone gets no client", async () => {
    const text = await bundle('export { AuthError } from "keyturn"', false);
    expect(text).toContain("class");
    expect(text).not.toMatch(/fetch|setTimeout|Object\.freeze|localStorage/);
    expect(text.length).toBeLessThan(1000);
    expect(await bundle('import "keyturn"')).toBe("");
  });

  test.each([
    ["publint", ["--strict"]],
    ["attw", ["--profile", "esm-only"]],
  ])("%s has nothing to say", { timeout: 120_000 }, (tool, options) => {
    const command = [`${here}../node_modules/.bin/${tool}`, ...options, `${installed}.tgz`];
    expect(() => execFileSync(process.execPath, command, { encoding: "utf8", stdio: "pipe" })).not.toThrow();
  });
});
