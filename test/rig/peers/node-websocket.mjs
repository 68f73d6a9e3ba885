// A WebSocket client on Node's own WebSocket, driven by lines of JSON: commands on stdin, events on stdout.
import { createInterface } from "node:readline";

const [url, options] = [process.argv[2] ?? "", JSON.parse(process.argv[3] ?? "{}")];
const socket = new WebSocket(url, options.protocols ?? []);
socket.binaryType = "arraybuffer";

/** @param {object} event */
const report = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
let isOpen = false;
socket.addEventListener("open", () => {
  isOpen = true;
  report({ open: socket.protocol });
});
socket.addEventListener("message", ({ data }) => {
  report(typeof data === "string" ? { text: data } : { binary: Buffer.from(data).toString("base64") });
});
socket.addEventListener("error", (event) => {
  // From version 24 on Node gives no reason.
  if (!isOpen) report({ error: event.message || "network error" });
});
socket.addEventListener("close", ({ code, reason }) => {
  report({ close: [code, reason] });
  process.stdin.destroy();
});

createInterface(process.stdin).on("line", (line) => {
  const command = JSON.parse(line);
  if (command.text !== undefined) socket.send(command.text);
  else if (command.binary !== undefined) socket.send(Buffer.from(command.binary, "base64"));
  else if (command.close !== undefined) socket.close(...command.close);
});
