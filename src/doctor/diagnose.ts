/** The doctor's work from end to end: walk, walk to the backend, judge. */
import { ALONE, type Company, walk, type Walk, type WalkOptions } from "./probe/walk.ts";
import type { Remark } from "./verdict/configuration.ts";
import type { Verdict } from "./verdict/illness.ts";
import { judge } from "./verdict/verdict.ts";

export interface Diagnosis {
  readonly verdict: Verdict;
  readonly front: Walk;
  readonly backend: Walk | null;
  readonly remarks: readonly Remark[];
}

export interface DiagnoseOptions {
  readonly front: WalkOptions;
  /** Null where there is no backend to compare with. */
  readonly backend: WalkOptions | null;
  /** What the linter says about the configuration of the proxy in front. */
  readonly remarks: readonly Remark[];
}

export async function diagnose(options: DiagnoseOptions, company: Company = ALONE): Promise<Diagnosis> {
  const [front, backend] = await Promise.all([
    walk(options.front, company),
    options.backend === null ? null : walk(options.backend, { ...ALONE, hurry: company.hurry }),
  ]);
  const { remarks } = options;
  return { verdict: judge({ front, backend, remarks }), front, backend, remarks };
}
