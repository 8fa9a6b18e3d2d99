/** Files that never end or wait for a writer, wherever a command takes a file: an error at once. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROGRAM, Program } from '../integration/cli/program.ts';
import { dataPlane, listener, tcpProxy, typed } from '../integration/dataplane/support.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/egress-http');

const COMMANDS: readonly ((file: string) => readonly string[])[] = [
  (file) => ['analyze', file],
  (file) => ['analyze', '--mesh-config', file, EXAMPLE],
  (file) => ['proxy', '-c', file],
  (file) => ['verify', '--statements', file, EXAMPLE],
  (file) => ['learn', file],
  (file) => ['convert', file],
  (file) => ['proxy-config', 'listeners', '--file', file],
  (file) => ['allow', '--policy', file],
  (file) => ['up', '--learn', file, EXAMPLE],
];

test('a FIFO or a device named as a file of a command is an error at once', { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-endless-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const fifo = join(folder, 'fifo.yaml');
  execFileSync('mkfifo', [fifo]);
  for (const [file, what] of [
    [fifo, /named pipe, not a file/],
    ['/dev/zero', /device, not a file/],
  ] as const) {
    for (const command of COMMANDS) {
      const program = new Program(command(file));
      t.after(() => program.end());
      assert.notEqual(await program.exit, 0, command(file).join(' '));
      assert.match(program.output + program.errors, what, command(file).join(' '));
    }
  }
});

test('what a shell has opened is read as it is', async () => {
  const shell = `exec "${process.execPath}" "${PROGRAM}" analyze <(printf 'apiVersion: networking.istio.io/v1\\nkind: Nothing\\n')`;
  const program = new Program([], ['bash', '-c', shell]);
  await program.exit;
  assert.match(program.output + program.errors, /Nothing/);
});

test('a certificate that never ends is one that is missing: the listener takes no connection, and others do', async (t) => {
  const { set, port } = await dataPlane(t);
  const zero = { filename: '/dev/zero' };
  const tls = typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    commonTlsContext: { tlsCertificates: [{ certificateChain: zero, privateKey: zero }] },
  });
  const { rejected } = await set({
    listeners: [
      listener('tls', [{ transportSocket: { name: 'tls', typedConfig: tls }, filters: [tcpProxy('c')] }]),
      listener('plain', [{ filters: [tcpProxy('c')] }]),
    ],
  });
  assert.ok(rejected.every(({ name }) => name === 'tls'));
  assert.ok(port('plain') > 0);
});
