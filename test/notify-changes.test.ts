// deploy/postgres/notify-changes.sql: what a table tells of its rows once it is run.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installTrigger, type PostgresProcess, startPostgres } from './support/postgres.ts';
import { waitFor } from './support/wait.ts';

let database: PostgresProcess;

beforeAll(async () => {
  database = await startPostgres();
  await database.query('CREATE TABLE products (id bigint, price int)');
});

afterAll(() => database.stop());

describe('the trigger', () => {
  it('tells of rows that are inserted, changed, moved and deleted, and of TRUNCATE', async () => {
    await database.query('CREATE SCHEMA shop; CREATE TABLE shop."Items" (id bigint, "Name" text, doc json)');
    const table = 'shop."Items"';
    for (let again = 0; again < 2; again++)
      await installTrigger(database, { table, channel: "it's items", columns: 'id,Name' });
    const said: string[] = [];
    const listener = await database.listen("it's items", (payload) => said.push(payload));
    const one = `{"id": 9007199254740993, "Name": "a"}`;
    const two = `{"id": 2, "Name": "a"}`;
    await database.query(`INSERT INTO ${table} VALUES (9007199254740993, 'a', '{}')`);
    await database.query(`UPDATE ${table} SET doc = '[]'`);
    await database.query(`UPDATE ${table} SET doc = '[]'`);
    await database.query(`UPDATE ${table} SET id = 2`);
    await database.query(`UPDATE ${table} SET "Name" = repeat('x', 8000)`);
    await database.query(`DELETE FROM ${table}`);
    await database.query(`TRUNCATE ${table}`);
    await database.query("SELECT pg_notify('it''s items', 'end')");
    await waitFor(() => said.includes('end'));
    await listener.end();
    const sweep = '{"heatsink": "sweep"}';
    expect(said.map(normalize)).toEqual([one, one, two, one, sweep, two, sweep, sweep, 'end'].map(normalize));
  });

  it('is not made for a column that the table does not have, or without one', async () => {
    const wrong = installTrigger(database, { table: 'products', channel: 'c', columns: 'id,shop' });
    await expect(wrong).rejects.toThrow('there is no column shop in products');
    const missing = installTrigger(database, { table: 'products', channel: 'c' });
    await expect(missing).rejects.toThrow('-v columns=');
  });
});

/** JSON objects as PostgreSQL orders their fields, or not. */
function normalize(payload: string): string {
  return payload.startsWith('{') ? payload.slice(1, -1).split(', ').sort().join(', ') : payload;
}
