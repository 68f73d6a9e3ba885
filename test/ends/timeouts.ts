import { OPCODE } from "../rig/frames.ts";
import { closed, type End, levelFor, lossCode, onEitherSide, seenBy } from "./rows.ts";

/** More than the kernel keeps on the way to a side that reads nothing. */
const FLOOD_BYTES = 24 * 1024 * 1024;

const SILENCE = "no byte from either side for 1s (proxy_read_timeout)";
const IDLE = "no message for 1s (websocket_idle_timeout)";
const OLD = "open for 1s (websocket_max_duration)";

/** Ends by the clock. */
export const timeouts: readonly End[] = [
  {
    name: "read-timeout",
    what: "neither side sends a byte for `proxy_read_timeout`; with pings on, only where both are dead",
    settings: "proxy_read_timeout 1s;",
    act() {},
    client: closed(1001, SILENCE),
    upstream: closed(1001, SILENCE),
    endedBy: "proxy",
    end: "read-timeout",
    code: 1001,
    reason: SILENCE,
    log: ["error", "upstream timed out (110: Connection timed out)"],
  },
  ...onEitherSide((about, other) => {
    const directive = about === "client" ? "send_timeout" : "proxy_send_timeout";
    const reason = `${about} took nothing for 1s (${directive})`;
    return {
      name: `send-timeout-of-${about}`,
      what: `the ${about} takes nothing of what is pending for it for \`${directive}\``,
      settings: `${directive} 1s;`,
      gone: about,
      async act(stage) {
        stage[about].wire.pause();
        void stage[other].sendFrame("\0".repeat(FLOOD_BYTES), { opcode: OPCODE.binary });
        await stage[other].ended;
        await stage[about].wire.close();
      },
      ...seenBy(about, null, closed(lossCode(about), reason)),
      endedBy: "proxy",
      end: "send-timeout",
      code: lossCode(about),
      reason,
      log: [levelFor(about), reason],
    };
  }),
  ...onEitherSide((about) => {
    const reason = `${about} answered no ping for 1s (proxy_read_timeout)`;
    const itself = "no answer to pings for 1s (proxy_read_timeout)";
    return {
      name: `ping-timeout-of-${about}`,
      what: `the ${about} answers no ping for \`proxy_read_timeout\`, as one whose cable has been pulled`,
      settings: "websocket_ping_interval 100ms; proxy_read_timeout 1s;",
      act(stage) {
        stage[about].isMute = true;
      },
      ...seenBy(about, { ...closed(1001, itself), last: "FIN or RST" }, closed(lossCode(about), reason)),
      endedBy: "proxy",
      end: "ping-timeout",
      code: lossCode(about),
      reason: about === "client" ? itself : reason,
      log: [levelFor(about), reason],
    };
  }),
  {
    name: "idle-timeout",
    what: "no message for `websocket_idle_timeout`, whatever pings say; the client is asked to close, and when it has answered, the upstream is",
    settings: "websocket_idle_timeout 1s; websocket_ping_interval 100ms;",
    act() {},
    client: closed(1001, IDLE),
    upstream: closed(1001, IDLE),
    endedBy: "proxy",
    end: "idle-timeout",
    code: 1001,
    reason: IDLE,
    log: null,
  },
  {
    name: "max-duration",
    what: "the tunnel has been open for `websocket_max_duration`; likewise",
    settings: "websocket_max_duration 1s;",
    act() {},
    client: closed(1001, OLD),
    upstream: closed(1001, OLD),
    endedBy: "proxy",
    end: "max-duration",
    code: 1001,
    reason: OLD,
    log: null,
  },
];
