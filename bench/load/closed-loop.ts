/**
 * A closed loop: a fixed number of lanes, each with at most one piece of work on its way, which begins the next as soon as
 * the last is answered. A round begins with nothing in flight and ends when the last answer is in.
 */
import { Histogram } from "./histogram.ts";
import type { Sample } from "./work.ts";

interface Round {
  readonly endsAtMs: number;
  readonly latency: Histogram;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
  units: number;
  inFlight: number;
}

export class ClosedLoop {
  readonly #begin: (lane: number) => void;
  readonly #inFlightMax: number;
  /** When each lane's work began; NaN while it has none. */
  readonly #begunAtMs: Float64Array;
  /** Lanes whose turn comes next; first in, first out. Empty during a round in which all lanes may work at once. */
  readonly #waiting: number[];
  #round: Round | undefined;

  /** `begin` starts one piece of work on a lane; whoever sees its end calls `answered`. */
  constructor(lanes: number, inFlightMax: number, begin: (lane: number) => void) {
    this.#begin = begin;
    this.#inFlightMax = Math.min(lanes, inFlightMax);
    this.#begunAtMs = new Float64Array(lanes).fill(Number.NaN);
    this.#waiting = Array.from({ length: lanes }, (_, lane) => lane);
  }

  /** Works for `ms` milliseconds and then until nothing is in flight. Rejects with what `fail` was told. */
  async run(ms: number): Promise<Sample> {
    const startedAtMs = performance.now();
    const round = await new Promise<Round>((resolve, reject) => {
      const latency = new Histogram();
      const begun: Round = {
        endsAtMs: startedAtMs + ms,
        latency,
        resolve: () => resolve(begun),
        reject,
        units: 0,
        inFlight: this.#inFlightMax,
      };
      this.#round = begun;
      for (const lane of this.#waiting.splice(0, this.#inFlightMax)) this.#send(lane);
    }).finally(() => {
      this.#round = undefined;
    });
    return {
      units: round.units,
      seconds: (performance.now() - startedAtMs) / 1000,
      p50Micros: round.latency.quantileMicros(0.5),
      p99Micros: round.latency.quantileMicros(0.99),
    };
  }

  answered(lane: number): void {
    const round = this.#round;
    if (round === undefined) return;
    const nowMs = performance.now();
    const tookMs = nowMs - (this.#begunAtMs[lane] ?? Number.NaN);
    if (Number.isNaN(tookMs)) return this.fail(new Error("an answer that nobody waits for"));
    this.#begunAtMs[lane] = Number.NaN;
    round.latency.add(tookMs * 1000);
    round.units++;
    this.#waiting.push(lane);
    if (nowMs < round.endsAtMs) this.#send(this.#waiting.shift() ?? lane);
    else if (--round.inFlight === 0) round.resolve();
  }

  /** Ends the round, if there is one, as a failure. */
  fail(reason: Error): void {
    this.#round?.reject(reason);
  }

  #send(lane: number): void {
    this.#begunAtMs[lane] = performance.now();
    this.#begin(lane);
  }
}
