/** Close codes that wsgate itself sends (RFC 6455 section 7.4.1 and IANA's registry). */
export const GOING_AWAY = 1001;
export const PROTOCOL_ERROR = 1002;
/** Data that is not what it should be: text that is not UTF-8, a compressed message that cannot be inflated (RFC 7692). */
export const INVALID_PAYLOAD = 1007;
export const POLICY_VIOLATION = 1008;
export const MESSAGE_TOO_BIG = 1009;
/** A gateway's upstream gave no valid answer. */
export const BAD_GATEWAY = 1014;

/** Whether a peer may put this code into a Close frame: 1005, 1006 and 1015 stand for what is not on the wire. */
export function mayBeSent(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}
