/** The report for machines. */
import type { Diagnosis } from "../diagnose.ts";
import type { Cause } from "../verdict/illness.ts";
import { fillIn } from "../verdict/verdict.ts";
import type { Language, Words } from "../words.ts";
import { type Redact, redactDeep } from "./redact.ts";

/** Its shape is stable; `walk` and `backend` are the evidence as it was found. */
export function jsonReport(
  { verdict, front, backend, remarks }: Diagnosis,
  language: Language,
  redact: Redact,
): string {
  const report = {
    version: 1,
    state: verdict.state,
    causes: verdict.causes.map((cause) => describe(cause, language)),
    notes: verdict.notes.map((note) => describe(note, language)),
    comparison: verdict.comparison?.[language] ?? null,
    configuration: remarks,
    walk: front,
    backend,
  };
  return `${JSON.stringify(redactDeep(report, redact), null, 2)}\n`;
}

function describe({ illness, certainty, support, values }: Cause, language: Language): object {
  const say = (text: Words): string => fillIn(text[language], values);
  return {
    id: illness.id,
    certainty,
    title: say(illness.title),
    explanation: say(illness.explanation),
    support: support.map((line) => line[language]),
    mends: illness.mends.map(({ product, what, lines }) => ({
      product,
      what: say(what),
      ...(lines === undefined ? {} : { lines: fillIn(lines, values) }),
    })),
    confirm: say(illness.confirm),
    browsers: illness.browsers,
  };
}
