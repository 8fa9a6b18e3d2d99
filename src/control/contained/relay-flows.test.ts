import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProxyFlow } from '../../flows/flow.ts';
import { RelayFlows } from './relay-flows.ts';

test('a connection to a service of the machine begins and ends, reached or not, while somebody watches', async () => {
  let now = 1000;
  const told: ProxyFlow[] = [];
  const relays = new RelayFlows('default/local', () => now);
  const client = { ip: '127.0.0.1', port: 40_000 };
  const to = { address: '127.0.0.1', port: 5432 };
  const unseen = { client, bytesSent: 0, bytesReceived: 0, failure: '' };
  relays.began(client, to)(unseen);
  assert.equal(told.length, 0);
  await relays.watchFlows((flow) => void told.push(flow));
  const ended = relays.began(client, to);
  now += 5;
  ended({ client, bytesSent: 3, bytesReceived: 7, failure: '' });
  relays.began(client, to)({ ...unseen, failure: 'connect ECONNREFUSED' });
  assert.deepEqual(
    told.map(({ kind, id, verdict, reason, bytesSent, bytesReceived, duration }) => [
      kind,
      id,
      verdict,
      reason,
      bytesSent,
      bytesReceived,
      duration,
    ]),
    [
      ['begin', '2', undefined, undefined, undefined, undefined, undefined],
      ['end', '2', 'allowed', undefined, 3, 7, 5],
      ['begin', '3', undefined, undefined, undefined, undefined, undefined],
      ['end', '3', 'failed', 'connect ECONNREFUSED', 0, 0, 0],
    ],
  );
});
