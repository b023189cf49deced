// The event-loop turn: requests of all clients that were readable in one turn leave in one write per lane.

export interface Flushable {
  /** Copies what was only noted, before its source is overwritten. */
  seal(): void;
  /** Writes what was gathered. */
  flush(): void;
}

const dirty: Flushable[] = [];
const early: (() => void)[] = [];
let flushing = false;

/** Flushes the lane after all sockets that are readable now were read. Call it once per lane and turn. */
export function flushAtTurnEnd(lane: Flushable): void {
  if (dirty.push(lane) === 1 && early.length === 0 && !flushing) setImmediate(flushAll);
}

/** Calls it when all sockets that are readable now were read; what it sends leaves with the rest of the turn. */
export function beforeFlush(action: () => void): void {
  if (early.push(action) === 1 && dirty.length === 0) setImmediate(flushAll);
}

/** To be called when a chunk of client input has been read to its end, before its buffer is used again. */
export function sealAll(): void {
  for (let i = 0; i < dirty.length; i++) dirty[i].seal();
}

function flushAll(): void {
  flushing = true;
  if (early.length > 0) for (const action of early.splice(0)) action();
  flushing = false;
  const count = dirty.length;
  for (let i = 0; i < count; i++) dirty[i].flush();
  dirty.splice(0, count);
  if (dirty.length > 0 || early.length > 0) setImmediate(flushAll);
}
