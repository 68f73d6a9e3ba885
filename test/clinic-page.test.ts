/** docs/CLINIC.md: who has been in the clinic. After a change: `npx vitest run test/clinic-page.test.ts -u`. */
import { expect, test } from "vitest";
import type { Illness } from "../src/doctor/verdict/illness.ts";
import { ILLNESSES } from "../src/doctor/verdict/verdict.ts";
import { CHROME_SAYS } from "./clinic/chrome-says.ts";
import { WARDS } from "./clinic/index.ts";
import type { Patient } from "./clinic/patient.ts";

const INTRODUCTION = `# The clinic

<!-- Made by test/clinic-page.test.ts from the patients in test/clinic. Do not edit: run \`npx vitest run test/clinic-page.test.ts -u\`. -->

On these setups \`wsgate doctor\` is tried, whenever the tests run. Each row is a real one, made by \`test/clinic*.test.ts\`: a real
nginx, HAProxy, Caddy or Apache, real certificates, real sockets, and one fault, which the doctor has to name as the first cause;
or none, and then it must find none (*healthy*). A row that begins with *the same* differs from the one above it by what it says.

What the doctor says about each illness, with the lines that mend it, stands in [DOCTOR.md](DOCTOR.md); words in *italics* stand for
what it finds, such as a path. What Chrome says in its console is what chromium said to this very setup; where it cannot be asked,
the row says why. Most messages stand behind \`WebSocket connection to 'wss://…' failed:\`, and those about the handshake behind
\`Error during WebSocket handshake:\`. *The articles' files* are configurations that well-known articles about WebSockets behind
nginx print.
`;

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** What Chrome says, without what is the same in all messages; or why nothing stands there. */
function chromeSays({ made, notInBrowser }: Patient): string {
  if (notInBrowser !== undefined) return notInBrowser;
  const said = (CHROME_SAYS[made] ?? "")
    .replace("WebSocket connection to '{url}' failed: ", "")
    .replace("Error during WebSocket handshake: ", "");
  return `\`${said}\``;
}

function row(patient: Patient): string {
  const { made, illness: id } = patient;
  const illness = ILLNESSES.find((candidate) => candidate.id === id);
  if (illness === undefined) return `| ${cell(made)} | | healthy |`;
  // What the placeholders of a title stand for differs from case to case.
  const title = illness.title.en.replaceAll(/\{(\w+)\}/g, "*$1*");
  return `| ${cell(made)} | ${cell(chromeSays(patient))} | [${id}](DOCTOR.md#${id}): ${cell(title)} |`;
}

function page(): string {
  const wards = WARDS.map(({ name, patients }) =>
    [
      `## ${name}`,
      "",
      "| made by | Chrome says | the doctor says |",
      "|---|---|---|",
      ...patients.map(row),
      "",
    ].join("\n"),
  );
  return [INTRODUCTION, ...wards].join("\n");
}

test("the page about the clinic shows the patients as they are", async () => {
  await expect(page()).toMatchFileSnapshot("../docs/CLINIC.md");
});

/** What no machine can be made to have here, or what another illness shows as well; each with its reason. */
const NEVER_SEEN: Readonly<Record<string, string>> = {
  "network-unreachable": "a network namespace of its own: test/clinic-network.test.ts",
};

test("every illness has had a patient, but for those with a reason", () => {
  const seen = new Set(WARDS.flatMap(({ patients }) => patients.map(({ illness }) => illness)));
  const sick = ILLNESSES.filter(({ severity }: Illness) => severity === "sick").map(({ id }) => id);
  expect(sick.filter((id) => !seen.has(id) && !Object.hasOwn(NEVER_SEEN, id))).toEqual([]);
});
