/** Questions to the evidence that several illnesses ask. */
import type { Answer, Exchange } from "../probe/exchange.ts";
import { header } from "../probe/exchange.ts";
import type { ControlName } from "../probe/controls.ts";
import { isAccepted, statusOf } from "../probe/handshake.ts";
import type { Walk } from "../probe/walk.ts";
import { type Words, words } from "../words.ts";
import { pathSeenByApplication } from "./fingerprint.ts";
import type { Finding } from "./illness.ts";

export function found(certainty: number, ...support: readonly (Words | null)[]): Finding {
  return { certainty, support: support.filter((line) => line !== null) };
}

/** The answer to the handshake; null where none came. */
export function answerOf(walk: Walk): Answer | null {
  const outcome = walk.handshake?.outcome;
  return outcome?.kind === "answer" ? outcome.answer : null;
}

/**
 * The path that the application says it was asked for, without its query, in what it answers to the handshake or to the
 * same GET without an upgrade; null where it says none.
 */
export function pathSeen(walk: Walk): string | null {
  const plain = control(walk, "plain")?.outcome;
  const seen =
    pathSeenByApplication(bodyOf(walk)) ??
    (plain?.kind === "answer" ? pathSeenByApplication(plain.body) : null);
  return seen?.replace(/\?.*/, "") ?? null;
}

/** How long that answer took. */
export function answerMs(walk: Walk): number {
  return walk.handshake?.ms ?? 0;
}

/** The body of that answer, as a byte string. */
export function bodyOf(walk: Walk): string {
  const outcome = walk.handshake?.outcome;
  return outcome?.kind === "answer" ? outcome.body : "";
}

export function control(walk: Walk, name: ControlName): Exchange | null {
  return walk.controls.find((candidate) => candidate.name === name)?.exchange ?? null;
}

/** Whether a control opened a WebSocket. */
export function controlOpens(walk: Walk, name: ControlName): boolean {
  const exchange = control(walk, name);
  return exchange !== null && isAccepted(exchange);
}

/** Whether the port that was asked without TLS takes TLS: it answers by it, or refuses with an alert of its own. */
export function portTakesTls(walk: Walk): boolean {
  const outcome = control(walk, "other-scheme")?.outcome;
  if (outcome?.kind === "answer") return true;
  return outcome?.kind === "unconnected" && /^ERR_SSL_(TLSV1|TLSV13|SSLV3)_/.test(outcome.code);
}

export function handshakeOpens(walk: Walk | null): boolean {
  return walk?.handshake !== null && walk?.handshake !== undefined && isAccepted(walk.handshake);
}

/** The path of a parent that opened a WebSocket. */
export function openParent(walk: Walk): string | null {
  const opened = walk.controls.find(
    ({ name, exchange }) => name.startsWith("parent ") && isAccepted(exchange),
  );
  return opened?.name.slice("parent ".length) ?? null;
}

/** Whether two requests were answered alike, as far as status and kind of body go. */
function answeredAlike(one: Exchange | null, other: Exchange | null): boolean {
  const [first, second] = [one?.outcome, other?.outcome];
  if (first?.kind !== "answer" || second?.kind !== "answer") return false;
  return (
    first.answer.status === second.answer.status &&
    header(first.answer, "content-type") === header(second.answer, "content-type") &&
    header(first.answer, "location") === header(second.answer, "location")
  );
}

/** Whether the same request without an upgrade is answered just like the handshake: nobody has seen the upgrade. */
export function plainIsAlike(walk: Walk): boolean {
  return answeredAlike(walk.handshake, control(walk, "plain"));
}

/** Whether two requests were answered with the very same page. */
export function answeredTheSame(one: Exchange | null, other: Exchange | null): boolean {
  const [first, second] = [one?.outcome, other?.outcome];
  if (first?.kind !== "answer" || second?.kind !== "answer") return false;
  return answeredAlike(one, other) && first.body === second.body;
}

/** Whether a path that surely nobody has is answered just like the one that was asked for. */
export function everyPathIsAlike(walk: Walk): boolean {
  return answeredTheSame(control(walk, "plain"), control(walk, "unknown-path"));
}

/** Whether a port that says nothing by itself answers once a PROXY header comes first. */
export function wantsProxyHeader(walk: Walk | null): boolean {
  if (walk === null || plainIsAnswered(walk)) return false;
  const behindHeader = control(walk, "proxy-header")?.outcome;
  // A program that does not know the header answers 400 to it, if anything: then it is another line that was not liked.
  return behindHeader?.kind === "answer" && behindHeader.answer.status !== 400;
}

/** Whether somebody reads the WebSocket fields: an impossible version is answered differently from a plain GET. */
export function readsHandshakes(walk: Walk): boolean {
  const [bad, plain] = [control(walk, "bad-version"), control(walk, "plain")];
  return bad?.outcome.kind === "answer" && plain?.outcome.kind === "answer" && !answeredAlike(bad, plain);
}

export function plainIsAnswered(walk: Walk): boolean {
  return control(walk, "plain")?.outcome.kind === "answer";
}

// Lines of support that several illnesses give.

export function statusLine(walk: Walk): Words | null {
  const answer = answerOf(walk);
  if (answer === null) return null;
  const line = `${answer.status} ${answer.reason}`.trim();
  return words(`The handshake was answered "${line}".`, `握手得到的回答是“${line}”。`);
}

export function alikeLine(walk: Walk): Words | null {
  if (!plainIsAlike(walk)) return null;
  return words(
    "The same request without Upgrade gets the same answer: who answered has not seen the Upgrade.",
    "去掉 Upgrade 的同一请求得到同样的回答：回答者没有看到 Upgrade。",
  );
}

export function unlikeLine(walk: Walk): Words | null {
  const plain = control(walk, "plain");
  const status = plain === null ? null : statusOf(plain);
  if (status === null || plainIsAlike(walk)) return null;
  return words(
    `The same request without Upgrade is answered ${status}: the Upgrade does make a difference.`,
    `去掉 Upgrade 的同一请求得到 ${status}：Upgrade 确实起了作用。`,
  );
}

export function backendLine(backend: Walk | null): Words | null {
  if (backend === null) return null;
  if (handshakeOpens(backend))
    return words("The backend itself opens the WebSocket.", "直接连接后端时 WebSocket 能够打开。");
  const answer = answerOf(backend);
  if (answer === null)
    return words("The backend itself does not answer the handshake.", "后端自身没有回答握手。");
  return words(`The backend itself answers ${answer.status}.`, `后端自身的回答是 ${answer.status}。`);
}
