/** What the browsers write, where several illnesses share it. */
import type { BrowserMessages } from "./illness.ts";

export const FIREFOX_CANNOT: readonly string[] = [
  "Firefox can’t establish a connection to the server at {url}.",
];

/** The connection did not come about, for the reason that Chrome gives. */
export function connectionError(chromeError: string, ...safari: readonly string[]): BrowserMessages {
  return {
    chrome: [
      `WebSocket connection to '{url}' failed: Error in connection establishment: net::${chromeError}`,
      "WebSocket connection to '{url}' failed: ",
    ],
    firefox: FIREFOX_CANNOT,
    safari: safari.map((text) => `WebSocket connection to '{url}' failed: ${text}`),
  };
}

/** The handshake was answered with something else than 101. */
export function unexpectedCode(...codes: readonly number[]): BrowserMessages {
  const texts = codes.map((code) => `Unexpected response code: ${code}`);
  return {
    chrome: texts.flatMap((text) => [
      `WebSocket connection to '{url}' failed: Error during WebSocket handshake: ${text}`,
    ]),
    firefox: FIREFOX_CANNOT,
    safari: [
      ...texts.map((text) => `WebSocket connection to '{url}' failed: ${text}`),
      "WebSocket connection to '{url}' failed: There was a bad response from the server.",
    ],
  };
}

/** The 101 is not what it has to be. */
export function handshakeError(chrome: string, ...safari: readonly string[]): BrowserMessages {
  return {
    chrome: [`WebSocket connection to '{url}' failed: Error during WebSocket handshake: ${chrome}`],
    firefox: FIREFOX_CANNOT,
    safari: safari.map((text) => `WebSocket connection to '{url}' failed: ${text}`),
  };
}

/** The tunnel was open and ended without a Close frame. */
export const ABNORMAL_CLOSE: BrowserMessages = {
  chrome: ["CloseEvent code 1006, no message", "WebSocket connection to '{url}' failed: "],
  firefox: ["The connection to {url} was interrupted while the page was loading."],
  safari: ["WebSocket connection to '{url}' failed: The network connection was lost."],
};

export const NOTHING_SAID: BrowserMessages = { chrome: [], firefox: [], safari: [] };
