import { describe, expect, test } from "vitest";
import {
  acceptOffer,
  findDeflate,
  formatAgreement,
  isLegalAnswer,
  withoutDeflate,
} from "./deflate-parameters.ts";

/** The answer to an offer, as it is written; null where it is declined. */
function answer(offer: string, wishes: { takeover?: boolean; windowBits?: number } = {}): string | null {
  const agreement = acceptOffer([offer], { takeover: true, windowBits: 15, ...wishes });
  return agreement === null ? null : formatAgreement(agreement).replace("permessage-deflate", "").slice(2);
}

describe("an offer", () => {
  test.each([
    ["permessage-deflate", ""],
    ["Permessage-Deflate", ""],
    ["x-webkit-deflate-frame, permessage-deflate", ""],
    ["permessage-deflate; client_max_window_bits", ""],
    ["permessage-deflate; client_max_window_bits=15", ""],
    ["permessage-deflate; client_max_window_bits=11", "client_max_window_bits=11"],
    ["permessage-deflate; client_max_window_bits=8", "client_max_window_bits=8"],
    ['permessage-deflate; client_max_window_bits="11"', "client_max_window_bits=11"],
    ["permessage-deflate; server_max_window_bits=15", "server_max_window_bits=15"],
    ["permessage-deflate;server_max_window_bits = 9", "server_max_window_bits=9"],
    ["permessage-deflate; server_no_context_takeover", "server_no_context_takeover"],
    ["permessage-deflate; client_no_context_takeover", "client_no_context_takeover"],
    [
      "permessage-deflate; client_max_window_bits; server_max_window_bits=10; client_no_context_takeover; server_no_context_takeover",
      "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
    ],
  ])("%s is answered by: %s", (offer, expected) => {
    expect(answer(offer)).toBe(expected);
  });

  test.each([
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=8",
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=010",
    "permessage-deflate; server_max_window_bits=+9",
    'permessage-deflate; client_max_window_bits=""',
    "permessage-deflate; client_max_window_bits=99999999999999999999",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
    "permessage-deflate; unknown",
    "permessage-deflate; __proto__",
    "permessage-deflate; Server_No_Context_Takeover",
    "x-permessage-deflate",
    "",
  ])("%s is declined", (offer) => {
    expect(answer(offer)).toBeNull();
  });

  test.each([
    [
      "permessage-deflate; unknown, permessage-deflate; client_max_window_bits=10",
      "client_max_window_bits=10",
    ],
    ["permessage-deflate; server_max_window_bits=8, permessage-deflate", ""],
    ["permessage-deflate; server_no_context_takeover, permessage-deflate", "server_no_context_takeover"],
  ])("that cannot be kept falls back to the next: %s", (offers, expected) => {
    expect(answer(offers)).toBe(expected);
    expect(acceptOffer(offers.split(", "), { takeover: true, windowBits: 15 })).toEqual(
      acceptOffer([offers], { takeover: true, windowBits: 15 }),
    );
  });

  test.each([
    ["permessage-deflate", ""],
    ["permessage-deflate; client_max_window_bits", "client_max_window_bits=10"],
    ["permessage-deflate; client_max_window_bits=9", "client_max_window_bits=9"],
    ["permessage-deflate; server_max_window_bits=12", "server_max_window_bits=10"],
    ["permessage-deflate; server_max_window_bits=9", "server_max_window_bits=9"],
  ])("%s is answered with a smaller window only where it allows one", (offer, expected) => {
    expect(answer(offer, { windowBits: 10 })).toBe(expected);
  });

  test("can be answered by asking both sides for empty windows", () => {
    expect(answer("permessage-deflate", { takeover: false })).toBe(
      "server_no_context_takeover; client_no_context_takeover",
    );
  });
});

describe("an answer", () => {
  test.each([
    ["permessage-deflate", "permessage-deflate"],
    ["permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover"],
    ["permessage-deflate", "permessage-deflate; server_max_window_bits=10"],
    ["permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=8"],
    ["permessage-deflate; client_max_window_bits=12", "permessage-deflate; client_max_window_bits=12"],
    ["permessage-deflate; client_max_window_bits=12", "permessage-deflate"],
    ["permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=11"],
    ["permessage-deflate; server_no_context_takeover, permessage-deflate", "permessage-deflate"],
    ["permessage-deflate", "x-other"],
    ["", ""],
  ])("to %j may be %j", (offer, given) => {
    expect(isLegalAnswer([offer], [given])).toBe(true);
  });

  test.each([
    ["permessage-deflate", "permessage-deflate; client_max_window_bits=15"],
    ["permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits"],
    ["permessage-deflate; client_max_window_bits=12", "permessage-deflate; client_max_window_bits=13"],
    ["permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=13"],
    ["permessage-deflate; server_max_window_bits=12", "permessage-deflate"],
    ["permessage-deflate; server_no_context_takeover", "permessage-deflate"],
    ["permessage-deflate", "permessage-deflate; server_max_window_bits=16"],
    ["permessage-deflate", "permessage-deflate; unknown"],
    ["permessage-deflate", "permessage-deflate; server_no_context_takeover; server_no_context_takeover"],
    ["permessage-deflate, permessage-deflate", "permessage-deflate, permessage-deflate"],
    ["x-other", "permessage-deflate"],
  ])("to %j may not be %j", (offer, given) => {
    expect(isLegalAnswer([offer], [given])).toBe(false);
  });
});

test("an offer is taken out of a line, and the others stay as they are", () => {
  expect(withoutDeflate('x; a="b, c", permessage-deflate; y=1,Permessage-Deflate, z')).toBe('x; a="b, c", z');
  expect(withoutDeflate("permessage-deflate")).toBe("");
  expect(findDeflate(["x", "y, permessage-deflate; client_max_window_bits"])).toBe(
    "permessage-deflate; client_max_window_bits",
  );
});
