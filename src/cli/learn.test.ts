import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { meshConfigOf } from '../../test/support/mesh.ts';
import { Layered } from '../config/layered.ts';
import { snapshotFromText } from '../config/memory.ts';
import { explain } from '../prove/explain.ts';
import { simulateFiles } from '../prove/simulated.ts';
import { podText, WWW_ENTRY } from '../prove/testing.ts';
import { parseTarget } from '../simulate/call.ts';

test('workloads of several namespaces: their calls are counted together, and only they see what they alone called', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-learn-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const files = write(
    'pods.yaml',
    `${podText('a', '10.0.0.1')}${podText('b', '10.0.0.2', { namespace: 'payments' })}${podText('c', '10.0.0.3', { namespace: 'payments' })}${WWW_ENTRY}`,
  );
  const from = (ip: string, host: string, port = 80) =>
    `[2026-11-21T10:00:00.000Z] "GET / HTTP/1.1" 200 - via_upstream - "-" 0 10 5 4 "-" "curl/8 (x y)" "id" "${host}:${port}" "198.51.100.7:${port}" PassthroughCluster 10.0.0.1:1 198.51.100.7:${port} ${ip}:5000 - default`;
  const log = write(
    'access.log',
    [
      from('10.0.0.1', 'both.example.com'),
      from('10.0.0.2', 'both.example.com'),
      from('10.0.0.2', 'pay.example.com'),
      from('10.0.0.3', 'pay.example.com'),
      from('10.0.0.9', 'who.example.com'),
      from('10.0.0.1', 'www.example.com'),
      from('10.0.0.1', 'www.example.com', 8080),
    ].join('\n'),
  );
  const program = spawnSync(
    process.execPath,
    [join(import.meta.dirname, '../../test/integration/sallyport.ts'), 'learn', '-f', files, log],
    { encoding: 'utf8' },
  );
  // Declared with another port than was called, and on its own with a way round the gateway.
  assert.equal(program.status, 1, program.stderr);
  assert.match(program.stderr, /not proposed: www\.example\.com:8080 HTTP, 1 call: ServiceEntry default\/www declares this host/);
  assert.match(program.stderr, /GET http:\/\/www\.example\.com:8080\/, 1 call: /);
  assert.match(program.stdout, /# both\.example\.com:80 HTTP: 2 calls/);
  const entries = snapshotFromText(program.stdout).list('ServiceEntry');
  assert.deepEqual(
    entries.map(({ spec }) => [spec.hosts[0], spec.exportTo]),
    [
      ['both.example.com', ['default', 'istio-system', 'payments']],
      ['pay.example.com', ['istio-system', 'payments']],
      ['who.example.com', []],
    ],
  );
  const beside = simulateFiles(
    new Layered(snapshotFromText(readFileSync(files, 'utf8')), snapshotFromText(program.stdout)),
    meshConfigOf({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }),
  );
  const outcome = (caller: string) => explain(beside, parseTarget('http://pay.example.com/'), { from: caller }).trace.outcome.kind;
  assert.deepEqual([outcome('payments/c'), outcome('default/a')], ['upstream', 'reply']);
});
