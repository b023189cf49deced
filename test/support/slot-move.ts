// Moves a slot from one master of a test cluster to another, step by step, as redis-cli --cluster reshard does.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#live-reconfiguration-and-resharding

import type { Cluster, RedisProcess } from './redis.ts';
import { waitFor } from './wait.ts';

export interface SlotMove {
  readonly slot: number;
  readonly source: RedisProcess;
  readonly target: RedisProcess;
  /** Moves these keys; without any, all that the slot has. */
  migrate(...keys: string[]): Promise<void>;
  /** Gives the slot to the target, on which all masters agree then. No key may be left in it. */
  finish(): Promise<void>;
}

/** Opens the slot of that key on its owner and on the master after it: keys can be moved one by one now. */
export async function beginSlotMove(cluster: Cluster, key: string): Promise<SlotMove> {
  const source = await cluster.slotOwner(key);
  const { nodes } = cluster;
  const target = nodes[(nodes.indexOf(source) + 1) % nodes.length];
  const slot = Number(await source.call('CLUSTER', 'KEYSLOT', key));
  const [sourceId, targetId] = [
    String(await source.call('CLUSTER', 'MYID')),
    String(await target.call('CLUSTER', 'MYID')),
  ];
  await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
  await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
  return {
    slot,
    source,
    target,
    async migrate(...given) {
      const keys = given.length > 0 ? given : await keysIn(source, slot);
      if (keys.length > 0)
        await source.call('MIGRATE', target.host, target.port, '', 0, 5000, 'KEYS', ...keys);
    },
    async finish() {
      // The target first: between the two the source still sends everybody there by ASK.
      await target.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
      await source.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
      await waitFor(async () => {
        const owners = nodes.map(async (node) => String(await node.call('CLUSTER', 'NODES')));
        const lines = (await Promise.all(owners)).map((text) => lineOf(text, targetId));
        return lines.every((line) => owns(line, slot));
      }, 10_000);
    },
  };
}

async function keysIn(node: RedisProcess, slot: number): Promise<string[]> {
  return (await node.call('CLUSTER', 'GETKEYSINSLOT', slot, 1000)) as string[];
}

function lineOf(clusterNodes: string, id: string): string {
  return clusterNodes.split('\n').find((line) => line.startsWith(id)) ?? '';
}

/** The ranges of slots stand behind the eight fields of a node. */
function owns(line: string, slot: number): boolean {
  return line
    .trim()
    .split(' ')
    .slice(8)
    .some((range) => {
      const [first, last = first] = range.split('-').map(Number);
      return first <= slot && slot <= last;
    });
}
