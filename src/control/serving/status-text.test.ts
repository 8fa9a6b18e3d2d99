import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { listening } from '../../lib/listen.ts';
import type { StreamJson } from './status.ts';
import { askStreams } from './status-client.ts';
import { nacks, streamsText } from './status-text.ts';

const STREAM: StreamJson = {
  proxy: 'cart.shop',
  type: 'sidecar',
  peer: '10.0.0.1:4000',
  protocol: 'delta',
  proven: true,
  xds: { CDS: { state: 'SYNCED' }, LDS: { state: 'NACK', message: 'no such filter\n' } },
};

test('a row for each stream, and what is refused in the client’s own words', () => {
  const text = streamsText([STREAM]);
  assert.match(text, /^PROXY +TYPE +CDS +EDS +LDS /);
  assert.match(
    text,
    /\ncart\.shop +sidecar +SYNCED +NOT SENT +NACK +NOT SENT +NOT SENT +NOT SENT +incremental +10\.0\.0\.1:4000 \(proven\)\n/,
  );
  assert.match(text, /\n\ncart\.shop: LDS refused: no such filter\n$/);
  assert.equal(streamsText([]), 'No proxy is connected.\n');
  assert.deepEqual(
    nacks([STREAM]).map(({ type }) => type),
    ['LDS'],
  );
});

test('virtual hosts that are resources of their own have a column where somebody has them', () => {
  const other: StreamJson = { ...STREAM, proxy: 'other.shop', xds: { ...STREAM.xds, VHDS: { state: 'STALE' } } };
  const text = streamsText([STREAM, other]);
  assert.match(text, /^PROXY +TYPE +CDS +EDS +LDS +RDS +VHDS /);
  assert.match(text, /\ncart\.shop +sidecar +SYNCED +NOT SENT +NACK +NOT SENT +- /);
  assert.match(text, /\nother\.shop +sidecar +SYNCED +NOT SENT +NACK +NOT SENT +STALE /);
});

test('only a controller has streams', async (t) => {
  let answer: object | undefined = { streams: [STREAM] };
  const server = createServer((_request, response) => {
    if (answer) response.end(JSON.stringify(answer));
    else response.writeHead(500).end();
  });
  await listening(server, { host: '127.0.0.1', port: 0 }, { ip: '127.0.0.1', port: 0 });
  t.after(() => server.close());
  const at = { address: '127.0.0.1', port: (server.address() as AddressInfo).port };
  assert.deepEqual(await askStreams(at), [STREAM]);
  answer = {};
  await assert.rejects(askStreams(at), { code: 'controller-unreachable', message: /it is no sallyport controller/ });
  answer = undefined;
  await assert.rejects(askStreams(at), { code: 'controller-unreachable', message: /it answered 500/ });
});
