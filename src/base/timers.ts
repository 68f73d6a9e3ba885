import { assert } from "./assert.ts";

/*
 * Timeouts for idle sockets: armed in masses, touched with every read, seldom due.
 *
 * A deadline stands in the slot of a wheel that comes round when it would be due if nothing happened any more.
 * touch() only notes in which interval between two looks at the clock there was activity. When the slot comes round,
 * the deadline is due or is put into a later slot: once per timeout, however often it was touched.
 *
 *   wheel     for timeouts    looks at the clock every
 *   short     below 4 s        10 ms
 *   middle    below 40 s      100 ms
 *   long      the rest        500 ms
 *
 * Activity counts as of the end of its interval, so a deadline is never early, and at most three intervals late.
 * A wheel with nothing armed has no timer. Time is monotonic: setting the system's clock changes nothing.
 */

/** A timeout that is re-armed by activity. One object serves a connection for all its timeouts, one at a time. */
export class Deadline {
  /** Only timers.ts touches these. Neighbours in the list of a slot, whose head is a deadline that is never armed. */
  previous: Deadline = this;
  next: Deadline = this;
  wheel: Wheel | null = null;
  timeoutMs = 0;
  activeIn: Interval = beforeAll;
  callback: () => void = doNothing;

  get isArmed(): boolean {
    return this.wheel !== null;
  }

  /** Calls `callback` once, when `timeoutMs` have passed since this call and the last {@link touch}. Replaces what was armed. */
  arm(timeoutMs: number, callback: () => void): void {
    assert(timeoutMs > 0, "a timeout is a positive number of milliseconds");
    this.#armIn(wheelFor(timeoutMs), timeoutMs, callback);
  }

  /**
   * Calls `callback` once, at the next look at the clock by the wheel for timeouts of `scaleMs`: for who has to see for
   * himself whether there was activity. Replaces what was armed.
   */
  armForLook(scaleMs: number, callback: () => void): void {
    this.#armIn(wheelFor(scaleMs), 0, callback);
  }

  #armIn(wheel: Wheel, timeoutMs: number, callback: () => void): void {
    this.disarm();
    this.timeoutMs = timeoutMs;
    this.callback = callback;
    this.wheel = wheel;
    wheel.add(this);
  }

  /** There was activity: the time starts anew. Costs no more than an assignment. */
  touch(): void {
    if (this.wheel !== null) this.activeIn = this.wheel.interval;
  }

  disarm(): void {
    if (this.wheel === null) return;
    this.wheel.remove(this);
    this.wheel = null;
    this.callback = doNothing;
  }
}

/** How many deadlines are armed in this process: 0 once everything is closed, or something leaks. */
export function armedDeadlines(): number {
  return wheels.reduce((sum, wheel) => sum + wheel.armed, 0);
}

/** The time between two looks at a wheel's clock; how long it was is known at its end. */
interface Interval {
  endMs: number;
}

const beforeAll: Interval = { endMs: 0 };
const slotsPerWheel = 512;

class Wheel {
  armed = 0;
  interval: Interval = { endMs: Number.POSITIVE_INFINITY };
  readonly #intervalMs: number;
  readonly #slots: Deadline[] = [];
  /** Due and not yet called: not empty after a look only where a callback threw. */
  readonly #due: Deadline = new Deadline();
  #startedMs = 0;
  /** The last slot looked at, counted from the start without wrapping. */
  #position = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  add(deadline: Deadline): void {
    if (this.#timer === null) this.#start();
    else if (this.armed === 0) this.#timer.ref();
    this.armed++;
    deadline.activeIn = this.interval;
    // Nobody looks at the clock here. The slot may be early for that; then the deadline moves on when it comes round.
    append(this.#slotAt(this.#position + 1 + Math.ceil(deadline.timeoutMs / this.#intervalMs)), deadline);
  }

  remove(deadline: Deadline): void {
    unlink(deadline);
    this.armed--;
    // The timer is stopped at its next turn: starting one for each request would cost more than letting it run.
    if (this.armed === 0) this.#timer?.unref();
  }

  #start(): void {
    this.#startedMs = performance.now();
    this.#position = 0;
    // The immediate stands after the poll for input: after a pause of the process, what peers had sent counts first.
    this.#timer = setInterval(() => setImmediate(() => this.#look()), this.#intervalMs);
  }

  #stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    if (this.armed === 0) return this.#stop();
    const nowMs = performance.now();
    this.interval.endMs = nowMs;
    this.interval = { endMs: Number.POSITIVE_INFINITY };
    const target = Math.floor((nowMs - this.#startedMs) / this.#intervalMs);
    // After a long pause one turn of the wheel has seen every slot.
    const first = Math.max(this.#position + 1, target - slotsPerWheel + 1);
    this.#position = target;
    for (let position = first; position <= target; position++) this.#sort(this.#slotAt(position), nowMs);
    while (this.#due.next !== this.#due) this.#call(this.#due.next);
  }

  /** Moves the deadlines of a slot to where they belong now. */
  #sort(slot: Deadline, nowMs: number): void {
    // One round over those that stood here before: some may belong into this very slot again, a turn later.
    const last = slot.previous;
    for (let deadline = slot.next, isDone = deadline === slot; !isDone; ) {
      const following = deadline.next;
      isDone = deadline === last;
      unlink(deadline);
      const dueMs = Math.min(deadline.activeIn.endMs, nowMs) + deadline.timeoutMs;
      append(dueMs <= nowMs ? this.#due : this.#slotFor(dueMs), deadline);
      deadline = following;
    }
  }

  #call(deadline: Deadline): void {
    const { callback } = deadline;
    deadline.disarm();
    callback();
  }

  #slotFor(dueMs: number): Deadline {
    return this.#slotAt(Math.ceil((dueMs - this.#startedMs) / this.#intervalMs));
  }

  #slotAt(position: number): Deadline {
    return (this.#slots[position % slotsPerWheel] ??= new Deadline());
  }
}

const shortWheel = new Wheel(10);
const middleWheel = new Wheel(100);
const longWheel = new Wheel(500);
const wheels: readonly Wheel[] = [shortWheel, middleWheel, longWheel];

function wheelFor(timeoutMs: number): Wheel {
  if (timeoutMs < 4_000) return shortWheel;
  return timeoutMs < 40_000 ? middleWheel : longWheel;
}

function append(list: Deadline, deadline: Deadline): void {
  deadline.previous = list.previous;
  deadline.next = list;
  list.previous.next = deadline;
  list.previous = deadline;
}

function unlink(deadline: Deadline): void {
  deadline.previous.next = deadline.next;
  deadline.next.previous = deadline.previous;
  deadline.previous = deadline;
  deadline.next = deadline;
}

function doNothing(): void {}
