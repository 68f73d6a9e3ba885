/**
 * Who obtains something in a test writes it here, and the rig gives it back: what a test obtained when the test ends,
 * what `beforeAll` obtained when the file ends. Afterwards no socket and no child process may be left.
 */
// Not the global one, which a test may have put its own clock in place of.
import { performance } from "node:perf_hooks";
import { afterAll, afterEach, beforeEach } from "vitest";
import { DEADLINE_MS, nextTurn } from "./deadline.ts";

interface Holding {
  readonly name: string;
  readonly release: () => Promise<void> | void;
  /** What to print about it when the test failed, such as the tail of a log. */
  readonly evidence: () => string;
}

let forFile: Holding[] | undefined;
let forTest: Holding[] | undefined;

/**
 * Call once at the top of a test file that uses the rig. Everything a test obtains is released after it, in reverse
 * order, and the test fails where a release fails or something of the rig's process stays open.
 */
export function useRig(): void {
  forFile = [];
  let before = openResources();

  beforeEach(() => {
    forTest = [];
    before = openResources();
  });

  afterEach(async ({ task }) => {
    const holdings = forTest ?? [];
    forTest = undefined;
    const failed = task.result?.state === "fail";
    if (failed) printEvidence([...(forFile ?? []), ...holdings]);
    const errors = await releaseAll(holdings);
    if (errors.length === 0 && !failed) errors.push(...(await leaksSince(before)));
    throwAll(errors, "after the test");
  });

  afterAll(async () => {
    const holdings = forFile ?? [];
    forFile = undefined;
    throwAll(await releaseAll(holdings), "after the file");
  });
}

/**
 * Registers something that must be given back. The function returned gives it back at once; it may be called again
 * without effect.
 */
export function obtain(
  name: string,
  release: () => Promise<void> | void,
  evidence: () => string = () => "",
): () => Promise<void> {
  const holdings = forTest ?? forFile;
  if (holdings === undefined) throw new Error(`${name} was obtained without useRig() at the top of the file`);
  let released: Promise<void> | undefined;
  const releaseOnce = (): Promise<void> => {
    released ??= (async () => {
      await release();
    })();
    return released;
  };
  holdings.push({ name, release: releaseOnce, evidence });
  return releaseOnce;
}

async function releaseAll(holdings: readonly Holding[]): Promise<Error[]> {
  const errors: Error[] = [];
  for (const holding of holdings.toReversed()) {
    try {
      await holding.release();
    } catch (error) {
      errors.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
  return errors;
}

function throwAll(errors: readonly Error[], when: string): void {
  const [only] = errors;
  if (only === undefined) return;
  if (errors.length === 1) throw only;
  throw new AggregateError(errors, `${when}: ${errors.map((error) => error.message).join("\n\n")}`);
}

function printEvidence(holdings: readonly Holding[]): void {
  for (const { name, evidence } of holdings) {
    const text = evidence();
    if (text !== "") console.error(`--- ${name}\n${text}`);
  }
}

/** Timers are not counted: the test runner has its own, and {@link within} clears each of the rig's. */
const COUNTED = new Set([
  "TCPSocketWrap",
  "TCPServerWrap",
  "TLSWrap",
  "PipeServerWrap",
  "ProcessWrap",
  "UDPWrap",
]);

function openResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (COUNTED.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/** Closing takes some turns of the event loop; what is still open at the deadline is a leak. */
async function leaksSince(before: ReadonlyMap<string, number>): Promise<Error[]> {
  const deadline = performance.now() + DEADLINE_MS / 5;
  for (;;) {
    const left = [...openResources()].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    if (left.length === 0) return [];
    if (performance.now() > deadline) {
      const list = left.map(([kind, count]) => `${count - (before.get(kind) ?? 0)} ${kind}`).join(", ");
      return [new Error(`the test left open: ${list}`)];
    }
    await nextTurn();
  }
}
