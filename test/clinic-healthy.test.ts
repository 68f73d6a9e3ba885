import { describe, expect, test } from "vitest";
import { textReport } from "../src/doctor/report/text.ts";
import { examine, examineAll } from "./clinic/examine.ts";
import { HEALTHY } from "./clinic/healthy.ts";
import { useRig } from "./rig/ledger.ts";
import { requires } from "./rig/requires.ts";

useRig();
examineAll(HEALTHY);

describe("what the doctor finds out about a healthy setup", () => {
  test.for(["wsgate, wss beside HTTP/2", "HAProxy, wss over HTTP/1.1 and HTTP/2"])(
    "%s: a WebSocket over HTTP/2 opens, too",
    async (made, context) => {
      requires(context, ...(made.startsWith("HAProxy") ? (["haproxy"] as const) : []));
      const { front } = await examine(await admit(made));
      expect(front.tls?.alpn).toBe("h2");
      expect(front.http2).toMatchObject({ offersConnect: true, status: 200, error: "" });
    },
  );

  test("the largest message, the compression and the echo", async () => {
    const { front } = await examine(await admit("ws straight to a Node server, with compression"));
    expect(front.conversation).toMatchObject({ text: "echoed", compresses: true, compressedEcho: true });
    expect(front.conversation?.sizes.at(-1)).toEqual({ bytes: 262_144, outcome: "echoed", end: null });
  });

  test("every address of a name, and which of them take connections", async () => {
    const { front } = await examine(
      await admit("ws by a name with addresses of both families, of which the server has one"),
    );
    expect(front.tcp?.attempts.map(({ address }) => address)).toEqual(front.names?.addresses);
    expect(front.tcp?.attempts.filter(({ outcome }) => outcome === "open")).toHaveLength(1);
  });

  test("a message that its server refuses is told as a note", async () => {
    const { verdict } = await examine(
      await admit("an application that takes messages of 64 kB and says so (1009)"),
    );
    expect(verdict.notes.map(({ illness, values }) => [illness.id, values["bytes"]])).toEqual([
      ["message-too-big", "262144"],
    ]);
  });

  test.each([
    [
      "an application that greets, and closes when it is sent what it does not know",
      /text: Close frame 1007 "not JSON" after \d/,
    ],
    [
      "an application that takes messages of 64 kB and says so (1009)",
      /262144 bytes: Close frame 1009 after \d/,
    ],
  ])("%s: with which code and reason", async (made, line) => {
    const diagnosis = await examine(await admit(made));
    expect(textReport(diagnosis, { language: "en", product: null })).toMatch(line);
  });

  test("that wsgate's pings keep a silent tunnel alive", async () => {
    const { front } = await examine(await admit("wsgate that pings, past its read timeout"));
    expect(front.silence?.silent.serverPings).toBeGreaterThan(0);
  });
});

async function admit(made: string): Promise<readonly string[]> {
  const patient = HEALTHY.find((candidate) => candidate.made === made);
  if (patient === undefined) throw new Error(`nobody is called ${made}`);
  return patient.admit();
}
