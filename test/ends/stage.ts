/** What the tests of ends have in common. */
import { parseExposition } from "../rig/exposition.ts";
import type { Front } from "../rig/fronts.ts";
import { request } from "../rig/http-client.ts";
import type { Proxy } from "../rig/proxy-process.ts";
import type { Ending } from "../rig/websocket-peer.ts";
import type { EndRow, Seen } from "./rows.ts";

/** What a side has seen, in the table's terms. */
export function seenOf(ending: Ending, expected: Seen | null): Seen {
  const { close, isCut } = ending;
  const last = expected?.last === "FIN or RST" ? expected.last : ending.last;
  return { close: close === null ? null : [close.code, close.reason], last, ...(isCut ? { isCut } : {}) };
}

/** The line of the access log for a tunnel of `/target`. */
export function accessLineOf({ openStatus }: Front, target: string, row: EndRow): string {
  const { endedBy, end, code, reason } = row;
  return `/${target} ${openStatus} ${endedBy} ${end} ${code ?? "-"} [${code === null ? "-" : reason}]`;
}

/** What HTTP/2 has for RST, and what is said of a connection. */
const STREAM_RESET = "client reset its stream: RST_STREAM CANCEL, as browsers do that leave a page";
const CONNECTION_RESET = "client connection failed (104: Connection reset by peer)";

/** `[level] message` of each line in logs/error.log about a location, without what was being done and for whom. */
export function errorsAbout(gate: Proxy, location: string): readonly string[] {
  return gate
    .read("logs/error.log")
    .split("\n")
    .filter((line) => line.includes(`request: "GET /${location} HTTP`))
    .map((line) =>
      line.replace(/^.*?(\[\w+\]) \d+#\d+: (?:\*\d+ )?/, "$1 ").replace(/(, client: | while ).*$/, ""),
    )
    .map((line) => line.replace(STREAM_RESET, CONNECTION_RESET));
}

/** Where {@link countersOf} asks. */
export const STATUS_SERVER =
  "server { listen 127.0.0.1:{{port:status}}; access_log off; location / { websocket_status; } }";

/** A family of counters by its labels: `proxy ping-timeout`. */
export async function countersOf(gate: Proxy, family: string): Promise<Readonly<Record<string, number>>> {
  const { body } = await request({ port: gate.port("status") });
  const found = parseExposition(body).find(({ name }) => name === family);
  const samples = found?.samples ?? [];
  return Object.fromEntries(samples.map(({ labels, value }) => [Object.values(labels).join(" "), value]));
}
