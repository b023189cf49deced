// heatsink as the one node of a cluster, for clients in cluster mode: who it says it is, and what of a cluster's
// commands it leaves to the servers behind it.

import { argumentText } from '../../commands/argument.ts';
import { parseInteger } from '../../commands/client-state.ts';
import type { Command } from '../../commands/command.ts';
import { answerAsCluster, type FacadeNode } from '../../commands/facade.ts';
import { withField } from '../../commands/info.ts';
import { errorReply, OK, type Protocol } from '../../resp3/encode.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import type { UpstreamNode } from '../../upstream/node.ts';
import { SLOTS } from '../../upstream/slot.ts';
import type { Topology } from '../../upstream/topology.ts';

export interface FacadeOptions {
  readonly topology: Topology;
  /** Whether a single server is shown as a cluster, too. */
  readonly always: boolean;
  /** Where clients are told to connect; null for where they are connected already. */
  readonly announce: { readonly host: string; readonly port: number } | null;
  /** See `FacadeNode`. */
  readonly id: string;
}

/** Who asks. */
interface Client {
  readonly protocol: Protocol;
  readonly localAddress: string;
}

/** Redis's own words. */
const NO_CLUSTER = errorReply('ERR This instance has cluster support disabled');

export class Facade {
  readonly #on: FacadeOptions;

  constructor(options: FacadeOptions) {
    this.#on = options;
  }

  get #shown(): boolean {
    return this.#on.always || this.#on.topology.cluster;
  }

  /** The reply to CLUSTER, READONLY, READWRITE or ASKING, whose number of arguments is right; null to forward it. */
  answer(client: Client, frame: RequestFrame, command: Command): Buffer | null {
    const { name } = command;
    if (!name.startsWith('cluster')) return this.#shown ? OK : NO_CLUSTER;
    // The server's table does not have the subcommand. Not forwarded: an older server's table has none at all.
    if (name === 'cluster')
      return errorReply(`ERR unknown subcommand '${argumentText(frame, 1)}'. Try CLUSTER HELP.`);
    return this.#shown ? answerAsCluster(name, frame, this.#node(client), client.protocol) : null;
  }

  /** The owner of the slot that the CLUSTER command is about, when that is the one to ask. */
  ownerAsked(frame: RequestFrame, { name }: Command): UpstreamNode | null {
    const { topology } = this.#on;
    if (!topology.cluster || (name !== 'cluster|countkeysinslot' && name !== 'cluster|getkeysinslot'))
      return null;
    const slot = parseInteger(argumentText(frame, 2));
    return slot === null || slot < 0n || slot >= SLOTS ? null : topology.slotOwner(Number(slot));
  }

  /** INFO of a single server that is shown as a cluster. */
  completeInfo(text: string): string {
    if (this.#on.topology.cluster || !this.#on.always) return text;
    return withField(withField(text, 'redis_mode', 'cluster'), 'cluster_enabled', 1);
  }

  #node({ localAddress }: Client): FacadeNode {
    const { topology, id, announce } = this.#on;
    const colon = localAddress.lastIndexOf(':');
    // An IPv4 client of a socket for both kinds.
    const host = localAddress.slice(0, colon).replace(/^::ffff:/, '');
    const address = announce ?? { host, port: Number(localAddress.slice(colon + 1)) };
    const slotsServed = () =>
      Array.from({ length: SLOTS }, (_, slot) => topology.slotOwner(slot)).filter((owner) => owner !== null)
        .length;
    return { id, ...address, slotsServed };
  }
}
