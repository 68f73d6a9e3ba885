import { randomFillSync } from "node:crypto";

const KEY_BYTES = 4;
/** Random bytes are made for many keys at once: a call for each costs more than the masking of a short frame. */
const pool: Buffer = Buffer.alloc(KEY_BYTES * 1024);
let at: number = pool.length;

/** A masking key that nobody can foresee (RFC 6455 section 5.3); valid until the next one is asked for. */
export function nextMaskingKey(): Buffer {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  at += KEY_BYTES;
  return pool.subarray(at - KEY_BYTES, at);
}
