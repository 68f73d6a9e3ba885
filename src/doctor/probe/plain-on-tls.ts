/** Bodies with which nginx, Go and Apache answer plain HTTP on a port of TLS. */
export const PLAIN_ON_TLS_BODY: RegExp =
  /plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server|speaking plain HTTP to an SSL-enabled server/i;
