import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NameIndex } from '../../xds/name-index.ts';
import type { HeldCalls } from '../held-calls.ts';
import type { Address } from '../types.ts';
import { createAsking } from './asking.ts';
import type { Inspection } from './inspection.ts';

interface Setup {
  readonly closed?: boolean;
  /** `host:port` that are declared. */
  readonly declared?: readonly string[];
  readonly allows?: boolean;
  /** The client has left when the answer comes. */
  readonly gone?: boolean;
}

/** A call to the address that stands for a.example, whose own is 203.0.113.7. */
async function call({ closed = true, declared = [], allows = false, gone = false }: Setup) {
  const asked: string[] = [];
  const held = {
    longestMs: 60_000,
    hostAt: () => 'a.example',
    allows: ({ host, port }: { host: string; port: number }) => {
      asked.push(`${host}:${port}`);
      return Promise.resolve(allows);
    },
  } as unknown as HeldCalls;
  const rules = {
    isClosed: () => closed,
    isDeclared: ({ ip, port }: Address) => declared.includes(`${ip}:${port}`),
    observer: {} as never,
    held,
  };
  const names = { lookup: (host: string) => (host === 'a.example' ? ['203.0.113.7'] : undefined) } as unknown as NameIndex;
  const filter = createAsking({ closed: rules, names: () => names })!;
  const led: Address[] = [];
  const connection = {
    localAddress: { ip: '240.242.0.1', port: 443 },
    localAddressRestored: true,
    remoteAddress: { ip: '127.0.0.1', port: 40000 },
    asked: undefined,
    socket: { destroyed: gone },
    restore: (address: Address) => led.push(address),
  } as unknown as Inspection;
  const { promise, resolve } = Promise.withResolvers<string>();
  const now = filter.inspect(connection, resolve as never);
  const verdict = now === 'later' ? await promise : now;
  return { verdict, asked, led, named: connection.asked, passed: filter.disabled!(connection), filter, connection };
}

test('nobody is asked where nobody can be, and of connections that were not captured, or pass anyhow', async () => {
  assert.equal(createAsking({ closed: undefined, names: () => assert.fail('no name is looked up') }), undefined);
  const { filter, connection, passed } = await call({});
  assert.equal(passed, false);
  assert.equal(filter.disabled!({ ...connection, localAddressRestored: false } as Inspection), true);
  assert.equal((await call({ closed: false })).passed, true);
  assert.equal(filter.mandatory, true);
});

test('what is declared goes on at once, to the host’s own address', async () => {
  const { verdict, asked, led, named } = await call({ declared: ['203.0.113.7:443'] });
  assert.deepEqual([verdict, asked, led, named], ['next', [], [{ ip: '203.0.113.7', port: 443 }], 'a.example']);
});

test('what is not is asked about, and goes where it is allowed to, or on as it came', async () => {
  const other = { declared: ['203.0.113.7:80'] };
  const allowed = await call({ ...other, allows: true });
  assert.deepEqual([allowed.verdict, allowed.asked], ['next', ['a.example:443']]);
  assert.deepEqual(allowed.led, [{ ip: '203.0.113.7', port: 443 }]);
  const refused = await call(other);
  assert.deepEqual([refused.verdict, refused.asked, refused.led, refused.named], ['next', ['a.example:443'], [], undefined]);
});

test('a client that has left meanwhile is let go', async () => {
  assert.equal((await call({ allows: true, gone: true })).verdict, 'close');
});
