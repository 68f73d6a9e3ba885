import { OPCODE } from "../rig/frames.ts";
import { closed, CUT, type End, FIN, levelFor, lossCode, onEitherSide, seenBy, type Side } from "./rows.ts";

/** Ends without a Close frame. */
export const losses: readonly End[] = [
  ...onEitherSide((by) => ({
    name: `eof-of-${by}`,
    what: `the ${by} closes its connection`,
    act: (stage) => stage[by].end(),
    ...lostWithoutClose(by, FIN),
  })),
  ...onEitherSide((by) => ({
    name: `reset-of-${by}`,
    what: `the ${by} resets its connection, or its system does because the process has died`,
    act: (stage) => stage[by].wire.reset(),
    ...lostByReset(by),
  })),
  ...onEitherSide((by) => ({
    name: `eof-between-fragments-of-${by}`,
    what: `the ${by} closes its connection between two fragments of a message`,
    async act(stage) {
      await stage[by].sendFrame("first", { isFinal: false });
      stage[by].end();
    },
    ...lostWithoutClose(by, FIN),
  })),
  ...onEitherSide((by) => ({
    name: `eof-in-a-head-of-${by}`,
    what: `the ${by} closes its connection in the head of a frame, or in a control frame`,
    async act(stage) {
      await stage[by].wire.send(stage[by].frame("ping", { opcode: OPCODE.ping }).slice(0, -1));
      stage[by].end();
    },
    ...lostWithoutClose(by, FIN),
  })),
  ...onEitherSide((by, other) => ({
    name: `eof-in-a-frame-of-${by}`,
    what: `the ${by} closes its connection in the middle of a message's payload: what has come is passed on, and inside a frame nobody can say anything to the ${other}`,
    async act(stage) {
      await stage[by].wire.send(stage[by].frame("cut here").slice(0, -4));
      stage[by].end();
    },
    ...lostWithoutClose(by, FIN),
    ...seenBy(by, FIN, CUT),
    code: null,
    reason: "",
  })),
  ...onEitherSide((by, other) => ({
    name: `reset-in-a-frame-of-${by}`,
    what: `the ${by} resets its connection in the middle of a message's payload`,
    async act(stage) {
      const half = stage[by].frame("cut here").slice(0, -4);
      await stage[by].wire.send(half);
      await stage[other].wire.inbox.seen("cut ");
      stage[by].wire.reset();
    },
    ...lostByReset(by),
    ...seenBy(by, null, CUT),
    code: null,
    reason: "",
  })),
  {
    name: "truncation-of-client",
    what: "the client's TLS ends without close_notify, as when its process is killed: nothing else than the end of a connection, since a WebSocket has its own closing handshake",
    fronts: ["wss"],
    act: ({ client }) => client.wire.truncate?.(),
    ...lostWithoutClose("client", FIN),
  },
  {
    name: "truncation-of-upstream",
    what: "the TLS of an upstream (`proxy_pass https:`) ends without close_notify",
    isUpstreamTls: true,
    act: ({ upstream }) => upstream.wire.truncate(),
    ...lostWithoutClose("upstream", FIN),
  },
];

type Loss = Omit<End, "name" | "what" | "act">;

function lostWithoutClose(by: Side, itself: typeof FIN): Loss {
  const reason = `${by} closed its connection without a Close frame`;
  return {
    ...seenBy(by, itself, closed(lossCode(by), reason)),
    endedBy: by,
    end: "eof",
    code: lossCode(by),
    reason,
    log: [levelFor(by), reason],
  };
}

function lostByReset(by: Side): Loss {
  const reason = `${by} reset its connection`;
  return {
    gone: by,
    ...seenBy(by, null, closed(lossCode(by), reason)),
    endedBy: by,
    end: "reset",
    code: lossCode(by),
    reason,
    log: [levelFor(by), `${by} connection failed (104: Connection reset by peer)`],
  };
}
