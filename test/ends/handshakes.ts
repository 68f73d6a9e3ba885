import { closePayload, OPCODE } from "../rig/frames.ts";
import { closed, type End, lossCode, onEitherSide, seenBy } from "./rows.ts";

/** Ends by the closing handshake of RFC 6455 section 7, and what can become of that. */
export const handshakes: readonly End[] = [
  ...onEitherSide((by) => ({
    name: `close-by-${by}`,
    what: `the ${by} sends Close 4000 "done", and gets its answer`,
    act: (stage) => stage[by].sendClose(4000, "done"),
    ...seenBy(by, closed(4000, ""), closed(4000, "done")),
    endedBy: by,
    end: "close",
    code: 4000,
    reason: "done",
    log: null,
  })),
  ...onEitherSide((by) => ({
    name: `close-without-code-by-${by}`,
    what: `the ${by} sends a Close frame without a code`,
    act: (stage) => stage[by].sendClose(null),
    ...seenBy(by, closed(1005, ""), closed(1005, "")),
    endedBy: by,
    end: "close",
    code: 1005,
    reason: "",
    log: null,
  })),
  ...onEitherSide((by, other) => ({
    name: `close-by-${by}-then-eof`,
    what: `the ${by} sends Close 4000; the ${other} closes its connection without an answer`,
    async act(stage) {
      stage[other].isMute = true;
      await stage[by].sendClose(4000, "done");
      await stage[other].closeCame;
      stage[other].end();
    },
    ...seenBy(
      by,
      closed(lossCode(other), `${other} closed its connection without a Close frame`),
      closed(4000, "done"),
    ),
    endedBy: by,
    end: "close",
    code: 4000,
    reason: "done",
    log: null,
  })),
  ...onEitherSide((by, other) => ({
    name: `close-by-${by}-then-reset`,
    what: `the ${by} sends Close 4000; the ${other} resets its connection instead of answering`,
    gone: other,
    async act(stage) {
      stage[other].isMute = true;
      await stage[by].sendClose(4000, "done");
      await stage[other].closeCame;
      stage[other].wire.reset();
    },
    ...seenBy(by, closed(lossCode(other), `${other} reset its connection`), null),
    endedBy: by,
    end: "close",
    code: 4000,
    reason: "done",
    log: null,
  })),
  ...onEitherSide((by, other) => ({
    name: `close-by-${by}-unanswered`,
    what: `the ${by} sends Close 4000; the ${other} neither answers nor closes`,
    settings: "proxy_read_timeout 1s;",
    act(stage) {
      stage[other].isMute = true;
      return stage[by].sendClose(4000, "done");
    },
    ...seenBy(by, closed(1001, "no byte from either side for 1s (proxy_read_timeout)"), closed(4000, "done")),
    endedBy: "proxy",
    end: "read-timeout",
    code: 4000,
    reason: "done",
    log: ["error", "upstream timed out (110: Connection timed out)"],
  })),
  ...onEitherSide((by) => ({
    name: `close-then-reset-by-${by}`,
    what: `the ${by} sends Close 4000 and resets its connection at once, as some libraries do`,
    gone: by,
    async act(stage) {
      await stage[by].sendClose(4000, "done");
      stage[by].wire.reset();
    },
    ...seenBy(by, null, closed(4000, "done")),
    endedBy: by,
    end: "close",
    code: 4000,
    reason: "done",
    log: null,
  })),
  ...onEitherSide((by) => ({
    name: `message-after-close-by-${by}`,
    what: `the ${by} goes on sending after its Close 4000: that is dropped`,
    act: (stage) =>
      stage[by].wire.send(
        stage[by].frame(closePayload(4000), { opcode: OPCODE.close }) + stage[by].frame("late"),
      ),
    ...seenBy(by, closed(4000, ""), closed(4000, "")),
    endedBy: by,
    end: "close",
    code: 4000,
    reason: "",
    log: null,
  })),
];
