/** What becomes of a client's offer to compress messages (RFC 7692). */
export type CompressionSettings =
  /** It is the upstream's to accept. */
  | { readonly kind: "pass" }
  /** Nobody accepts it. */
  | { readonly kind: "off" }
  | OffloadSettings;

/** The proxy accepts it: compressed with the client, plain with the upstream. */
export interface OffloadSettings {
  readonly kind: "offload";
  /** From 1 (fast) to 9 (small). */
  readonly level: number;
  /** The largest window, in bits from 9 to 15. A compressor takes about 100 kB up to 12, and 220 kB with 15. */
  readonly windowBits: number;
  /** Messages to the client that are shorter, in bytes, go as they are. */
  readonly minBytes: number;
  /** Whether windows are kept from one message to the next. */
  readonly takeover: boolean;
}
