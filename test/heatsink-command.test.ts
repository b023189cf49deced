// HEATSINK, the command by which clients ask heatsink about itself: its replies, its errors, and who may send it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { itemsOf, textOf } from '../src/commands/elements.ts';
import { type RunningProxy, startProxy } from './support/heatsink.ts';
import { type RedisProcess, startRedis } from './support/redis.ts';
import { Wire } from './support/wire.ts';

const open: (() => unknown)[] = [];
const directory = mkdtempSync(join(tmpdir(), 'heatsink-command-'));
let redis: RedisProcess;
let proxy: RunningProxy;
let client: Wire;
let third: Wire;

beforeAll(async () => {
  redis = await startRedis({ args: ['--enable-debug-command', 'yes'] });
  open.push(() => redis.stop());
  proxy = await startProxy({ upstream: redis.url });
  open.push(() => proxy.close());
  client = wireTo(proxy);
  third = await Wire.open(proxy.port, 3);
  open.push(() => third.close());
});

afterAll(async () => {
  for (const close of open.reverse()) await close();
  rmSync(directory, { recursive: true });
});

function wireTo({ port }: { port: number }): Wire {
  const wire = new Wire(port);
  open.push(() => wire.close());
  return wire;
}

const text = (bytes: number) => 'x'.repeat(bytes);
const words = (reply: Buffer) => itemsOf(reply).map(textOf);

it('BIGKEYS lists keys with large values as maps, the largest first', async () => {
  await client.say('SET', 'large', text(11_000));
  await client.say('SET', 'larger', text(12_000));
  const begun = Date.now() / 1000 - 60;
  const [larger, large] = itemsOf(await client.ask('HEATSINK', 'BIGKEYS')).map(words);
  const first = ['key', 'larger', 'db', '0', 'bytes', '12000', 'elements', '0', 'command', 'set'];
  expect(larger.slice(0, 13)).toEqual([...first, 'direction', 'argument', 'first-seen']);
  expect(Number(larger[13])).toBeGreaterThan(begun);
  expect(larger.slice(14)).toEqual(['last-seen', larger[15], 'times', '1']);
  expect(large[1]).toBe('large');
  expect(await third.say('heatsink', 'bigkeys', '1')).toMatch(
    /^\*1\r\n%9\r\n\$3\r\nkey\r\n\$6\r\nlarger\r\n/,
  );
  expect(await client.say('HEATSINK', 'BIGKEYS', '0')).toBe('*0');
});

it('SLOWLOG is that of Redis, with the node as well', async () => {
  expect(await client.say('HEATSINK', 'SLOWLOG', 'RESET')).toBe('+OK');
  await client.say('CLIENT', 'SETNAME', 'me');
  // It tells of what its own client has pipelined before it.
  client.sendAll([
    ['DEBUG', 'SLEEP', '0.02'],
    ['DEBUG', 'SLEEP', '0.03'],
    ['HEATSINK', 'SLOWLOG', 'LEN'],
  ]);
  expect((await client.replies(3))[2].toString()).toBe(':2\r\n');
  const entries = itemsOf(await client.ask('HEATSINK', 'SLOWLOG', 'GET'));
  expect(entries).toHaveLength(2);
  const [id, at, micros, args, address, name, node] = itemsOf(entries[0]);
  expect([id, at, micros].map((value) => value[0])).toEqual(Array(3).fill(':'.charCodeAt(0)));
  expect(Number(textOf(id))).toBe(Number(textOf(itemsOf(entries[1])[0])) + 1);
  expect(Number(textOf(micros))).toBeGreaterThanOrEqual(30_000);
  expect(words(args)).toEqual(['DEBUG', 'SLEEP', '0.03']);
  expect([textOf(name), textOf(node)]).toEqual(['me', `127.0.0.1:${redis.port}`]);
  expect(await client.say('CLIENT', 'INFO')).toContain(` addr=${textOf(address)} `);
  expect(itemsOf(await third.ask('HEATSINK', 'SLOWLOG', 'GET', '1'))).toHaveLength(1);
  expect(itemsOf(await client.ask('HEATSINK', 'SLOWLOG', 'GET', '-1'))).toHaveLength(2);
  expect(await client.say('HEATSINK', 'SLOWLOG', 'RESET')).toBe('+OK');
  expect(await client.say('HEATSINK', 'SLOWLOG', 'LEN')).toBe(':0');
  expect(await client.say('HEATSINK', 'SLOWLOG', 'GET')).toBe('*0');
});

it('HELP names every subcommand, as lines', async () => {
  const help = (await client.say('HEATSINK', 'HELP')).split('\r\n');
  expect(help.slice(0, 3)).toEqual([
    `*${help.length - 1}`,
    '+HEATSINK <subcommand> [<arg> [value] [opt] ...]. Subcommands are:',
    '+HOTKEYS [<count>]',
  ]);
  expect(help.slice(-2)).toEqual(['+HELP', '+    Prints this help.']);
});

it('says what is wrong with a request in the words of Redis', async () => {
  const wrong = (name: string) => `-ERR wrong number of arguments for '${name}' command`;
  const unknown = (word: string) => `-ERR unknown subcommand '${word}'. Try HEATSINK HELP.`;
  expect(await client.say('HEATSINK')).toBe(wrong('heatsink'));
  expect(await client.say('HEATSINK', 'Nothing')).toBe(unknown('Nothing'));
  expect(await client.say('HEATSINK', 'HELP', 'x')).toBe(wrong('heatsink|help'));
  expect(await client.say('HEATSINK', 'BIGKEYS', '1', '2')).toBe(wrong('heatsink|bigkeys'));
  expect(await client.say('HEATSINK', 'BIGKEYS', 'x')).toBe('-ERR value is not an integer or out of range');
  expect(await client.say('HEATSINK', 'BIGKEYS', '-1')).toBe('-ERR value is out of range, must be positive');
  expect(await client.say('HEATSINK', 'SLOWLOG')).toBe(wrong('heatsink|slowlog'));
  expect(await client.say('HEATSINK', 'SLOWLOG', 'PUT')).toBe(unknown('PUT'));
  expect(await client.say('HEATSINK', 'SLOWLOG', 'LEN', '1')).toBe(wrong('heatsink|slowlog'));
  for (const count of ['-2', 'x']) {
    expect(await client.say('HEATSINK', 'SLOWLOG', 'GET', count)).toBe(
      '-ERR count should be greater than or equal to -1',
    );
  }
  await client.say('MULTI');
  expect(await client.say('HEATSINK', 'BIGKEYS')).toBe('-ERR Command not allowed inside a transaction');
  await client.say('DISCARD');
});

describe('users', () => {
  it('may ask if they are admins, or the policy lets them; for help all may', async () => {
    const file = join(directory, 'users.yaml');
    const users = [
      { name: 'default', nopass: true },
      { name: 'ops', nopass: true, admin: true },
      { name: 'some', nopass: true, keys: ['some:*'] },
    ];
    writeFileSync(file, stringify({ users, policy: { 'heatsink|bigkeys': 'allow' } }));
    const own = await startProxy({ upstream: redis.url, file });
    open.push(() => own.close());
    const anybody = wireTo(own);
    const refusal = '-NOPERM heatsink: HEATSINK SLOWLOG is for admins only: see';
    expect(await anybody.say('HEATSINK', 'SLOWLOG', 'GET')).toContain(refusal);
    expect(await anybody.say('HEATSINK', 'NOTHING')).toMatch(/^-NOPERM/);
    expect(await anybody.say('HEATSINK', 'BIGKEYS')).toBe('*0');
    expect(await anybody.say('HEATSINK', 'HELP')).toMatch(/^\*/);
    await anybody.say('AUTH', 'ops', 'x');
    expect(await anybody.say('HEATSINK', 'SLOWLOG', 'LEN')).toBe(':0');
    await anybody.say('AUTH', 'some', 'x');
    expect(await anybody.say('HEATSINK', 'BIGKEYS')).toBe(
      "-NOPERM this user has no permissions to run the 'heatsink|bigkeys' command",
    );
    expect(await anybody.say('HEATSINK', 'HELP')).toMatch(/^\*/);
  });
});

it('tells of all workers, and makes all of them forget', async () => {
  const flags = { workers: '2', 'slow-log-slower-than': '0', 'slow-log-max-len': '1000' };
  const own = await startProxy({ upstream: redis.url, flags });
  open.push(() => own.close());
  const wires = Array.from({ length: 16 }, () => wireTo(own));
  await Promise.all(wires.map((wire, i) => wire.say('SET', `all${i}`, text(11_000 + i))));
  for (const wire of wires) {
    expect(itemsOf(await wire.ask('HEATSINK', 'BIGKEYS'))).toHaveLength(16);
    expect(await wire.say('HEATSINK', 'SLOWLOG', 'LEN')).toBe(':16');
  }
  expect(await wires[0].say('HEATSINK', 'SLOWLOG', 'RESET')).toBe('+OK');
  for (const wire of wires) expect(await wire.say('HEATSINK', 'SLOWLOG', 'LEN')).toBe(':0');
});
