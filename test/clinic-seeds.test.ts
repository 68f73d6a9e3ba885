import { beforeEach } from "vitest";
import { examineAll } from "./clinic/examine.ts";
import { HAS_SEEDS, SEED_PATIENTS } from "./clinic/seeds.ts";
import { useRig } from "./rig/ledger.ts";
import { isContinuousIntegration } from "./rig/requires.ts";

useRig();

beforeEach((context) => {
  if (HAS_SEEDS) return;
  if (isContinuousIntegration()) throw new Error("the seeds are missing");
  context.skip("the seeds are missing");
});

examineAll(SEED_PATIENTS.map((patient) => ({ ...patient, needs: ["nginx"] })));
