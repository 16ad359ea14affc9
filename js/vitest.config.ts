/** How the tests run. It knows none of them. */

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/*.test.ts"],
    environmentOptions: { happyDOM: { url: "https://app.test/" } },
  },
});
