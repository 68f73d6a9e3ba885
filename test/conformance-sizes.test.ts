/** Large messages, whole and in fragments, and many at once: see conformance.test.ts. */
import { beforeAll, describe, expect, test } from "vitest";
import { SIZE_CASES } from "./conformance/cases-size.ts";
import { expectConformance, type Fronts, startFronts } from "./conformance/fronts.ts";
import { SERVER_KINDS } from "./conformance/servers.ts";
import { useRig } from "./rig/ledger.ts";

useRig();

/** Each size goes nine times through the machine, and a busy one takes its time. */
const TIMEOUT_MS = 120_000;

describe.each(SERVER_KINDS)("in front of %s", (kind) => {
  let fronts: Fronts;
  beforeAll(async () => {
    fronts = await startFronts(kind);
  });

  test.each(SIZE_CASES)(
    "$id: $says",
    async (row) => {
      await expectConformance(fronts, row, ["whole", "random"]);
      expect(fronts.kind).toBe(kind);
    },
    TIMEOUT_MS,
  );
});
