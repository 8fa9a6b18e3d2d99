import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { followFlows } from './client.ts';

/** What comes of watching a server that answers so. */
async function watched(t: TestContext, answers: (answer: ServerResponse) => void): Promise<readonly string[]> {
  const server = createServer((_, answer) => answers(answer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const lines: string[] = [];
  const shown = { name: 'x', where: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, missing: 'start it' };
  await followFlows(shown, new URLSearchParams(), new AbortController().signal, {
    attached: () => undefined,
    line: (_, text) => void lines.push(text),
    taken: () => undefined,
  });
  return lines;
}

const FORM = { 'content-type': 'application/x-ndjson' };
/** Writes for as long as it is read. */
function endlessly(answer: ServerResponse): void {
  const more = () => {
    while (answer.write('x'.repeat(65_536)));
  };
  answer.on('drain', more);
  more();
}

test('lines come as they are, until the end', async (t) => {
  assert.deepEqual(await watched(t, (answer) => answer.writeHead(200, FORM).end('{"a":1}\n{"b":2}\n')), ['{"a":1}', '{"b":2}']);
});

test('whatever else answers is told as what it is, and read no further than that takes', async (t) => {
  const none = { code: 'flows-unreachable', message: /what answers as x is no Sallyport/ };
  await assert.rejects(
    watched(t, (answer) => answer.writeHead(200, FORM).end('no JSON\n')),
    none,
  );
  await assert.rejects(
    watched(t, (answer) => endlessly(answer.writeHead(200, FORM))),
    none,
  );
  await assert.rejects(
    watched(t, (answer) => answer.end('hello')),
    none,
  );
  await assert.rejects(
    watched(t, (answer) => endlessly(answer.writeHead(500))),
    {
      code: 'flows-unreachable',
      message: /^x does not show its calls: x{200}$/,
    },
  );
});
