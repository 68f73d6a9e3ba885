/** The report for a terminal: the verdict in plain words first, then the evidence. */
import type { Diagnosis } from "../diagnose.ts";
import { graveRemarks, remarkWords } from "../verdict/configuration.ts";
import type { Cause, Product } from "../verdict/illness.ts";
import { fillIn } from "../verdict/verdict.ts";
import type { Language, Words } from "../words.ts";
import { cutShortWords, duration, type EvidenceStep, evidenceSteps } from "./evidence.ts";
import { browserMessages } from "./messages.ts";
import { chosenMends, otherProducts } from "./mends.ts";
import { padColumns, printable } from "./printable.ts";
import { certaintyWords, HEADLINES, PHRASES } from "./phrases.ts";

export interface TextOptions {
  readonly language: Language;
  /** Whose mends to show; null for those that fit. */
  readonly product: Product | "all" | null;
}

export function textReport(diagnosis: Diagnosis, options: TextOptions): string {
  const { verdict, front, backend } = diagnosis;
  const { language } = options;
  const [first, ...others] = verdict.causes;
  const lines: string[] = [headline(diagnosis, language), ""];
  const cutShort = cutShortWords(front);
  if (cutShort !== null) lines.push(cutShort[language], "");
  if (verdict.comparison !== null) lines.push(verdict.comparison[language], "");
  if (first !== undefined) lines.push(...causeLines(first, diagnosis, options), "");
  if (others.length > 0) {
    lines.push(`${PHRASES.others[language]}:`);
    for (const cause of others) lines.push(...briefCause(cause, language));
    lines.push("");
  }
  if (verdict.notes.length > 0) {
    lines.push(`${PHRASES.notes[language]}:`);
    for (const note of verdict.notes) lines.push(...briefCause(note, language));
    lines.push("");
  }
  const remarks = graveRemarks(diagnosis.remarks);
  if (remarks.length > 0)
    lines.push(
      PHRASES.configuration[language],
      ...remarks.map((remark) => `  - ${remarkWords(remark)[language]}`),
      "",
    );
  lines.push(
    `${PHRASES.evidence[language]} [${duration(front.ms)}]`,
    ...evidenceLines(evidenceSteps(front), language),
  );
  if (backend !== null)
    lines.push(
      "",
      `${PHRASES.backend[language]} [${duration(backend.ms)}]`,
      ...evidenceLines(evidenceSteps(backend), language),
    );
  return printable(`${lines.join("\n")}\n`);
}

function headline({ verdict }: Diagnosis, language: Language): string {
  const [first] = verdict.causes;
  if (first === undefined) return HEADLINES[verdict.state][language];
  const certainty = certaintyWords(first.certainty)[language];
  const title = fillIn(first.illness.title[language], first.values);
  return `${HEADLINES.sick[language]} (${first.illness.id}, ${certainty}): ${title}`;
}

function causeLines(
  cause: Cause,
  { front }: Diagnosis,
  { language, product }: TextOptions,
): readonly string[] {
  const { illness, support, values } = cause;
  const say = (text: Words): string => fillIn(text[language], values);
  const mends = chosenMends(cause, front, product);
  const others = otherProducts(cause, mends);
  const messages = browserMessages(cause, front).map(([browser, message]) => `  ${browser}: ${message}`);
  return [
    `${PHRASES.why[language]}: ${say(illness.explanation)}`,
    "",
    `${PHRASES.support[language]}:`,
    ...support.map((line) => `  - ${line[language]}`),
    ...(messages.length > 0 ? ["", `${PHRASES.browser[language]}:`, ...messages] : []),
    "",
    `${PHRASES.mend[language]}:`,
    ...mends.flatMap(({ product: whose, what, lines }) => [
      `  [${whose}] ${say(what)}`,
      ...(lines === undefined
        ? []
        : fillIn(lines, values)
            .split("\n")
            .map((line) => `      ${line}`.trimEnd())),
    ]),
    ...(others.length > 0 ? [`  ${PHRASES.more[language]} ${others.join("|")}|all`] : []),
    "",
    `${PHRASES.confirm[language]}: ${say(illness.confirm)}`,
  ];
}

function briefCause({ illness, certainty, support, values }: Cause, language: Language): readonly string[] {
  const how = illness.severity === "note" ? "" : ` (${certaintyWords(certainty)[language]})`;
  const [why] = support;
  return [
    `  - ${illness.id}${how}: ${fillIn(illness.title[language], values)}`,
    ...(why === undefined ? [] : [`    ${why[language]}`]),
  ];
}

function evidenceLines(steps: readonly EvidenceStep[], language: Language): readonly string[] {
  return steps.flatMap(({ name, lines }) =>
    lines.map((line, index) => `  ${padColumns(index === 0 ? name[language] : "", 10)} ${line[language]}`),
  );
}
