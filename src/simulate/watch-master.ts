// One master whose requests are recorded: MONITOR on a connection of its own, and a look at what that costs it.

import { connect, type Socket } from 'node:net';
import { connect as secureConnect } from 'node:tls';
import { Redis } from 'ioredis';
import type { HostPort } from '../config/host-port.ts';
import { formatHostPort } from '../config/host-port.ts';
import { encodeRequest } from '../resp3/encode.ts';
import { type ServerTls, tlsTo } from '../resp3/socket.ts';

/** What lines a master may keep for us before the recording ends, as nothing else bounds them, in bytes. */
const BEHIND_MAX = 64 * 2 ** 20;
const PATIENCE = 10_000;
const LOOK_EVERY = 1000;

export interface Login {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export interface MasterOptions {
  readonly at: HostPort;
  readonly tls: ServerTls | null;
  readonly login: Login;
  /** Chunks of lines that end anywhere. */
  readonly monitored: (chunk: Buffer) => void;
  /** It can go on no more. */
  readonly failed: (error: Error) => void;
}

export interface WatchedMaster {
  /** For questions about keys. */
  readonly control: Redis;
  close(): void;
}

/** A connection for questions; it is never made again. */
export function controlOf({ at, tls, login }: Pick<MasterOptions, 'at' | 'tls' | 'login'>): Redis {
  const secured = tls === null ? {} : { tls: tlsTo(at.host, tls) };
  const identity = Object.fromEntries(Object.entries(login).filter(([, value]) => value !== undefined));
  return new Redis({
    ...at,
    ...secured,
    ...identity,
    connectionName: 'heatsink-record',
    connectTimeout: PATIENCE,
    commandTimeout: PATIENCE,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
}

/** Begins to watch; rejects with the server's words when it may not. */
export async function watchMaster(options: MasterOptions): Promise<WatchedMaster> {
  const { at, tls, failed } = options;
  const name = formatHostPort(at);
  const control = controlOf(options);
  let trouble: Error | null = null;
  control.on('error', (error) => {
    trouble = error;
  });
  const socket = tls === null ? connect(at) : secureConnect({ ...at, ...tlsTo(at.host, tls) });
  socket.on('error', (error) => {
    trouble = error;
  });
  const close = () => {
    clearInterval(looking);
    control.disconnect();
    socket.destroy();
  };
  const look = async (id: string) => {
    const listed = String(await control.call('CLIENT', 'LIST', 'ID', id));
    if (Number(/ omem=(\d+)/.exec(listed)?.[1] ?? 0) > BEHIND_MAX)
      failed(
        new Error(
          `${name} keeps more than 64 MiB of MONITOR for us: it has more requests than can be recorded`,
        ),
      );
  };
  let looking: NodeJS.Timeout | undefined;
  try {
    await control.connect();
    const id = await begin(socket, options);
    looking = setInterval(() => {
      // Who may not ask, or whose server is older than 6.2, records all the same.
      look(id).catch(() => {});
    }, LOOK_EVERY);
  } catch (error) {
    close();
    throw new Error(`Redis at ${name}: ${(trouble ?? (error as Error)).message}`, { cause: error });
  }
  socket.on('close', () => failed(new Error(`Redis at ${name} has closed the connection`)));
  return { control, close };
}

/** Says who we are and MONITOR; the number of the connection. */
function begin(socket: Socket, { login, monitored }: MasterOptions): Promise<string> {
  const { username, password } = login;
  const asked = [
    ...(password === undefined ? [] : [['AUTH', ...(username === undefined ? [] : [username]), password]]),
    ['CLIENT', 'ID'],
    ['MONITOR'],
  ];
  socket.setTimeout(PATIENCE, () => socket.destroy(new Error('it does not answer')));
  socket.write(Buffer.concat(asked.map((request) => encodeRequest(request))));
  return new Promise((resolve, reject) => {
    let text = '';
    const listen = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const lines = text.split('\r\n');
      const refused = lines.find((line) => line.startsWith('-'));
      if (refused !== undefined) reject(new Error(refused.slice(1)));
      if (lines.length <= asked.length) return;
      socket.off('data', listen);
      socket.setTimeout(0);
      socket.on('data', monitored);
      monitored(Buffer.from(lines.slice(asked.length).join('\r\n'), 'latin1'));
      resolve(lines[asked.length - 2].slice(1));
    };
    socket.on('data', listen);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('it has closed the connection')));
  });
}
