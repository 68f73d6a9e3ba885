/** Section 6 of the list: UTF-8. The proxy does not look into messages: what it brings about is the server's own verdict. */
import { type Case, judgedByServer, valid } from "./case.ts";
import { binary, continuation, fragments, TEXT, text } from "./frames.ts";

/** Text with characters of one to four bytes. */
const GREEK: Buffer = Buffer.from("Hello-µ@ßöäüàá-UTF-8!! κόσμε 𝄞");

/** Sequences in hexadecimal, by Autobahn's subsections. */
const VALID: Readonly<Record<string, readonly string[]>> = {
  "6.5": ["ceba", "cebae1bdb9cf83cebcceb5"],
  "6.6": ["ceba", "cebae1bdb9", "cebae1bdb9cf83", "cebae1bdb9cf83cebc"],
  "6.7 shortest": ["00", "c280", "e0a080", "f0908080"],
  "6.9 longest": ["7f", "dfbf", "efbfbf", "f48fbfbf"],
  "6.11 borders": ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf"],
  "6.22 non-characters": ["efbfbe", "efbfbf", "f09fbfbe", "f09fbfbf", "f0afbfbe", "f48fbfbe"],
  "6.23 replacement": ["efbfbb", "efbfbd", "efbbbf"],
};

const INVALID: Readonly<Record<string, readonly string[]>> = {
  "6.3 a surrogate within text": ["cebae1bdb9cf83cebcceb5eda080656469746564"],
  "6.6 cut within a character": ["ce", "cebae1bd", "cebae1bdb9cf", "f0908d"],
  "6.8 five and six bytes": ["f888808080", "fc8480808080"],
  "6.10 longest of five and six": ["fbbfbfbfbf", "fdbfbfbfbfbf"],
  "6.11 above U+10FFFF": ["f4908080"],
  "6.12 continuation bytes alone": ["80", "bf", "80bf", "80bf80bf80bf80"],
  "6.13 lonely start bytes": ["c020c120", "e020e120", "f020f120", "f820", "fc20"],
  "6.14 the last byte missing": ["c0", "e080", "f08080", "df", "efbf", "f7bfbf"],
  "6.15 all of them in a row": ["c0e080f08080f8808080fc80808080dfefbff7bfbf"],
  "6.16 impossible bytes": ["fe", "ff", "fefeffff"],
  "6.17 overlong": ["c0af", "e080af", "f08080af", "f8808080af"],
  "6.18 longest of the overlong": ["c1bf", "e09fbf", "f08fbfbf"],
  "6.19 overlong NUL": ["c080", "e08080", "f0808080"],
  "6.20 surrogates": ["eda080", "edadbf", "edae80", "edbfbf"],
  "6.21 pairs of surrogates": ["eda080edb080", "edadbfedbfbf", "edafbfedbfbf"],
};

const PLACES: Case[] = [
  valid("6.1.1", "an empty text", [text("")]),
  valid("6.1.2", "three empty fragments", fragments(TEXT, Buffer.alloc(0), 1)),
  valid("6.2.1", "text with characters of all lengths", [text(GREEK)]),
  valid("6.2.3", "the same in fragments of a byte, which cut its characters", fragments(TEXT, GREEK, 1)),
  judgedByServer("6.3.2", "a surrogate in fragments of a byte", [
    ...fragments(TEXT, Buffer.from("cebae1bdb9cf83cebcceb5eda080656469746564", "hex"), 1),
  ]),
  judgedByServer("6.4.1", "an invalid second fragment of three", [
    text(GREEK, { isFinal: false }),
    continuation(Buffer.from("f4908080", "hex"), { isFinal: false }),
    continuation("edited"),
  ]),
  valid("6.x.1", "what is no UTF-8 in a binary message", [binary(Buffer.from("fffec080eda080", "hex"))]),
];

export const TEXT_CASES: readonly Case[] = [
  ...PLACES,
  ...Object.entries(VALID).flatMap(([section, list]) =>
    list.map((hex) => valid(section, hex, [text(Buffer.from(hex, "hex"))])),
  ),
  ...Object.entries(INVALID).flatMap(([section, list]) =>
    list.map((hex) => judgedByServer(section, hex, [text(Buffer.from(hex, "hex"))])),
  ),
];
