// Changes of a test cluster while it is used: slots moved in bulk, nodes that join and leave, as redis-cli
// --cluster reshard, add-node and del-node do it.

import { type RedisOptions, type RedisProcess, startRedis } from './redis.ts';
import { waitFor } from './wait.ts';

/** Keys that redis-cli moves in one MIGRATE. */
const AT_ONCE = 10;

const idOf = async (node: RedisProcess): Promise<string> => String(await node.call('CLUSTER', 'MYID'));

/** Slots `[first, last]`, one after the other with their keys, from one master to another; `masters` are all. */
export async function reshard(
  masters: readonly RedisProcess[],
  [first, last]: readonly [number, number],
  source: RedisProcess,
  target: RedisProcess,
): Promise<void> {
  const [sourceId, targetId] = [await idOf(source), await idOf(target)];
  const others = masters.filter((node) => node !== source && node !== target);
  for (let slot = first; slot <= last; slot++) {
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
    for (;;) {
      const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', slot, AT_ONCE)) as string[];
      if (keys.length === 0) break;
      await source.call('MIGRATE', target.host, target.port, '', 0, 5000, 'KEYS', ...keys);
    }
    // The target first: between the two the source still sends everybody there by ASK.
    await target.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
    await source.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId).catch((error: Error) => {
      // A master that has given its last slot away makes itself a replica of who has it.
      if (!error.message.includes('only with masters')) throw error;
    });
    for (const node of others) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
  }
}

/** A master without slots, known to all of `nodes`. */
export async function addMaster(
  nodes: readonly RedisProcess[],
  options: RedisOptions = {},
): Promise<RedisProcess> {
  const added = await startRedis({ ...options, cluster: true });
  await meet(added, nodes);
  return added;
}

/** Introduces a node to the cluster and waits until all know it and it serves. */
export async function meet(node: RedisProcess, nodes: readonly RedisProcess[]): Promise<void> {
  for (const other of nodes) await node.call('CLUSTER', 'MEET', other.host, other.port);
  const id = await idOf(node);
  await waitFor(
    async () => String(await node.call('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    10_000,
    25,
  );
  for (const other of nodes) {
    await waitFor(async () => lineOf(await nodesSeenBy(other), id).includes('connected'), 10_000, 25);
  }
}

/** Makes all of `others` forget a node that has no slots. */
export async function forget(node: RedisProcess, others: readonly RedisProcess[]): Promise<void> {
  const id = await idOf(node);
  for (const other of others) await other.call('CLUSTER', 'FORGET', id);
  await node.call('CLUSTER', 'RESET', 'SOFT');
}

/** Whether the node calls itself a master. */
export async function isMaster(node: RedisProcess): Promise<boolean> {
  return String(await node.call('INFO', 'replication')).includes('role:master');
}

/** Whether the node is a replica whose master has given it everything. */
export async function isInSync(node: RedisProcess): Promise<boolean> {
  return String(await node.call('INFO', 'replication')).includes('master_link_status:up');
}

async function nodesSeenBy(node: RedisProcess): Promise<string> {
  return String(await node.call('CLUSTER', 'NODES'));
}

function lineOf(clusterNodes: string, id: string): string {
  return clusterNodes.split('\n').find((line) => line.startsWith(id)) ?? '';
}
