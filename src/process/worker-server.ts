import type { Plan } from "../compile/plan.ts";
import type { Diagnostic } from "../config/diagnostic.ts";
import { headline } from "../config/format-diagnostic.ts";
import { CountsLedger } from "./counts-ledger.ts";
import { removeStaleSocket } from "../listen/stale-socket.ts";
import type { Source } from "./load.ts";
import { closeLogs, giveLogsToUser, openLogs } from "./log-files.ts";
import type { ListeningAddress, Server, WriteLog } from "./server.ts";
import { makeTicketSecret } from "./ticket-secret.ts";
import { setUpCluster, type WorkerEnd, WorkerLink } from "./worker-link.ts";

/** A worker that ends sooner than this after its start has not got going. */
const EARLY_END_MS = 1000;
/** The replacement of a worker that did not get going waits: so long at first, twice as long each time, at most so long. */
const RESPAWN_DELAY_MS = 1000;
const RESPAWN_DELAY_MS_MAX = 32_000;

interface Applied {
  readonly plan: Plan;
  readonly source: Source;
  readonly generation: number;
}

/** What the server thinks of a worker. */
interface Member {
  readonly link: WorkerLink;
  /** How many before it in its place ended early, one after the other. */
  readonly failures: number;
  /** leaving: told to go, so that its end is no accident. */
  role: "starting" | "serving" | "leaving";
}

/**
 * Workers behind shared listeners. The main process accepts and hands connections out in turn, which spreads
 * long-lived ones evenly and loses none when a worker leaves. A plan is applied in two steps, so that all workers
 * take it or none does.
 */
export class WorkerServer implements Server {
  #applied: Applied | null = null;
  #generation = 0;
  #addresses: readonly ListeningAddress[] = [];
  #isEnding = false;
  /** Tunnels are being drained, or are gone, and new ones turned away. */
  #isDraining = false;
  readonly #members = new Set<Member>();
  readonly #ledger: CountsLedger = new CountsLedger();
  readonly #log: WriteLog;
  readonly #ticketSecret: Buffer = makeTicketSecret();
  /** Replacements that wait for their time. */
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Plans are applied and workers replaced one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(log: WriteLog) {
    this.#log = log;
    setUpCluster();
  }

  get addresses(): readonly ListeningAddress[] {
    return this.#addresses;
  }

  apply(plan: Plan, source: Source, confirm: () => readonly Diagnostic[]): Promise<readonly Diagnostic[]> {
    return this.#inTurn(async () => {
      // The main process opens them as well: it writes to them itself, and it may do what workers may not.
      const faults = openLogs(plan);
      if (faults.length > 0) return faults;
      giveLogsToUser(plan);
      await this.#removeStaleSockets(plan);
      const refusal = await this.#applyInWorkers({ plan, source, generation: ++this.#generation }, confirm);
      if (refusal.length > 0) closeLogs(plan);
      return refusal;
    });
  }

  async drainTunnels(): Promise<boolean> {
    const answers = await this.#inTurn(async () => {
      this.#isDraining = true;
      return [...this.#members].map(({ link }) => link.drainTunnels());
    });
    return (await Promise.all(answers)).every((isEmpty) => isEmpty);
  }

  async drain(): Promise<void> {
    this.#isEnding = true;
    this.#cancelReplacements();
    await this.#turn;
    for (const member of this.#members) this.#dismiss(member, true);
    await this.#allGone();
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    this.#cancelReplacements();
    for (const { link } of this.#members) link.stop();
    await this.#allGone();
  }

  reopenLogs(): void {
    for (const { link } of this.#members) link.tell({ kind: "reopen" });
  }

  async #applyInWorkers(next: Applied, confirm: () => readonly Diagnostic[]): Promise<readonly Diagnostic[]> {
    const { generation } = next;
    const wanted = next.plan.main.worker_processes;
    const present = [...this.#members].filter(({ role }) => role === "serving");
    const missing = Math.max(0, wanted - present.length);
    const added = Array.from({ length: missing }, () => this.#fork(0));
    const staying = [...present, ...added].slice(0, wanted);

    const faults = distinct((await Promise.all(staying.map((member) => this.#prepare(member, next)))).flat());
    if (faults.length === 0) faults.push(...confirm());
    if (faults.length > 0) {
      for (const { link } of present) link.tell({ kind: "abandon", generation });
      for (const member of added) this.#discard(member);
      return faults;
    }
    const before = this.#applied;
    this.#applied = next;
    this.#isDraining = false;
    const committed = await Promise.all(staying.map((member) => this.#commit(member, next)));
    this.#addresses = committed.find((addresses) => addresses !== null) ?? this.#addresses;
    for (const member of present.slice(wanted)) this.#dismiss(member, false);
    if (before !== null) closeLogs(before.plan);
    return [];
  }

  /** Here, because workers would take each other's new sockets for stale ones. */
  async #removeStaleSockets(plan: Plan): Promise<void> {
    const inForce = new Set(this.#applied?.plan.listeners.map(({ key }) => key));
    for (const { key, address } of plan.listeners) {
      if (address.kind === "unix" && !inForce.has(key)) await removeStaleSocket(address.path);
    }
  }

  #fork(failures: number): Member {
    const link = new WorkerLink();
    const member: Member = { link, failures, role: "starting" };
    this.#members.add(member);
    link.onCounts = (counts) => this.#ledger.note(link, counts);
    link.onTotalsWanted = (id) => void this.#tellTotals(link, id);
    link.onStuck = (waitedMs) =>
      this.#log("alert", `worker process ${link.pid} has got no further for ${waitedMs} ms and is killed`);
    void member.link.ended.then((end) => this.#memberOnEnd(member, end));
    return member;
  }

  async #prepare({ link, role }: Member, { source, generation }: Applied): Promise<readonly Diagnostic[]> {
    const faults = role === "starting" ? await link.listens() : [];
    if (faults.length > 0) return faults;
    if (role === "starting") this.#log("notice", `start worker process ${link.pid}`);
    return link.prepare(generation, { source, ticketSecret: this.#ticketSecret });
  }

  #commit(member: Member, { generation }: Applied): Promise<readonly ListeningAddress[] | null> {
    if (member.role === "starting") member.role = "serving";
    return member.link.commit(generation, this.#isDraining);
  }

  /** Lets a worker go when its last connection has ended. */
  #dismiss(member: Member, drains: boolean): void {
    if (member.role === "leaving" && !drains) return;
    member.role = "leaving";
    // Only now that it has said so is nothing on its way to it any more.
    void member.link.leave(drains).then(() => member.link.stop());
  }

  /** Ends a worker that never served. */
  #discard(member: Member): void {
    member.role = "leaving";
    member.link.stop();
  }

  async #tellTotals(link: WorkerLink, id: number): Promise<void> {
    const counts = await this.#ledger.total([...this.#members].map((member) => member.link));
    link.tell({ kind: "totals", id, counts });
  }

  #memberOnEnd(member: Member, end: WorkerEnd): void {
    this.#members.delete(member);
    const lost = this.#ledger.close(member.link, end.inOrder);
    if (member.role !== "serving" || this.#isEnding) return;
    const isEarly = performance.now() - member.link.startedAtMs < EARLY_END_MS;
    const level = end.inOrder ? "notice" : "alert";
    this.#log(level, `worker process ${member.link.pid} ${end.text}; another one takes its place`);
    if (lost > 0) this.#log("notice", `tunnels that ended with worker process ${member.link.pid}: ${lost}`);
    this.#replaceLater(isEarly ? member.failures + 1 : 0);
  }

  #replaceLater(failures: number): void {
    const delayMs =
      failures === 0 ? 0 : Math.min(RESPAWN_DELAY_MS_MAX, RESPAWN_DELAY_MS * 2 ** (failures - 1));
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      void this.#inTurn(() => this.#replace(failures));
    }, delayMs);
    this.#timers.add(timer);
  }

  async #replace(failures: number): Promise<void> {
    const applied = this.#applied;
    const serving = [...this.#members].filter(({ role }) => role === "serving");
    if (applied === null || this.#isEnding || serving.length >= applied.plan.main.worker_processes) return;
    const member = this.#fork(failures);
    const faults = await this.#prepare(member, applied);
    if (this.#isEnding) return;
    if (faults.length === 0) {
      await this.#commit(member, applied);
      return;
    }
    for (const each of faults) this.#log("emerg", headline(each));
    this.#discard(member);
    this.#replaceLater(failures + 1);
  }

  #cancelReplacements(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  async #allGone(): Promise<void> {
    while (this.#members.size > 0) await Promise.race([...this.#members].map(({ link }) => link.ended));
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(task);
    this.#turn = run;
    return run;
  }
}

/** Workers of one mind say it once. */
function distinct(faults: readonly Diagnostic[]): Diagnostic[] {
  const byText = new Map(faults.map((each) => [headline(each), each]));
  return [...byText.values()];
}
