// The circuit of a node by itself: when it asks, and what it makes of the answers.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { clock } from '../src/clock.ts';
import { CounterMemory } from '../src/counters.ts';
import { Circuit } from '../src/upstream/circuit.ts';
import { waitFor } from './support/wait.ts';

function circuit(wanted = true) {
  const events: string[] = [];
  const asked: ((trouble: string | null) => void)[] = [];
  const made = new Circuit({
    ask(told) {
      asked.push(told);
      return () => events.push('cancelled');
    },
    counters: new CounterMemory(1).of(0),
    wanted: () => wanted,
    opened: (reason) => events.push(`opened: ${reason}`),
    closed: () => events.push('closed'),
    silent: (reason) => events.push(`silent: ${reason}`),
  });
  return { made, events, asked };
}

describe('a circuit', () => {
  it('opens once, asks one question at a time, says the latest reason, and closes with an answer', async () => {
    const { made, events, asked } = circuit();
    made.unmade('ECONNREFUSED');
    made.unmade('ECONNREFUSED');
    made.suspect();
    expect(events).toEqual(['opened: ECONNREFUSED']);
    await waitFor(() => asked.length === 1);
    await sleep(100);
    expect(asked.length).toBe(1);
    expect(made.open).toBe(true);
    asked[0]('no answer');
    expect(made.reason).toBe('no answer');
    await waitFor(() => asked.length === 2);
    asked[1](null);
    expect(made.open).toBe(false);
    await sleep(150);
    expect(asked.length).toBe(2);
    expect(events).toEqual(['opened: ECONNREFUSED', 'closed']);
  });

  it('asks nothing about a node that is not used any more, and lets those try that still have something for it', async () => {
    const { made, events, asked } = circuit(false);
    made.unmade('ECONNREFUSED');
    await waitFor(() => !made.open);
    expect(asked).toEqual([]);
    expect(events).toEqual(['opened: ECONNREFUSED']);
  });

  it('asks nothing once it is closed for good', async () => {
    const { made, events, asked } = circuit();
    made.unmade('ECONNREFUSED');
    made.close();
    made.unmade('ECONNREFUSED');
    await sleep(100);
    expect(asked).toEqual([]);
    made.suspect();
    expect(events).toEqual(['opened: ECONNREFUSED']);
  });

  it('stays closed when somebody was answered while the question was open', () => {
    const { made, events, asked } = circuit();
    made.suspect();
    made.heardAt = clock.tick() + 1;
    asked[0]('no answer');
    expect(made.open).toBe(false);
    expect(events).toEqual([]);
  });

  it('calls a node silent only when a question fails that was asked after the silence', () => {
    const { made, events, asked } = circuit();
    const owing = () => true;
    const start = clock.tick();
    made.watch(100, () => false);
    made.suspect();
    while (clock.tick() < start + 120);
    made.watch(100, owing);
    while (clock.tick() < start + 240);
    made.watch(100, owing);
    expect(asked.length).toBe(1);
    // That one began before anybody had waited for long.
    asked[0]('no answer');
    expect(events).toEqual(['opened: no answer']);
    expect(asked.length).toBe(2);
    asked[1]('no answer');
    expect(events).toEqual(['opened: no answer', 'silent: no answer']);
    made.close();
  });

  it('asks about no silence of a node that owes nothing or has just said something', () => {
    const { made, asked } = circuit();
    const start = clock.tick();
    for (let ms = 60; ms <= 300; ms += 60) {
      while (clock.tick() < start + ms);
      made.watch(100, () => false);
    }
    for (let ms = 360; ms <= 600; ms += 60) {
      while (clock.tick() < start + ms);
      made.heardAt = clock.ms;
      made.watch(100, () => true);
    }
    expect(asked).toEqual([]);
  });
});
