import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Signal } from '../../../functions/core/signal.ts';

/** Adds `name` to `woken` once the signal is notified. */
async function waitAs(name: string, signal: Signal, woken: string[]): Promise<void> {
  await signal.wait();
  woken.push(name);
}

test('a signal wakes everyone who waits, in their order', async () => {
  const signal = new Signal();
  const woken: string[] = [];
  for (const name of ['first', 'second']) void waitAs(name, signal, woken);
  await turn();
  assert.deepEqual(woken, []);
  signal.notify();
  await turn();
  assert.deepEqual(woken, ['first', 'second']);
});

test('a signal does not wake anyone who begins to wait after it was notified', async () => {
  const signal = new Signal();
  const woken: string[] = [];
  signal.notify();
  void waitAs('late', signal, woken);
  await turn();
  assert.deepEqual(woken, []);
  signal.notify();
  await turn();
  assert.deepEqual(woken, ['late']);
});

test('whoever waits again after a notification is woken by the next one', async () => {
  const signal = new Signal();
  const woken: string[] = [];
  const waitTwice = async () => {
    await waitAs('once', signal, woken);
    await waitAs('twice', signal, woken);
  };
  void waitTwice();
  signal.notify();
  await turn();
  assert.deepEqual(woken, ['once']);
  signal.notify();
  await turn();
  assert.deepEqual(woken, ['once', 'twice']);
});
