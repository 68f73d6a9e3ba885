/** Names and ports that lead nowhere. */
import { spawn } from "node:child_process";
import { connect, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { within } from "../rig/deadline.ts";
import { obtain } from "../rig/ledger.ts";
import { startNameServer } from "../rig/name-server.ts";
import { reservePort } from "../rig/ports.ts";
import { startApplication } from "./applications.ts";
import type { Patient } from "./patient.ts";

export const NETWORK_PATIENTS: readonly Patient[] = [
  {
    made: "a closed port",
    illness: "connection-refused",
    admit: async () => [`ws://127.0.0.1:${await reservePort()}/chat`],
  },
  {
    made: "443 closed: wss:// to a port on which nobody listens",
    illness: "connection-refused",
    admit: async () => [`wss://127.0.0.1:${await reservePort()}/chat`],
  },
  {
    made: "443 filtered: a listener whose backlog is full, so that nothing comes back",
    illness: "connection-filtered",
    notInBrowser: "chromium waits for minutes",
    admit: async () => [`wss://127.0.0.1:${await startFullBacklog()}/chat`, "--timeout", "700ms"],
  },
  {
    made: "a name that does not exist",
    illness: "name-not-found",
    notInBrowser: "the name server is the doctor's",
    admit: async () => {
      const { address } = await startNameServer({});
      return ["wss://chat.test/", "--dns", address];
    },
  },
  {
    made: "a name server that does not answer",
    illness: "name-server-silent",
    notInBrowser: "the name server is the doctor's",
    admit: async () => {
      const { address } = await startNameServer({ "chat.test": null });
      return ["wss://chat.test/", "--dns", address, "--timeout", "400ms"];
    },
  },
  {
    made: "a URL with a fragment",
    illness: "url-fragment",
    admit: async () => [`ws://${(await startApplication()).address}/chat#room`],
  },
  {
    made: "a URL whose scheme is ftp",
    illness: "url-unusable",
    admit: () => Promise.resolve(["ftp://127.0.0.1/chat"]),
  },
  {
    made: "a port that browsers refuse (6000)",
    illness: "url-blocked-port",
    admit: () => Promise.resolve(["ws://127.0.0.1:6000/chat"]),
  },
];

/** A port whose queue of connections that wait to be accepted is full: the kernel drops every further SYN. */
async function startFullBacklog(): Promise<number> {
  const script = fileURLToPath(new URL("../rig/peers/full_backlog.py", import.meta.url));
  const listener = spawn("python3", [script]);
  const ended = new Promise<void>((resolve) => listener.once("close", () => resolve()));
  obtain("a listener that never accepts", async () => {
    listener.kill();
    await ended;
  });
  const port = await within(
    new Promise<number>((resolve) => listener.stdout.once("data", (line) => resolve(Number(String(line))))),
    "the listener's port",
  );
  const waiting: Socket[] = [];
  obtain("the connections in its queue", async () => {
    await Promise.all(waiting.map((socket) => new Promise((done) => socket.destroy().once("close", done))));
  });
  // A backlog of zero holds one connection; a second does no harm.
  for (let i = 0; i < 2; i++) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    waiting.push(socket);
    if (i === 0) await within(new Promise((done) => socket.once("connect", done)), "the queue to fill");
  }
  return port;
}
