/**
 * The same bytes as something else: what a device that looks into HTTP does to an Upgrade, against what the way does to
 * any connection.
 */
import { type Exchange, exchange } from "./exchange.ts";
import { connect, type Ending, type Route } from "./wire.ts";

export interface OpaqueStep {
  /** The handshake with `Upgrade: websocket` renamed, byte for byte as long: nobody who looks for it finds it. */
  readonly disguised: Exchange;
  /** As many bytes that are no HTTP at all. `silent` is a connection that stays open without an answer. */
  readonly noise: "answered" | "silent" | Ending | "unconnected";
}

export async function probeOpaque(route: Route, request: string, timeoutMs: number): Promise<OpaqueStep> {
  const [disguised, noise] = await Promise.all([
    exchange(route, disguise(request), timeoutMs),
    sendNoise(route, request.length, timeoutMs),
  ]);
  return { disguised, noise };
}

function disguise(request: string): string {
  return request
    .replace(/^Upgrade: websocket/im, "X-Grade: webpocket")
    .replace(/^Connection: .*/im, (line) => `Connection: close`.padEnd(line.length, " "))
    .replaceAll(/^Sec-WebSocket-/gim, "Xec-WebPocket-");
}

async function sendNoise(route: Route, bytes: number, timeoutMs: number): Promise<OpaqueStep["noise"]> {
  const connected = await connect(route, timeoutMs);
  if (!connected.ok) return "unconnected";
  const { wire } = connected;
  // 0xfe begins no word of any protocol in common use.
  wire.send(Buffer.alloc(bytes, 0xfe));
  const deadlineMs = performance.now() + timeoutMs;
  while (wire.received.length === 0 && wire.ending === null) {
    if (!(await wire.change(deadlineMs))) break;
  }
  wire.destroy();
  if (wire.received.length > 0) return "answered";
  return wire.ending ?? "silent";
}
