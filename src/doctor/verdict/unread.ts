/** Requests that arrive as something that is no HTTP. */
import { type Exchange, header } from "../probe/exchange.ts";
import type { Walk } from "../probe/walk.ts";
import { answeredTheSame, control } from "./facts.ts";

/** What programs answer to a line that is no request of HTTP's, as the PROXY header is: seen of each, in both versions. */
const UNREADABLE: readonly (readonly [program: string, body: RegExp])[] = [
  [
    "nginx",
    /^<html>\s*<head><title>400 Bad Request<\/title><\/head>\s*<body>\s*<center><h1>400 Bad Request<\/h1><\/center>\s*<hr><center>/,
  ],
  ["HAProxy", /^<html><body><h1>400 Bad request<\/h1>\nYour browser sent an invalid request\./],
  ["Go", /^400 Bad Request$/],
  ["Apache", /Your browser sent a request that this server could not understand\.<br \/>\s*<\/p>/],
];

/** The program that could read none of the doctor's requests, by its answers; null where it has read them, or says something else. */
export function unreadBy(walk: Walk): string | null {
  // Who answers a ClientHello in plain text is asked without TLS, too.
  if (walk.tls?.outcome === "not-tls") return programThatSays(control(walk, "other-scheme"));
  return isAnsweredAlikeThroughout(walk) ? programThatSays(walk.handshake) : null;
}

function programThatSays(exchange: Exchange | null): string | null {
  const outcome = exchange?.outcome;
  if (outcome?.kind !== "answer" || outcome.answer.status !== 400) return null;
  const { answer, body } = outcome;
  // Node's parser answers before there is a response that could have fields.
  const isBare = body === "" && ["content-type", "date"].every((name) => header(answer, name) === undefined);
  if (isBare) return "Node";
  return UNREADABLE.find(([, pattern]) => pattern.test(body))?.[0] ?? null;
}

/** Nothing of the request makes a difference: path, version, upgrade. */
function isAnsweredAlikeThroughout({ handshake, controls }: Walk): boolean {
  const compared = controls.filter(({ name }) => name !== "other-scheme" && name !== "proxy-header");
  return compared.length > 0 && compared.every(({ exchange }) => answeredTheSame(exchange, handshake));
}
