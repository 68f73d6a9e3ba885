/** docs/DOCTOR.md: what the doctor does, and every illness with what the browsers say, so that a search finds it. */
import type { Illness, Mend } from "../verdict/illness.ts";

/** `generated` is the line that says who has written the page. */
export function illnessesPage(illnesses: readonly Illness[], usage: string, generated: string): string {
  const sick = illnesses.filter(({ severity }) => severity === "sick");
  const notes = illnesses.filter(({ severity }) => severity === "note");
  return [
    "# What is wrong with my WebSocket?",
    "",
    generated,
    "",
    INTRODUCTION,
    "",
    "```",
    usage.trimEnd(),
    "```",
    "",
    "## Illnesses",
    "",
    "| name | what it is |",
    "|---|---|",
    ...illnesses.map(({ id, title }) => `| [${id}](#${id}) | ${title.en} |`),
    ...sections(sick),
    "",
    "## Notes",
    "",
    "They are told, and make nobody sick.",
    ...sections(notes),
    "",
  ].join("\n");
}

const INTRODUCTION = `\`wsgate doctor wss://host/path\` walks from the outside in: the URL, the page's scheme and policy, every address of the name, TCP to
each, TLS and the certificate, the opening handshake (over HTTP/1.1 as Chrome and as Firefox write it, with and without Origin,
over HTTP/2 where it is offered), a ping, a message, larger and larger ones, and with \`--hold\` an idle tunnel beside one that
pings. Where a step fails it sends requests that differ in one thing each, and tells the causes apart by the answers: without
Upgrade, in HTTP/1.0, to the folders above the path and to a path beside it that nobody has, with TLS or without, behind a PROXY
header. Those are GETs and handshakes, fewer than twenty, to the host that you name, and every WebSocket that opens is closed with a
Close frame. Nothing has to be installed on the server, and nothing there has to be wsgate.
\`--no-message\` is for applications that act on whatever they are told.

The report says in plain words what is wrong, how sure that is (*certain*, *very likely*, *likely*, *possible*), what supports it,
what to write in which file, and how to confirm it; the evidence stands below. In what to write, BACKEND is the address of your
application, and names in braces below, such as {path}, are filled in by the report. Secrets are taken out of every report: values of
a query, credentials, cookies and other secret headers, and JSON Web Tokens.

- \`--backend ws://10.0.0.5:8080/\` walks straight to the backend as well. Where that is healthy, the fault lies in the proxy.
- \`--layer4\` sends the same bytes without the word Upgrade: a device that reads HTTP (layer 7) lets them pass, one that breaks
  connections (layer 4) does not.
- \`--config nginx.conf\` asks [wsgate lint](LINT.md) about the file, above all about the location that takes the URL's path, and
  names the lines that explain what was found.
- \`--page https://example.com/app\` is the page that opens the WebSocket: whether its scheme and its Content-Security-Policy let it.
- \`--hold 90s\` says after how long an idle tunnel is cut, by whom, and whether pings keep it alive. Without it nobody waits, and
  a tunnel that dies after a minute looks healthy.
- \`--cert client.pem --key client.key\` shows a certificate to servers that ask for one; \`--ca company.pem\` trusts an authority of
  your own.
- \`--max-message\` tries that size whether or not the other side echoes; without it, 256 kB, and only where messages come back.

[CLINIC.md](CLINIC.md) shows each illness as it was made, and that the doctor names it first.`;

/** A mend that several illnesses share stands under the first, and the others point there. */
function sections(illnesses: readonly Illness[]): readonly string[] {
  const homes = new Map<Mend, string>();
  return illnesses.flatMap((illness) => {
    for (const mend of illness.mends) if (!homes.has(mend)) homes.set(mend, illness.id);
    return section(illness, homes);
  });
}

function section(
  { id, title, explanation, browsers, mends, confirm }: Illness,
  homes: ReadonlyMap<Mend, string>,
): readonly string[] {
  const messages = Object.values(browsers).flat();
  const elsewhere = new Set(mends.map((mend) => homes.get(mend) ?? id));
  elsewhere.delete(id);
  return [
    "",
    `### ${id}`,
    "",
    `${title.en} ${explanation.en}`,
    "",
    `${title.zh}${explanation.zh}`,
    ...(messages.length > 0
      ? ["", "```", ...[...new Set(messages)].map((text) => text.trimEnd()), "```"]
      : []),
    ...mends
      .filter((mend) => homes.get(mend) === id)
      .flatMap(({ product, what, lines }) => [
        "",
        `**${product}**: ${what.en}`,
        ...(lines === undefined ? [] : ["", "```", lines, "```"]),
      ]),
    ...[...elsewhere].flatMap((home) => ["", `Besides, what stands under [${home}](#${home}).`]),
    "",
    `*Confirm*: ${confirm.en}`,
  ];
}
