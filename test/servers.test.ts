import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const SRC = join(import.meta.dirname, '../src');

/** Who accepts connections, and what bounds each phase of them. A server in another file needs its bounds first, and then a line here. */
const SERVERS: Readonly<Record<string, string>> = {
  'lib/node-http.ts': 'hands the function on to lib/local-server.ts',
  'control/admission/server.ts': 'bounds for handshake, head, request, body and an answer that is not read, and few connections',
  'lib/grpc/server.ts':
    'bounds for handshake, message, what is unread and unwritten; pings, idleness and age end connections (guard.ts); test/attacks/grpc.test.ts',
  'lib/local-server.ts': 'its own bounds for head, request, answer and rest; local-server.test.ts',
  'proxy/listener/bind.ts':
    'bounds.ts until a filter chain has the connection, then the handshake’s, the codec’s and the relay’s; bounds.test.ts',
  'proxy/dns/server.ts': 'one bound for a question and one for taking its answer; dns/server.test.ts',
  'sandbox/listeners.ts': 'opens sockets and hands them over; nothing is accepted',
  'sandbox/ports.ts': 'services of this machine and servers of the command, by ports that the user named; they end with the run',
  'demo/outside.ts': 'the servers that the demonstration calls, on loopback while it runs',
  'kube/capture-check.ts': 'on loopback of a pod of which nothing else runs yet: few connections, nothing read, all closed after 3 s',
  'lib/free-port.ts': 'finds a free port; nothing is accepted',
};

test('connections are accepted only where each phase of them is bounded', () => {
  const accepting = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.endsWith('/testing.ts') && !/testing-\w+\.ts$/.test(path))
    .filter((path) => /\bcreate(?:Secure)?Server\b|\bnew (?:\w+\.)?Server\(/.test(readFileSync(join(SRC, path), 'utf8')));
  assert.deepEqual(accepting.sort(), Object.keys(SERVERS).sort());
});
