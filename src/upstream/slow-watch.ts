// Who hears of calls that took long, as far as lanes need to know it.

import type { Call } from './call.ts';

/** The lane that was answered. */
export interface Answering {
  readonly options: { readonly host: string; readonly port: number };
  /** `clock.us` of its last read that ended a reply or brought a part of one that is passed on. */
  readonly answeredAt: number;
}

export interface SlowWatch {
  /** It hears of calls that took more microseconds than that. */
  readonly above: number;
  /** The call, which has its bytes still, is answered, so many microseconds after it was handed to its lane. */
  saw(call: Call, micros: number, by: Answering): void;
}
