import { randomBytes } from "node:crypto";

/** A secret for a new TlsAcceptor; 32 bytes are as many as its hash takes in. */
export function makeTicketSecret(): Buffer {
  return randomBytes(32);
}
