/** Plain HTTP/1.1 GET requests on keep-alive connections, one at a time on each. */
import { ClosedLoop } from "./closed-loop.ts";
import { connect, openMany } from "./connect.ts";
import type { Session, Target } from "./work.ts";

export async function openRequests(target: Target, connections: number, bodyBytes: number): Promise<Session> {
  const request = Buffer.from(
    `GET /bytes/${bodyBytes} HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n`,
  );
  const loop = new ClosedLoop(connections, connections, (lane) => opened[lane]?.socket.write(request));

  const opened = await openMany(connections, async (lane) => {
    const connection = await connect(
      target,
      readAnswers(bodyBytes, (failure) => {
        if (failure === undefined) loop.answered(lane);
        else loop.fail(failure);
      }),
    );
    connection.socket.once("close", () =>
      loop.fail(new Error("a connection ended in the middle of a round")),
    );
    return connection;
  });

  return {
    run: (ms) => loop.run(ms),
    close: async () => {
      for (const { socket } of opened) socket.end();
      await Promise.all(opened.map(({ closed }) => closed));
    },
  };
}

/**
 * Reads answers with a Content-Length, however the bytes are cut, and calls `onAnswer` at the end of each; with a failure
 * when one is not a 200 with `bodyBytes` bytes.
 */
function readAnswers(bodyBytes: number, onAnswer: (failure?: Error) => void): (chunk: Buffer) => void {
  let head = "";
  let bodyLeft = 0;

  return (chunk) => {
    if (bodyLeft > 0) {
      bodyLeft -= chunk.length;
      if (bodyLeft < 0) onAnswer(new Error("bytes after the end of an answer"));
      if (bodyLeft === 0) onAnswer();
      return;
    }
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (!head.startsWith("HTTP/1.1 200 ") || Number(length) !== bodyBytes) {
      return onAnswer(new Error(`an answer other than expected: ${head.slice(0, end)}`));
    }
    bodyLeft = bodyBytes - (head.length - end - 4);
    head = "";
    if (bodyLeft < 0) onAnswer(new Error("bytes after the end of an answer"));
    if (bodyLeft === 0) onAnswer();
  };
}
