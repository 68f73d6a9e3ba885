import type { ByteString } from "../../base/bytes.ts";
import { formatSeconds } from "../../base/units.ts";
import { headerGetter } from "../../compile/header-getter.ts";
import type { VariableRow } from "../../compile/module.ts";
import type { Request, UpstreamAttempt } from "../../compile/request.ts";
import type { Getter } from "../../compile/template.ts";

/** A variable with a value for each try: nginx separates tries by a comma, and proxied locations by a colon. */
function ofEachTry(name: string, doc: string, format: (attempt: UpstreamAttempt) => string): VariableRow {
  const get: Getter = ({ attempts }) => {
    if (attempts === null) return undefined;
    let text = "";
    for (const attempt of attempts) {
      if (text !== "") text += attempt.isFirst ? " : " : ", ";
      text += format(attempt);
    }
    return text;
  };
  return row(name, doc, get);
}

function row(name: string, doc: string, get: Getter): VariableRow {
  return { name, family: false, doc, from: "upstream", changeable: false, nginx: true, get: () => get };
}

function family(name: string, doc: string, get: (argument: string) => Getter): VariableRow {
  return { name, family: true, doc, from: "upstream", changeable: false, nginx: true, get };
}

/** Seconds, or `-` for what was not reached. */
function seconds(milliseconds: number): string {
  return milliseconds < 0 ? "-" : formatSeconds(milliseconds);
}

export const upstreamVariables: readonly VariableRow[] = [
  ofEachTry("upstream_addr", "Addresses of the servers that were asked.", ({ address }) => address),
  ofEachTry("upstream_status", "Statuses that they answered with.", ({ status }) =>
    status === 0 ? "-" : String(status),
  ),
  ofEachTry("upstream_connect_time", "Seconds until the connection stood, TLS included.", ({ connectMs }) =>
    seconds(connectMs),
  ),
  ofEachTry("upstream_header_time", "Seconds until the head of the answer was there.", ({ headerMs }) =>
    seconds(headerMs),
  ),
  ofEachTry("upstream_response_time", "Seconds until the answer was complete.", ({ responseMs }) =>
    seconds(responseMs),
  ),
  ofEachTry("upstream_response_length", "Bytes of the answer's body.", ({ bodyBytes }) => String(bodyBytes)),
  ofEachTry("upstream_bytes_sent", "Bytes sent to the server, those of a tunnel included.", ({ bytesSent }) =>
    String(bytesSent),
  ),
  ofEachTry(
    "upstream_bytes_received",
    "Bytes received from the server, those of a tunnel included.",
    ({ bytesReceived }) => String(bytesReceived),
  ),
  row(
    "upstream_last_addr",
    "Address of the server that was asked last.",
    ({ attempts }) => attempts?.at(-1)?.address,
  ),
  row(
    "upstream_last_server_name",
    "The server that was asked last, as the configuration calls it.",
    ({ attempts }) => attempts?.at(-1)?.server,
  ),
  row("upstream_cache_status", "Never has a value: wsgate has no cache.", () => undefined),
  family(
    "upstream_http_",
    "A header of the upstream's answer, its name in lower case with underscores.",
    headerGetter((request) => request.upstreamHeaders),
  ),
  family(
    "upstream_trailer_",
    "A trailer of the upstream's answer.",
    headerGetter((request) => request.upstreamTrailers),
  ),
  family(
    "upstream_cookie_",
    "The value of a cookie that the upstream's answer sets.",
    (name) => (request) => setCookie(request, name),
  ),
];

function setCookie(request: Request, name: string): ByteString | undefined {
  for (const line of request.upstreamHeaders?.getAll("set-cookie") ?? []) {
    const [pair = ""] = line.split(";", 1);
    const equals = pair.indexOf("=");
    if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}
