import { lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";

/** Removes the file of a Unix socket that nobody listens on any more; true if it did. */
export async function removeStaleSocket(path: string): Promise<boolean> {
  try {
    if (!lstatSync(path).isSocket()) return false;
    if (await isAnswered(path)) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Whether somebody accepts connections there; anything but a clear refusal counts as yes. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED"));
  });
}
