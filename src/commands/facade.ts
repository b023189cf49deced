// CLUSTER as the one node of a cluster says it: clients in cluster mode see heatsink as the master that owns every
// slot, whatever lies behind it. https://redis.io/docs/latest/commands/cluster-slots/

import {
  arrayReply,
  bulkString,
  errorReply,
  integerReply,
  mapReply,
  OK,
  type Protocol,
  simpleString,
  textReply,
} from '../resp3/encode.ts';
import type { RequestFrame } from '../resp3/request-frame.ts';
import { SLOTS, slotOf } from '../upstream/slot.ts';
import { argument, argumentText } from './argument.ts';

/** heatsink as a node of a cluster. */
export interface FacadeNode {
  /** 40 hexadecimal digits, the same for as long as the node is the same. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Counts the slots that somebody serves. */
  readonly slotsServed: () => number;
}

type Answer = (frame: RequestFrame, node: FacadeNode, protocol: Protocol) => Buffer;

const LAST_SLOT = SLOTS - 1;
/** Of a node that has never had to agree with another one. */
const EPOCH = 1;

const ANSWERS: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ['cluster|slots', slots],
  ['cluster|shards', shards],
  ['cluster|nodes', nodes],
  ['cluster|info', info],
  ['cluster|keyslot', keySlot],
  ['cluster|myid', (_, { id }) => bulkString(id)],
  // A shard is its master and replicas; this one has none.
  ['cluster|myshardid', (_, { id }) => bulkString([...id].reverse().join(''))],
  ['cluster|links', () => arrayReply([])],
  ['cluster|replicas', (frame, node) => aboutNode(frame, node, arrayReply([]))],
  ['cluster|slaves', (frame, node) => aboutNode(frame, node, arrayReply([]))],
  ['cluster|count-failure-reports', (frame, node) => aboutNode(frame, node, integerReply(0))],
  // There is nothing to save, and no node whose epoch could be higher.
  ['cluster|saveconfig', () => OK],
  ['cluster|bumpepoch', () => simpleString(`STILL ${EPOCH}`)],
]);

/** The reply to a CLUSTER command with the right number of arguments; null for one that others must answer. */
export function answerAsCluster(
  name: string,
  frame: RequestFrame,
  node: FacadeNode,
  protocol: Protocol,
): Buffer | null {
  return ANSWERS.get(name)?.(frame, node, protocol) ?? null;
}

/** [[first, last, [host, port, id, metadata]]] */
function slots(_frame: RequestFrame, { id, host, port }: FacadeNode, protocol: Protocol): Buffer {
  const node = arrayReply([bulkString(host), integerReply(port), bulkString(id), mapReply(protocol, [])]);
  return arrayReply([arrayReply([integerReply(0), integerReply(LAST_SLOT), node])]);
}

/** https://redis.io/docs/latest/commands/cluster-shards/ */
function shards(_frame: RequestFrame, { id, host, port }: FacadeNode, protocol: Protocol): Buffer {
  const node = mapReply(protocol, [
    ['id', bulkString(id)],
    ['port', integerReply(port)],
    ['ip', bulkString(host)],
    ['endpoint', bulkString(host)],
    ['role', bulkString('master')],
    ['replication-offset', integerReply(0)],
    ['health', bulkString('online')],
  ]);
  const shard = mapReply(protocol, [
    ['slots', arrayReply([integerReply(0), integerReply(LAST_SLOT)])],
    ['nodes', arrayReply([node])],
  ]);
  return arrayReply([shard]);
}

/** One line; the port of a cluster bus, which heatsink has not, is 0. https://redis.io/docs/latest/commands/cluster-nodes/ */
function nodes(_frame: RequestFrame, { id, host, port }: FacadeNode, protocol: Protocol): Buffer {
  const line = `${id} ${host}:${port}@0 myself,master - 0 0 ${EPOCH} connected 0-${LAST_SLOT}\n`;
  return textReply(protocol, line);
}

/** https://redis.io/docs/latest/commands/cluster-info/ */
function info(_frame: RequestFrame, { slotsServed }: FacadeNode, protocol: Protocol): Buffer {
  const served = slotsServed();
  const lines = [
    `cluster_state:${served === SLOTS ? 'ok' : 'fail'}`,
    `cluster_slots_assigned:${served}`,
    `cluster_slots_ok:${served}`,
    'cluster_slots_pfail:0',
    'cluster_slots_fail:0',
    'cluster_known_nodes:1',
    'cluster_size:1',
    `cluster_current_epoch:${EPOCH}`,
    `cluster_my_epoch:${EPOCH}`,
    'cluster_stats_messages_sent:0',
    'cluster_stats_messages_received:0',
    'total_cluster_links_buffer_limit_exceeded:0',
  ];
  return textReply(protocol, lines.map((line) => `${line}\r\n`).join(''));
}

function keySlot(frame: RequestFrame): Buffer {
  const key = argument(frame, 2);
  return integerReply(slotOf(key, 0, key.length));
}

function aboutNode(frame: RequestFrame, { id }: FacadeNode, reply: Buffer): Buffer {
  const asked = argumentText(frame, 2);
  return asked === id ? reply : errorReply(`ERR Unknown node ${asked}`);
}
