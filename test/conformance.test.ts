/**
 * Whoever goes through the proxy sees what he would see of the server itself: a table after the public case list of the
 * Autobahn test suite, raw bytes against servers that nobody here wrote.
 */
import { beforeAll, describe, expect, test } from "vitest";
import type { Case } from "./conformance/case.ts";
import { CLOSE_CASES } from "./conformance/cases-close.ts";
import { FRAMING_CASES } from "./conformance/cases-framing.ts";
import { TEXT_CASES } from "./conformance/cases-text.ts";
import { expectConformance, type Fronts, startFronts } from "./conformance/fronts.ts";
import { SERVER_KINDS } from "./conformance/servers.ts";
import { useRig } from "./rig/ledger.ts";

useRig();

const SECTIONS: Readonly<Record<string, readonly Case[]>> = {
  "framing, control frames, fragments": FRAMING_CASES,
  text: TEXT_CASES,
  closing: CLOSE_CASES,
};

describe.each(SERVER_KINDS)("in front of %s", (kind) => {
  let fronts: Fronts;
  beforeAll(async () => {
    fronts = await startFronts(kind);
  });

  describe.each(Object.entries(SECTIONS))("%s", (_section, cases) => {
    test.each(cases)("$id: $says", async (row) => {
      await expectConformance(fronts, row);
      expect(fronts.kind).toBe(kind);
    });
  });
});
