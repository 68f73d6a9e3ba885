/** The parts of `ws`, which its types leave out: oracles that nobody here wrote. */
import { createRequire } from "node:module";
import type { Writable } from "node:stream";

/** A parameter is `true` without a value. */
type WsExtensionParameters = Record<string, (string | true)[]>;

export interface WsPerMessageDeflate {
  /** Takes over what was agreed on: the one element of a list. */
  accept(parameters: WsExtensionParameters[]): void;
  /** Frees its contexts. */
  cleanup(): void;
}

export interface WsExtensions {
  readonly "permessage-deflate"?: WsPerMessageDeflate;
}

export interface WsSender {
  send(
    data: Buffer,
    options: {
      readonly binary: boolean;
      readonly compress: boolean;
      readonly fin: boolean;
      readonly mask: boolean;
    },
    done: () => void,
  ): void;
  ping(data: Buffer, isMasked: boolean, done: () => void): void;
  close(code: number, reason: string, isMasked: boolean, done: () => void): void;
}

interface WsModule {
  readonly Receiver: new (options: {
    readonly isServer: boolean;
    readonly extensions?: WsExtensions;
  }) => Writable;
  readonly Sender: new (
    socket: {
      cork(): void;
      uncork(): void;
      write(bytes: Buffer | string, done?: () => void): void;
    },
    extensions: WsExtensions,
  ) => WsSender;
  readonly PerMessageDeflate: new (options: {
    readonly isServer: boolean;
    readonly threshold?: number;
    readonly zlibDeflateOptions?: { readonly level?: number; readonly windowBits?: number };
  }) => WsPerMessageDeflate;
  readonly extension: { parse(header: string): Record<string, WsExtensionParameters[]> };
}

const wsModule: WsModule = createRequire(import.meta.url)("ws");

/** Emits message, ping, pong and conclude (a Close frame). */
export const WsReceiver: WsModule["Receiver"] = wsModule.Receiver;
export const WsSender: WsModule["Sender"] = wsModule.Sender;

/** ws's permessage-deflate with the parameters of an answer. */
export function wsDeflate(answer: string, isServer: boolean): WsPerMessageDeflate {
  const deflate = new wsModule.PerMessageDeflate({ isServer, threshold: 0 });
  deflate.accept(wsModule.extension.parse(answer)["permessage-deflate"] ?? []);
  return deflate;
}
