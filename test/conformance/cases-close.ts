/** Section 7 of the list: the closing handshake, its codes and its reasons. */
import { broken, type Case, judgedByServer, valid } from "./case.ts";
import { close, continuation, fragments, ping, TEXT, text } from "./frames.ts";

const HANDSHAKES: Case[] = [
  valid("7.1.1", "a message, then Close", [text("Hello World!")]),
  judgedByServer("7.1.2", "two Close frames", [close(1000), close(1000)]),
  judgedByServer("7.1.3", "a ping after Close", [close(1000), ping("too late")]),
  judgedByServer("7.1.4", "a message after Close", [close(1000), text("too late")]),
  judgedByServer("7.1.5", "Close between two fragments", [
    text("fragment1", { isFinal: false }),
    close(1000),
    continuation("fragment2"),
  ]),
  valid("7.1.6", "256 KiB, and Close behind a ping", [
    ...fragments(TEXT, Buffer.alloc(262_144, "*"), 65_536),
    ping(),
  ]),
  judgedByServer("7.1.x", "what breaks every rule after Close", [
    close(1000),
    text("unmasked", { isMasked: false, reserved: 7 }),
  ]),
];

const PAYLOADS: Case[] = [
  judgedByServer("7.3.1", "Close without a payload", [close()]),
  broken("7.3.2", "Close with a payload of one byte", "5.5.1", [close(Buffer.from("a"))]),
  judgedByServer("7.3.3", "Close with a code alone", [close(1000)]),
  judgedByServer("7.3.4", "Close with a reason", [close(1000, "Hello World!")]),
  judgedByServer("7.3.5", "Close with the longest reason", [close(1000, "*".repeat(123))]),
  broken("7.3.6", "Close with a reason that is too long", "5.5", [close(1000, "*".repeat(124))]),
  broken(
    "7.5.1",
    "Close with a reason that is no UTF-8",
    "5.5.1",
    [close(1000, Buffer.from("cebae1bdb9cf83cebcceb5eda080656469746564", "hex"))],
    [1002, 1007],
  ),
  judgedByServer("7.x.1", "Close with a reason of characters of all lengths", [close(1000, "κόσμε 𝄞 ß")]),
];

const MAY_BE_SENT = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
/** IANA has given them out since: 1012 service restart, 1013 try again later, 1014 bad gateway. */
const SINCE_REGISTERED = [1012, 1013, 1014];
const MAY_NOT_BE_SENT = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

export const CLOSE_CASES: readonly Case[] = [
  ...HANDSHAKES,
  ...PAYLOADS,
  ...[...MAY_BE_SENT, ...SINCE_REGISTERED].map((code, index) =>
    judgedByServer(`7.7.${index + 1}`, `code ${code}`, [close(code, "why")]),
  ),
  ...MAY_NOT_BE_SENT.map((code, index) => broken(`7.9.${index + 1}`, `code ${code}`, "7.4", [close(code)])),
];
