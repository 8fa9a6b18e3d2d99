/** Traffic that a redirect rule captures, in a network namespace: it takes the same way as through the explicit proxy. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../tools.ts';
import { APPLICATION, captured } from './captured.ts';
import { PROGRAM, Program } from './program.ts';

const EXAMPLE = join(import.meta.dirname, '../../../examples/egress-http');
/** The reply's body and status, or curl's exit code. */
function curl(inside: readonly string[], url: string, address: string): string {
  const { hostname, protocol } = new URL(url);
  const resolve = `${hostname}:${protocol === 'https:' ? 443 : 80}:${address}`;
  const [program, ...args] = [...inside, ...APPLICATION, 'curl', '-s', '-m', '20', '-w', '%{http_code}', '--resolve', resolve, url];
  try {
    return execFileSync(program!, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    return `curl exit ${(error as { status?: number }).status}`;
  }
}

test('captured traffic goes through the gateway, or is refused', {
  skip: needs('root', 'ip', 'iptables', 'setpriv', 'curl'),
}, async (t) => {
  const inside = captured(t);
  const outside = new Program(['demo', '--serve'], [...inside, process.execPath, PROGRAM]);
  t.after(() => outside.end());
  await outside.says(/stand-ins/, 'output');
  const up = new Program(['up', EXAMPLE], [...inside, process.execPath, PROGRAM]);
  t.after(() => up.end());
  await up.says(/: ready/);

  const status = JSON.parse(execFileSync(inside[0], [...inside.slice(1), 'curl', '-s', '127.0.0.1:15021/status'], { encoding: 'utf8' }));
  assert.equal(status.proxies.length, 2);
  // The address that the mesh's DNS gives the host.
  assert.equal(curl(inside, 'http://www.example.com/captured', '240.240.19.59'), 'www.example.com answers GET /captured\n200');
  assert.equal(curl(inside, 'http://undeclared.example.org/', '198.51.100.7'), '502');
  // Closed before or in the middle of the handshake.
  assert.match(curl(inside, 'https://undeclared.example.org/', '198.51.100.7'), /curl exit (35|56)/);
  assert.equal(await up.end(), 0);
});

/** A server that answers with the Host it was called by. */
const ECHO = "require('http').createServer((q, r) => r.end(q.headers.host + ' ')).listen(80, '198.51.100.7', () => console.log('serving'))";

test('captured traffic is learned by host, server name and address, and allowed by what was learned', {
  skip: needs('root', 'ip', 'iptables', 'setpriv', 'curl'),
}, async (t) => {
  const inside = captured(t);
  execFileSync(inside[0], [...inside.slice(1), 'ip', 'addr', 'add', '198.51.100.7/32', 'dev', 'lo']);
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-capture-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [file, mesh] = [join(folder, 'learned.yaml'), join(folder, 'mesh.yaml')];
  writeFileSync(mesh, 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n');
  const server = new Program(['-e', ECHO], [...inside, process.execPath]);
  t.after(() => server.end());
  await server.says(/serving/, 'output');
  const start = (...args: string[]) => {
    const up = new Program(['up', ...args, '--mesh-config', mesh], [...inside, process.execPath, PROGRAM]);
    t.after(() => up.end());
    return up;
  };
  const learning = start('--learn', file);
  await learning.says(/: ready/);
  assert.equal(curl(inside, 'http://www.example.org/', '198.51.100.7'), 'www.example.org 200');
  assert.equal(curl(inside, 'http://198.51.100.7/', '198.51.100.7'), '198.51.100.7 200');
  // Nothing listens there: the call was made all the same.
  assert.match(curl(inside, 'https://secure.example.org/', '198.51.100.7'), /curl exit/);
  await learning.says(/learned tls:\/\/secure\.example\.org:443/);
  assert.equal(await learning.end(), 0, learning.output + learning.errors);
  const proposal = readFileSync(file, 'utf8');
  for (const line of ['198.51.100.7:80 HTTP: 1 call,', 'www.example.org:80 HTTP: 1 call,', 'secure.example.org:443 TLS: 1 call,'])
    assert.ok(proposal.includes(`# ${line}`), proposal);
  assert.match(learning.output, /3 recorded calls made again: none breaks/);

  const up = start(file);
  await up.says(/: ready/);
  assert.equal(curl(inside, 'http://198.51.100.7/', '198.51.100.7'), '198.51.100.7 200');
  assert.equal(curl(inside, 'http://other.example.org/', '198.51.100.7'), '502');
  assert.match(curl(inside, 'https://other.example.org/', '198.51.100.7'), /curl exit (35|56)/);
  assert.equal(await up.end(), 0);
});
