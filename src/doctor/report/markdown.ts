/** The report to paste into a ticket. */
import type { Diagnosis } from "../diagnose.ts";
import { graveRemarks, remarkWords } from "../verdict/configuration.ts";
import { fillIn } from "../verdict/verdict.ts";
import type { Words } from "../words.ts";
import { cutShortWords, evidenceSteps } from "./evidence.ts";
import { browserMessages } from "./messages.ts";
import { chosenMends } from "./mends.ts";
import { printable } from "./printable.ts";
import { certaintyWords, HEADLINES, PHRASES } from "./phrases.ts";
import type { TextOptions } from "./text.ts";

export function markdownReport(diagnosis: Diagnosis, { language, product }: TextOptions): string {
  const { verdict, front, backend } = diagnosis;
  const lines: string[] = [
    `# WebSocket: ${front.url.given}`,
    "",
    `**${HEADLINES[verdict.state][language]}**`,
    "",
  ];
  const cutShort = cutShortWords(front);
  if (cutShort !== null) lines.push(cutShort[language], "");
  if (verdict.comparison !== null) lines.push(verdict.comparison[language], "");
  for (const cause of verdict.causes) {
    const { illness, certainty, support, values } = cause;
    const say = (text: Words): string => fillIn(text[language], values);
    lines.push(`## ${illness.id} (${certaintyWords(certainty)[language]})`, "", say(illness.title), "");
    lines.push(say(illness.explanation), "", ...support.map((line) => `- ${line[language]}`), "");
    if (cause !== verdict.causes[0]) continue;
    for (const { product: whose, what, lines: code } of chosenMends(cause, front, product)) {
      lines.push(`**${whose}**: ${say(what)}`, "");
      if (code !== undefined) lines.push("```", fillIn(code, values), "```", "");
    }
    lines.push(`${PHRASES.confirm[language]}: ${say(illness.confirm)}`, "");
    const messages = browserMessages(cause, front).map(
      ([browser, message]) => `- ${browser}: \`${message}\``,
    );
    if (messages.length > 0) lines.push(`${PHRASES.browser[language]}:`, "", ...messages, "");
  }
  for (const note of verdict.notes)
    lines.push(`- ${note.illness.id}: ${fillIn(note.illness.title[language], note.values)}`);
  const remarks = graveRemarks(diagnosis.remarks);
  if (remarks.length > 0)
    lines.push(
      "",
      `## ${PHRASES.configuration[language]}`,
      "",
      ...remarks.map((remark) => `- ${remarkWords(remark)[language]}`),
    );
  const walks = backend === null ? [front] : [front, backend];
  for (const walk of walks) {
    const title = walk === front ? PHRASES.evidence : PHRASES.backend;
    lines.push("", `<details><summary>${title[language]}</summary>`, "", "```");
    for (const { name, lines: facts } of evidenceSteps(walk))
      lines.push(
        `${name[language]}:`,
        ...facts.map((line) => `  ${line[language].replaceAll("```", "'''")}`),
      );
    lines.push("```", "", "</details>");
  }
  return printable(`${lines.join("\n")}\n`);
}
