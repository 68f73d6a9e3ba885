import { describeSystemError } from "../../base/errno.ts";
import type { Word } from "../../config/tree.ts";
import type { Check } from "../../compile/check.ts";
import { HTTP_SERVER } from "../../compile/contexts.ts";
import { many, one, withoutEffect } from "../../compile/rows.ts";
import {
  anyOf,
  custom,
  enumOf,
  flag,
  integer,
  path,
  size,
  text,
  timeSeconds,
  words,
} from "../../compile/values.ts";
import type { DirectiveRow, RowsOf, ValueType } from "../../compile/rows.ts";
import type { TlsSettings } from "../../compile/plan.ts";
import type { ByteString } from "../../base/bytes.ts";

/** A file that was read at load, with the place that names it. */
export interface LoadedFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly word: Word;
}

export type TlsProtocol = "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

export const TLS_PROTOCOLS: readonly TlsProtocol[] = [
  "SSLv2",
  "SSLv3",
  "TLSv1",
  "TLSv1.1",
  "TLSv1.2",
  "TLSv1.3",
];

/** A file's contents, relative to the configuration's folder. `what` begins nginx's message when it cannot be read. */
function contents(what: string): ValueType<LoadedFile> {
  return custom("file", [1, 1], ([word], check) =>
    word === undefined ? undefined : loadFile(word, what, check),
  );
}

function loadFile(word: Word, what: string, check: Check): LoadedFile | undefined {
  if (/\$|^(data|engine|store):/.test(word.text)) {
    check.error(word.span, `${what} "${word.text}"`, {
      code: "not-implemented",
      notes: [{ message: "wsgate reads certificates and keys from files whose names hold no variables" }],
    });
    return undefined;
  }
  const file = check.path(word.text, "conf");
  try {
    return { path: file, bytes: check.readFile(file), word };
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    // For a missing file, what OpenSSL says through nginx, since that is what people search for.
    const reason = isMissing
      ? `BIO_new_file() failed (SSL: error:80000002:system library::No such file or directory:calling fopen(${file}, r) error:10000080:BIO routines::no such file)`
      : `BIO_new_file() failed (${describeSystemError(error)})`;
    check.error(word.span, `${what} "${file}": ${reason}`, { code: "unreadable-file" });
    return undefined;
  }
}

/** What the directives say about TLS on a server. */
export interface SslSettings {
  readonly ssl_certificate: readonly LoadedFile[];
  readonly ssl_certificate_key: readonly LoadedFile[];
  readonly ssl_password_file: LoadedFile | null;
  readonly ssl_protocols: readonly TlsProtocol[];
  readonly ssl_ciphers: ByteString;
  readonly ssl_prefer_server_ciphers: boolean;
  readonly ssl_ecdh_curve: ByteString;
  readonly ssl_dhparam: LoadedFile | null;
  readonly ssl_session_tickets: boolean;
  readonly ssl_session_ticket_key: readonly LoadedFile[];
  /** Seconds. */
  readonly ssl_session_timeout: number;
  readonly ssl_client_certificate: LoadedFile | null;
  readonly ssl_trusted_certificate: LoadedFile | null;
  readonly ssl_crl: LoadedFile | null;
  readonly ssl_verify_client: TlsSettings["ssl_verify_client"];
  readonly ssl_verify_depth: number;
  readonly ssl_reject_handshake: boolean;
}

export const rows: RowsOf<SslSettings> = {
  ssl_certificate: many({
    in: HTTP_SERVER,
    type: contents("cannot load certificate"),
    inherit: "list",
    doc: "A certificate with its chain, in PEM. Several may stand, one for each kind of key.",
  }),
  ssl_certificate_key: many({
    in: HTTP_SERVER,
    type: contents("cannot load certificate key"),
    inherit: "list",
    doc: "The private key of the certificate in the same position.",
  }),
  ssl_password_file: one({
    in: HTTP_SERVER,
    type: contents("cannot open password file"),
    default: null,
    doc: "Passphrases of private keys, one a line; each is tried.",
  }),
  ssl_protocols: one({
    in: HTTP_SERVER,
    type: anyOf(...TLS_PROTOCOLS),
    default: ["TLSv1.2", "TLSv1.3"],
    defaultText: "TLSv1.2 TLSv1.3",
    doc: "The versions of TLS that are spoken.",
  }),
  ssl_ciphers: one({
    in: HTTP_SERVER,
    type: text("ciphers"),
    default: "HIGH:!aNULL:!MD5",
    doc: "Cipher suites up to TLS 1.2, in OpenSSL's notation. Those of TLS 1.3 are always offered.",
  }),
  ssl_prefer_server_ciphers: one({
    in: HTTP_SERVER,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether the order of ssl_ciphers counts more than the client's.",
  }),
  ssl_ecdh_curve: one({
    in: HTTP_SERVER,
    type: text("curve"),
    default: "auto",
    doc: "Curves for the key exchange, separated by colons.",
  }),
  ssl_dhparam: one({
    in: HTTP_SERVER,
    type: contents("cannot load DH parameters"),
    default: null,
    doc: "Parameters for DHE cipher suites, in PEM.",
  }),
  ssl_session_tickets: one({
    in: HTTP_SERVER,
    type: flag(),
    default: true,
    defaultText: "on",
    doc: "Whether sessions are resumed by tickets.",
  }),
  ssl_session_ticket_key: many({
    in: HTTP_SERVER,
    type: contents("cannot open session ticket key"),
    inherit: "list",
    doc: "80 or 48 random bytes that encrypt tickets; needed where several machines share a name. Only the first is used.",
  }),
  ssl_session_timeout: one({
    in: HTTP_SERVER,
    type: timeSeconds(),
    default: 300,
    defaultText: "5m",
    doc: "How long a session may be resumed.",
  }),
  ssl_client_certificate: one({
    in: HTTP_SERVER,
    type: contents("cannot load client certificates"),
    default: null,
    doc: "Authorities whose client certificates are accepted; their names are sent to clients.",
  }),
  ssl_trusted_certificate: one({
    in: HTTP_SERVER,
    type: contents("cannot load trusted certificates"),
    default: null,
    doc: "The same, without sending the names.",
  }),
  ssl_crl: one({
    in: HTTP_SERVER,
    type: contents("cannot load CRL"),
    default: null,
    doc: "Revoked client certificates, in PEM.",
  }),
  ssl_verify_client: one({
    in: HTTP_SERVER,
    type: enumOf("on", "off", "optional", "optional_no_ca"),
    default: "off",
    doc: "Whether clients must, may or need not show a certificate.",
  }),
  ssl_verify_depth: one({
    in: HTTP_SERVER,
    type: integer(0, 100),
    default: 1,
    doc: "How long a chain of client certificates may be.",
  }),
  ssl_reject_handshake: one({
    in: HTTP_SERVER,
    type: flag(),
    default: false,
    defaultText: "off",
    doc: "Whether handshakes for this server's names are refused: for a default server that answers to no unknown name.",
  }),
};

export const effectlessRows: Readonly<Record<string, DirectiveRow<undefined>>> = {
  ssl_buffer_size: withoutEffect({ in: HTTP_SERVER, type: size(), doc: "OpenSSL sizes its records." }),
  ssl_certificate_cache: withoutEffect({
    in: HTTP_SERVER,
    type: words("off | max=N [inactive=time] [valid=time]", 1, 3),
    doc: "Certificates are read once, at load.",
  }),
  ssl_early_data: withoutEffect({
    in: HTTP_SERVER,
    type: flag(),
    doc: "Early data is never accepted, since it can be replayed.",
  }),
  ssl_session_cache: withoutEffect({
    in: HTTP_SERVER,
    type: words("off | none | [builtin[:size]] [shared:name:size]", 1, 2),
    doc: "Sessions are resumed by tickets.",
  }),
  ssl_stapling: withoutEffect({
    in: HTTP_SERVER,
    type: flag(),
    doc: "OCSP answers are not stapled; clients that want them ask the authority.",
  }),
  ssl_stapling_file: withoutEffect({
    in: HTTP_SERVER,
    type: path("conf"),
    doc: "OCSP answers are not stapled.",
  }),
  ssl_stapling_responder: withoutEffect({
    in: HTTP_SERVER,
    type: text("url"),
    doc: "OCSP answers are not stapled.",
  }),
  ssl_stapling_verify: withoutEffect({ in: HTTP_SERVER, type: flag(), doc: "OCSP answers are not stapled." }),
  ssl_ocsp_cache: withoutEffect({
    in: HTTP_SERVER,
    type: words("off | [shared:name:size]", 1, 1),
    doc: "Client certificates are checked against ssl_crl.",
  }),
};
