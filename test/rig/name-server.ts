/** A name server for tests, on a free UDP port of the loopback. */
import { createSocket } from "node:dgram";
import { obtain } from "./ledger.ts";

const TYPE_A = 1;
const TYPE_AAAA = 28;

export interface NameServer {
  readonly address: string;
  /** Names that were asked for, one entry a question, with the type: `app.test A`. */
  readonly questions: readonly string[];
}

/** Addresses of both families by name, IPv6 ones in full; a name that is missing does not exist, one with null is never answered. */
export type Zone = Readonly<Record<string, readonly string[] | null>>;

/** Answers from `zone`, with this lifetime in seconds. */
export async function startNameServer(zone: Zone, ttlSeconds: number = 60): Promise<NameServer> {
  const socket = createSocket("udp4");
  const questions: string[] = [];
  socket.on("message", (query, client) => {
    const { name, type, end } = readQuestion(query);
    questions.push(`${name} ${type === TYPE_A ? "A" : type === TYPE_AAAA ? "AAAA" : type}`);
    const addresses = Object.hasOwn(zone, name) ? zone[name] : undefined;
    if (addresses === null) return;
    const records = (addresses ?? []).filter((address) => address.includes(":") === (type === TYPE_AAAA));
    const status = addresses === undefined ? 3 : 0;
    socket.send(answer(query.subarray(0, end), status, records, ttlSeconds), client.port, client.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  obtain("name server", () => new Promise<void>((resolve) => void socket.close(() => resolve())));
  return { address: `127.0.0.1:${socket.address().port}`, questions };
}

/** The one question of a query (RFC 1035 section 4.1.2). */
function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** The query turned into its answer, with a record for each address (RFC 1035 section 4.1.3). */
function answer(query: Buffer, status: number, addresses: readonly string[], ttlSeconds: number): Buffer {
  const head = Buffer.from(query);
  head.writeUInt16BE(0x8180 | status, 2);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt32BE(0, 8);
  const records = addresses.map((address) => {
    const data = addressBytes(address);
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(data.length === 4 ? TYPE_A : TYPE_AAAA, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(ttlSeconds, 6);
    record.writeUInt16BE(data.length, 10);
    return Buffer.concat([record, data]);
  });
  return Buffer.concat([head, ...records]);
}

function addressBytes(address: string): Buffer {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number));
  return Buffer.from(
    address.replace(/[0-9a-f]+:?/g, (group) => group.replace(":", "").padStart(4, "0")),
    "hex",
  );
}
