import type { WebSocketPeer } from "../rig/websocket-peer.ts";
import { closed, type End, levelFor, onEitherSide, seenBy, type Side } from "./rows.ts";

interface Limit {
  readonly name: string;
  readonly settings: (by: Side) => string;
  readonly what: string;
  readonly code: number;
  readonly message: string;
  readonly breakIt: (by: WebSocketPeer) => Promise<void>;
}

const LIMITS: readonly Limit[] = [
  {
    name: "max-frame-size",
    settings: () => "websocket_max_frame_size 5;",
    what: "a frame above `websocket_max_frame_size`",
    code: 1009,
    message: "frame above websocket_max_frame_size",
    breakIt: (by) => by.sendFrame("too long"),
  },
  {
    name: "max-message-size",
    settings: () => "websocket_max_message_size 5;",
    what: "a message above `websocket_max_message_size`",
    code: 1009,
    message: "message above websocket_max_message_size",
    breakIt: (by) => by.wire.send(by.frame("too", { isFinal: false }) + by.frame("long", { opcode: 0 })),
  },
  {
    name: "max-fragments",
    settings: () => "websocket_max_fragments 2;",
    what: "a message in more frames than `websocket_max_fragments`",
    code: 1008,
    message: "message in more fragments than websocket_max_fragments",
    breakIt: (by) =>
      by.wire.send(
        by.frame("", { isFinal: false }) +
          by.frame("", { isFinal: false, opcode: 0 }) +
          by.frame("", { opcode: 0 }),
      ),
  },
  {
    name: "messages-rate",
    settings: (by) => `websocket_rate 1r/m burst=1 from=${by} close;`,
    what: "more messages than `websocket_rate … close` allows",
    code: 1008,
    message: "message above websocket_rate",
    breakIt: (by) => by.wire.send(by.frame("one") + by.frame("two")),
  },
  {
    name: "bytes-rate",
    settings: (by) => `websocket_rate 10/s burst=10 from=${by} close;`,
    what: "more bytes than `websocket_rate … close` allows",
    code: 1008,
    message: "frame above websocket_rate",
    breakIt: (by) => by.wire.send(by.frame("1") + by.frame("too long")),
  },
];

/** The offender is told when the frame is over that is under way to it. */
const underAFrame: readonly End[] = onEitherSide((by, other) => {
  const message = "message above websocket_max_message_size";
  return {
    name: `limit-by-${by}-under-a-frame`,
    what: `the ${by} sends such a message while a frame is under way to it: it is told when that is over`,
    settings: "websocket_max_message_size 5;",
    async act(stage) {
      const bytes = stage[other].frame("abcd");
      await stage[other].wire.send(bytes.slice(0, -2));
      await stage[by].wire.inbox.seen("ab");
      await stage[by].wire.send(stage[by].frame("hi") + stage[by].frame("too long"));
      // Whoever passes on the one has read the other.
      await stage[other].wire.inbox.seen("hi");
      await stage[other].wire.send(bytes.slice(-2));
    },
    ...seenBy(by, closed(1009, message), closed(1001, `${by} sent a ${message}`)),
    endedBy: "proxy",
    end: "limit",
    code: by === "client" ? 1009 : 1001,
    reason: by === "client" ? message : `${by} sent a ${message}`,
    log: [levelFor(by), `${by} sent a ${message} (rule "max-message-size")`],
  };
});

/** Ends by a limit: who goes beyond it is told which, the other side that it was not its own doing. */
export const limits: readonly End[] = [...LIMITS.flatMap(endsBy), ...underAFrame];

function endsBy(limit: Limit): readonly End[] {
  return onEitherSide((by) => ({
    name: `${limit.name}-by-${by}`,
    what: `the ${by} sends ${limit.what}`,
    settings: limit.settings(by),
    act: (stage) => limit.breakIt(stage[by]),
    ...seenBy(by, closed(limit.code, limit.message), closed(1001, `${by} sent a ${limit.message}`)),
    endedBy: "proxy",
    end: "limit",
    code: by === "client" ? limit.code : 1001,
    reason: by === "client" ? limit.message : `${by} sent a ${limit.message}`,
    log: [levelFor(by), `${by} sent a ${limit.message} (rule "${limit.name}")`],
  }));
}
