/** What the body of an answer tells, as lines of support. */
import { textFromByteString } from "../../base/bytes.ts";
import type { Walk } from "../probe/walk.ts";
import { type Words, words } from "../words.ts";
import { answerOf, bodyOf } from "./facts.ts";
import { isOwnPage, makerOf, writerOf } from "./fingerprint.ts";

/** Enough for the reason that Apache gives. */
const SHOWN_CHARACTERS_MAX = 220;

export function bodyLine(body: string): Words | null {
  const text = textFromByteString(body)
    .replaceAll(/<(style|script)[\s\S]*?<\/\1>/gi, " ")
    // A title says what the page says again.
    .replace(/<title>[\s\S]*?<\/title>(?=[\s\S]*<body\b[^>]*>\s*<)/i, " ")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
  if (text === "") return null;
  const shown = text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
  return words(`The body says: "${shown}".`, `正文是：“${shown}”。`);
}

export function ownPageLine(walk: Walk): Words | null {
  const answer = answerOf(walk);
  const body = bodyOf(walk);
  if (!isOwnPage(answer, body)) return null;
  const maker = writerOf(body) ?? makerOf(answer, body) ?? "the proxy";
  return words(
    `The page is ${maker}'s own: the request has not reached an application.`,
    `页面是 ${maker} 自己生成的：请求没有到达应用。`,
  );
}
