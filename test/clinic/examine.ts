/** Has the doctor look at a patient, within the test's process, so that the rig sees whether it leaves anything open. */
import { expect, test } from "vitest";
import { readDoctorCommand } from "../../src/cli/doctor-flags.ts";
import { diagnose, type Diagnosis } from "../../src/doctor/diagnose.ts";
import { textReport } from "../../src/doctor/report/text.ts";
import { requires } from "../rig/requires.ts";
import type { Patient } from "./patient.ts";
import { authorityFile } from "./proxies.ts";

/** The arguments with `{{ca}}` replaced by a file that has the rig's authority. */
export async function fillInAuthority(args: readonly string[]): Promise<readonly string[]> {
  if (!args.includes("{{ca}}")) return args;
  const file = await authorityFile();
  return args.map((arg) => (arg === "{{ca}}" ? file : arg));
}

export async function examine(args: readonly string[]): Promise<Diagnosis> {
  const command = readDoctorCommand(await fillInAuthority(args));
  if (command === "help") throw new Error("the clinic asks for no help");
  return diagnose(command.diagnose);
}

/** One test for each patient. */
export function examineAll(patients: readonly Patient[]): void {
  for (const patient of patients) {
    const says = patient.illness === null ? "is well" : `has ${patient.illness}`;
    test(`${patient.made}: ${says}`, async (context) => {
      requires(context, ...(patient.needs ?? []));
      const diagnosis = await examine(await patient.admit());
      const { causes, state } = diagnosis.verdict;
      const report = textReport(diagnosis, { language: "en", product: null });
      // The report is there for whoever reads the failure.
      expect({ said: causes[0]?.illness.id ?? state, report }).toMatchObject({
        said: patient.illness ?? "healthy",
      });
    });
  }
}
