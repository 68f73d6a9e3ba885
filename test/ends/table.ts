/**
 * Every way in which a tunnel can end: what each side gets that lives, and what the logs say. This is the only place where
 * that is written down. docs/HOW_TUNNELS_END.md is made from it (`npm run docs`), and test/ends.test.ts and
 * test/ends-of-operation.test.ts do each of its rows over each front.
 */
import { handshakes } from "./handshakes.ts";
import { limits } from "./limits.ts";
import { losses } from "./losses.ts";
import { operations } from "./operations.ts";
import type { End, EndGroup } from "./rows.ts";
import { timeouts } from "./timeouts.ts";
import { violations } from "./violations.ts";

export { openings as OPENINGS } from "./openings.ts";

/** The ends that come by what happens in a tunnel. */
export const TUNNEL_ENDS: readonly End[] = [...handshakes, ...losses, ...timeouts, ...limits, ...violations];

export const ENDS: readonly EndGroup[] = [
  {
    title: "By the closing handshake",
    intro:
      "A Close frame is passed on like any other, and so is its answer. After one, what becomes of the connections is only its consequence: the log says who has closed, and with which code.",
    ends: handshakes,
  },
  {
    title: "Without a Close frame",
    intro:
      "The side that still lives is told by a Close frame of wsgate's own: a client whose upstream is gone gets 1014 (Bad Gateway), an upstream whose client is gone 1001. What was under way to it is delivered first.\n\nOver HTTP/2 END_STREAM is FIN, RST_STREAM is RST (RFC 8441 section 5), and where the whole connection ends, its tunnels end as they would without HTTP/2. A page that is left, reloaded or closed shows there as `client reset`, with `client reset its stream: RST_STREAM CANCEL, as browsers do that leave a page` in the error log: that is all that Chromium (156) sends, since the reset overtakes the Close frame with 1001 that it means to send. Over HTTP/1.1 it says 1001, and the log `client close`. To the upstream both are 1001.",
    ends: losses,
  },
  {
    title: "By the clock",
    intro: "The times are those of the test; the reason names the directive and what it is set to.",
    ends: timeouts,
  },
  {
    title: "By a limit",
    intro:
      "Who goes beyond a limit is told which one; the other side gets 1001, and that it was not its own doing.",
    ends: limits,
  },
  {
    title: "By a frame that breaks a rule",
    intro:
      "Nothing of the frame is passed on. Who has sent it is told the rule, with 1002 (1009 for a length that nobody could take); the other side gets 1001. A client to which a frame is under way is told behind it, also where a drain waits for that frame, and as long as the drain's time lasts. The rule's name is in the error log.",
    ends: violations,
  },
  {
    title: "By what is done to the proxy",
    intro:
      "A client is told 1012 (Service Restart) where it may come back at once, and 1001 where there is no time to wait for its answer. Only what kills a process outright leaves both sides without a word, and the access log without a line.",
    ends: operations,
  },
];
