// What CLIENT LIST says of one client, read from its session.

import { clock } from '../../clock.ts';
import type { ClientLine, ClientType } from '../../commands/client-list.ts';
import type { RequestFrame } from '../../resp3/request-frame.ts';
import { descriptorOf } from '../../resp3/socket.ts';
import type { Session } from '../session.ts';

/** A client that follows the stream of writes is a replica; one with subscriptions is a subscriber. */
export function typeOf(client: Session): ClientType {
  if (client.tunnel !== null) return 'replica';
  return (client.pins?.subscriptions?.count ?? 0) > 0 ? 'pubsub' : 'normal';
}

/** `frame`: the request that asks, when this client does. `sessions`: all clients. */
export function describeClient(
  client: Session,
  sessions: ReadonlyMap<number, Session> | null,
  frame: RequestFrame | null,
): ClientLine {
  const { pins, id, address, localAddress, name, db, user, protocol, libName, libVer } = client;
  const { subscriptions = null, transaction = null, tracking = null } = pins ?? {};
  const open = transaction?.open ? transaction : null;
  let size = 0;
  for (let i = 0; i < (frame?.argc ?? 0); i++)
    size += (frame as RequestFrame).args[i * 2 + 1] - (frame as RequestFrame).args[i * 2];
  return {
    id,
    address,
    localAddress,
    fd: descriptorOf(client.socket),
    name,
    age: Math.max(0, Math.floor((Date.now() - client.createdAt) / 1000)),
    idle: Math.max(0, Math.floor((clock.tick() - client.lastAt) / 1000)),
    flags: flagsOf(client, sessions),
    db,
    channels: subscriptions?.channels.size ?? 0,
    patterns: subscriptions?.patterns.size ?? 0,
    shards: subscriptions?.shards.size ?? 0,
    multi: open?.count ?? -1,
    multiBytes: open?.bytes ?? 0,
    // The request that asks is still in its buffer, as it is in a server's.
    input: frame === null ? client.unread : frame.end - frame.start,
    output: client.socket.writableLength,
    arguments: size,
    command: client.lastCommand?.name ?? null,
    user,
    redirect: tracking?.order.redirect ?? -1,
    protocol,
    libName,
    libVer,
  };
}

function flagsOf(client: Session, sessions: ReadonlyMap<number, Session> | null): string {
  const { pins, tunnel } = client;
  const transaction = pins?.transaction;
  const tracking = pins?.tracking;
  const flags: [letter: string, set: boolean | undefined][] = [
    ['O', pins?.monitoring],
    ['S', tunnel !== null],
    ['P', typeOf(client) === 'pubsub'],
    ['x', transaction?.open],
    ['b', pins?.blocked || client.postponed],
    ['t', tracking != null],
    ['R', redirectsToNobody(client, sessions)],
    ['B', tracking?.order.broadcast],
    ['d', transaction?.unwatched],
    ['c', client.closing],
    ['e', client.noEvict],
    ['T', pins?.untouched != null],
  ];
  return flags.map(([letter, set]) => (set ? letter : '')).join('');
}

/** Not known where it may be another worker's client: `sessions` is null. */
function redirectsToNobody({ pins }: Session, sessions: ReadonlyMap<number, Session> | null): boolean {
  const { redirect = 0 } = pins?.tracking?.order ?? {};
  return redirect > 0 && sessions !== null && !sessions.has(redirect);
}
