import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Transport, type TransportPath, useTransportPath } from "../base/transport.ts";
import { authorityCertificate, leafCertificate } from "../../test/rig/certificates.ts";
import { nextTurn } from "../../test/rig/deadline.ts";
import { useRig } from "../../test/rig/ledger.ts";
import { openTunnel } from "../../test/rig/tunnels.ts";
import type { TransportSecurity } from "../../test/rig/transports.ts";
import type { RelayFilter, RelayFlow } from "./relay.ts";

useRig();

beforeAll(async () => {
  await Promise.all([authorityCertificate(), leafCertificate()]);
});

/** Keeps back what comes, and holds its source, until it is told to let go. */
class HoldingFilter implements RelayFilter {
  kept = "";
  drains = 0;
  flow: RelayFlow | null = null;

  start(flow: RelayFlow): void {
    this.flow = flow;
  }

  pass(chunk: Buffer, start: number, end: number): boolean {
    this.kept += chunk.toString("latin1", start, end);
    this.flow?.hold();
    return true;
  }

  finish(sink: Transport): void {
    if (this.kept !== "") sink.writeLatin1(`not sent: ${this.kept}`);
  }

  onSinkDrain(): void {
    this.drains++;
  }

  letGo(): void {
    const bytes = Buffer.from(this.kept, "latin1");
    this.kept = "";
    this.flow?.write(bytes, 0, bytes.length);
    this.flow?.release();
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

describe.each<{ path: TransportPath; security: TransportSecurity }>([
  { path: "direct", security: "plain" },
  { path: "direct", security: "tls" },
  { path: "public", security: "plain" },
])("a filter that holds the source of a $security tunnel on the $path path", ({ path, security }) => {
  beforeEach(() => useTransportPath(path));
  afterEach(() => useTransportPath("direct"));

  test("gets nothing more, the end included, until it lets go", async () => {
    const filter = new HoldingFilter();
    const rig = await openTunnel(security, { clientFilter: filter });
    await rig.client.peer.send("one");
    await until(() => filter.kept === "one");
    await rig.client.peer.send("two");
    rig.client.peer.socket.end();
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    expect(filter.kept).toBe("one");
    expect(rig.tunnel.isOpen).toBe(true);
    filter.letGo();
    expect(await rig.upstream.peer.bytes(3)).toBe("one");
    await until(() => filter.kept === "two");
    expect(rig.tunnel.isOpen).toBe(true);
    filter.letGo();
    expect(await rig.upstream.peer.bytes(3)).toBe("two");
    rig.upstream.peer.socket.end();
    expect(await rig.untilEnd()).toMatchObject({ endedBy: "client", reason: "eof", bytesFromClient: 6 });
  });

  test("is asked for its last words when the proxy ends the tunnel, and the source runs out", async () => {
    const filter = new HoldingFilter();
    const rig = await openTunnel(security, { clientFilter: filter });
    await rig.client.peer.send("kept");
    await until(() => filter.kept !== "");
    rig.tunnel.shutdown("drain");
    expect(await rig.upstream.peer.bytes(14)).toBe("not sent: kept");
    rig.client.peer.socket.end();
    rig.upstream.peer.socket.end();
    expect(await rig.untilEnd()).toMatchObject({ endedBy: "proxy", reason: "drain" });
  });

  test("holds what came before the tunnel, and an end that came with it", async () => {
    const filter = new HoldingFilter();
    const rig = await openTunnel(security, { clientFilter: filter, clientBytes: Buffer.from("early") });
    await rig.client.peer.send(" late");
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    expect(filter.kept).toBe("early");
    filter.letGo();
    await until(() => filter.kept === " late");
    filter.letGo();
    expect(await rig.upstream.peer.bytes(10)).toBe("early late");
    rig.tunnel.destroy("shutdown");
    await rig.untilEnd();
  });

  test("is no silence for the read timeout", async () => {
    const filter = new HoldingFilter();
    const rig = await openTunnel(security, { clientFilter: filter, readTimeoutMs: 50 });
    await rig.client.peer.send("kept");
    await until(() => filter.kept !== "");
    // Several times the timeout: only time can show that it does not count.
    const heldAtMs = performance.now();
    await until(() => performance.now() - heldAtMs > 500);
    expect(rig.tunnel.isOpen).toBe(true);
    filter.letGo();
    expect(await rig.upstream.peer.bytes(4)).toBe("kept");
    rig.client.peer.socket.end();
    rig.upstream.peer.socket.end();
    expect(await rig.untilEnd()).toMatchObject({ endedBy: "client", reason: "eof" });
  });

  test("hears that the sink takes bytes again after a write of its own that was too much", async () => {
    const filter = new HoldingFilter();
    const rig = await openTunnel(security, { clientFilter: filter });
    await rig.client.peer.send("begin");
    await until(() => filter.kept !== "");
    rig.upstream.peer.socket.pause();
    const flood = Buffer.alloc(1024 * 1024);
    let bytes = 0;
    do bytes += flood.length;
    while (filter.flow?.write(flood, 0, flood.length) === true);
    expect(filter.drains).toBe(0);
    rig.upstream.peer.socket.removeAllListeners("data");
    rig.upstream.peer.socket.on("data", (chunk: Buffer) => {
      bytes -= chunk.length;
    });
    rig.upstream.peer.socket.resume();
    await until(() => bytes === 0);
    await until(() => filter.drains === 1);
    rig.tunnel.destroy("shutdown");
    await rig.untilEnd();
  });
});
