// What heatsink answers by itself, byte for byte against a real redis-server, alone and in cluster mode, and
// what it refuses.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UsersLogin } from '../src/access/login.ts';
import { Users } from '../src/access/users.ts';
import { answerLocally, type ClientState, type ServerFacts } from '../src/commands/local.ts';
import { refusalOf, refused } from '../src/commands/refused.ts';
import { CommandTable } from '../src/commands/table.ts';
import type { Argument } from '../src/resp3/encode.ts';
import { frameOf, RawConnection } from './support/raw-redis.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';

let server: RedisProcess;
let clustered: RedisProcess;
let table: CommandTable;
let standalone: ServerFacts;

beforeAll(async () => {
  [server, clustered] = await Promise.all([startRedis(), startRedis({ cluster: true })]);
  table = CommandTable.from(await server.call('COMMAND'));
  const version = /redis_version:(\S+)/.exec(String(await server.call('INFO', 'server')))?.[1] ?? '';
  standalone = { version, mode: 'standalone', databases: 16 };
});

afterAll(() => Promise.all([server.stop(), clustered.stop()]));

function newClient(id: number): ClientState {
  const login = new UsersLogin(new Users([]));
  const visitor = { id, address: '127.0.0.1:1', local: true, rights: login.enter(true), release() {} };
  return {
    id,
    user: 'default',
    ownUser: false,
    authenticated: true,
    authenticate: (name, password) => login.authenticate(visitor, name, password),
    name: '',
    protocol: 2,
    db: 0,
    libName: '',
    libVer: '',
    address: '127.0.0.1:50000',
    localAddress: '127.0.0.1:6380',
    closing: false,
    createdAt: Date.now(),
    forget() {},
  };
}

/** One reply after another from a real server and from heatsink, where it answers at all. */
async function compareReplies(port: number, facts: ServerFacts, lines: Argument[][]): Promise<void> {
  const raw = new RawConnection(port);
  // The id is the one field that cannot be the same; take the server's for both.
  const id = Number((await raw.ask(['CLIENT', 'ID'])).toString().slice(1));
  const client = newClient(id);
  for (const args of lines) {
    const expected = await raw.ask(args);
    const frame = frameOf(...args);
    const command = table.find(frame);
    if (command === null) throw new Error(`unknown: ${args[0]}`);
    expect(command.route).toBe('local');
    const own = answerLocally(command, frame, client, facts);
    const shown = own?.toString('latin1') ?? 'forwarded';
    // What heatsink forwards must be an error there: nothing may change on a shared connection.
    const wanted = own === null && expected[0] === 0x2d ? 'forwarded' : expected.toString('latin1');
    expect([args, shown]).toEqual([args, wanted]);
    expect([args, client.closing]).toEqual([args, /^quit$/i.test(String(args[0]))]);
    if (client.closing) await expect.poll(() => raw.closed).toBe(true);
  }
  raw.close();
}

/** Indexes that a cluster node refuses for being another database than 0. */
const OTHER_DATABASE = /^(-?[1-9]\d{0,8}|2147483647)$/;

describe('what heatsink answers itself', () => {
  test('is byte for byte what a server says: HELLO, AUTH, CLIENT', async () => {
    const name = ['CLIENT', 'GETNAME'];
    await compareReplies(server.port, standalone, [
      ['HELLO'],
      ['HELLO', '3'],
      name,
      ['HELLO', '2'],
      name,
      ['hello', '3', 'auth', 'default', 'anything', 'setname', 'me'],
      name,
      ['HELLO'],
      ['HELLO', '3', 'AUTH', 'bob', 'x'],
      ['HELLO', '2', 'AUTH', 'default'],
      ['HELLO', '2', 'SETNAME'],
      ['HELLO', '2', 'SETNAME', 'before', 'NONSENSE'],
      name,
      ['HELLO', '3', 'SETNAME', ''],
      name,
      ['HELLO', '3', 'SETNAME', 'a b'],
      ['HELLO', '3', 'a\r\nb'],
      ['HELLO', '3', 'a\0b'],
      ['HELLO', '4'],
      ['HELLO', '1'],
      ['HELLO', 'x'],
      ['HELLO', '03'],
      ['HELLO', ' 3'],
      ['HELLO', '+3'],
      ['HELLO', ''],
      ['HELLO', '9223372036854775807'],
      ['HELLO', '9223372036854775808'],
      ['HELLO', 'SETNAME', 'x'],
      ['AUTH'],
      ['AUTH', 'secret'],
      ['AUTH', 'default', 'secret'],
      ['AUTH', 'Default', 'secret'],
      ['AUTH', 'bob', 'secret'],
      ['AUTH', 'a', 'b', 'c'],
      ['CLIENT', 'ID'],
      ['CLIENT', 'ID', 'x'],
      ['client', 'setname', 'worker-1'],
      name,
      ['CLIENT', 'SETNAME', 'new\nline'],
      ['CLIENT', 'SETNAME', Buffer.from([0xc3, 0xa9])],
      ['CLIENT', 'SETNAME'],
      name,
      ['CLIENT', 'SETNAME', ''],
      name,
      ['CLIENT', 'SETINFO', 'LIB-NAME'],
      ['RESET', 'x'],
      ['RESET'],
      name,
      ['HELLO'],
      ['QUIT'],
    ]);
  });

  test('is byte for byte what a server says: SELECT, also in a cluster', async () => {
    const indexes = ['0', '15', '16', '-1', 'abc', '', '00', '1.0', ' 1', '2147483647', '2147483648'];
    const selects = [...indexes, '-2147483649', '9223372036854775808', '1'].map((index) => ['SELECT', index]);
    await compareReplies(server.port, standalone, [
      ...selects,
      ['SELECT'],
      ['SELECT', '1', '2'],
      ['QUIT', 'x'],
    ]);
    const cluster: ServerFacts = { version: standalone.version, mode: 'cluster', databases: 1 };
    const inCluster = selects.filter(([, index]) => !OTHER_DATABASE.test(index));
    await compareReplies(clustered.port, cluster, [...inCluster, ['HELLO', '3'], ['HELLO', '2']]);
  });

  test('keeps the state of the client', () => {
    const client = newClient(7);
    const answer = (...args: string[]) => {
      const frame = frameOf(...args);
      const command = table.find(frame);
      return command && answerLocally(command, frame, client, standalone)?.toString();
    };
    answer('SELECT', '5');
    answer('HELLO', '3', 'SETNAME', 'me');
    expect(answer('CLIENT', 'SETINFO', 'LIB-NAME', 'ioredis')).toBe('+OK\r\n');
    expect(answer('CLIENT', 'SETINFO', 'lib-ver', '5.4')).toBe('+OK\r\n');
    expect(answer('CLIENT', 'SETINFO', 'lib-x', '5')).toBe("-ERR Unrecognized option 'lib-x'\r\n");
    expect(answer('CLIENT', 'SETINFO', 'lib-ver', '5 4')).toMatch(/^-ERR lib-ver cannot contain spaces/);
    expect(client).toMatchObject({ name: 'me', protocol: 3, db: 5, libName: 'ioredis', libVer: '5.4' });
    answer('RESET');
    expect(client).toMatchObject({ name: '', protocol: 2, db: 0, libName: 'ioredis', closing: false });
  });

  test('leaves all other commands to the server', () => {
    const frame = frameOf('PING');
    const command = table.find(frame);
    expect(command?.route).toBe('forward');
    expect(command && answerLocally(command, frame, newClient(1), standalone)).toBeNull();
  });
});

test('what a newer CLIENT can do is refused by name and reason, in one line', () => {
  const unknown = refusalOf('client|no-such-thing');
  expect(refused('client|no-such-thing', unknown)).toBe(
    'ERR heatsink: CLIENT NO-SUCH-THING is not served: it is about connections of the upstream server, which heatsink shares between its clients',
  );
  const names = [...table.all()].filter(({ route }) => route === 'refuse').map(({ name }) => name);
  expect(names).toEqual([]);
});
