// Calls whose replies depend on nothing but the calls before them: no clock, no chance, no hash order, or a row
// of relations.ts says so. Two servers that get the same ones must answer with the same bytes.

import { DATA } from './corpus/data.ts';
import type { CorpusGroup } from './corpus/group.ts';
import { SERVER } from './corpus/server.ts';
import { STATEFUL } from './corpus/stateful.ts';

export type { Call, CorpusGroup, Topology } from './corpus/group.ts';

export const CORPUS: readonly CorpusGroup[] = [...DATA, ...SERVER, ...STATEFUL];

/** The part of it that reads and writes keys: one reply to each call, and no state of the connection but SELECT. */
export const DATA_CORPUS: readonly CorpusGroup[] = DATA;
