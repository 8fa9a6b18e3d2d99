import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Why a network namespace with a redirect rule cannot be had here, or undefined. */
function missing(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  for (const tool of ['unshare', 'ip', 'iptables']) if (spawnSync('which', [tool]).status !== 0) return `needs ${tool}`;
  const probe = spawnSync('unshare', ['-n', 'iptables', '-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '-j', 'REDIRECT', '--to-ports', '15001']);
  return probe.status === 0 ? undefined : `cannot make a redirect rule: ${probe.stderr.toString().trim()}`;
}

const reason = missing();

test('captured traffic goes to the listener of its original destination', { skip: reason ?? false }, () => {
  const setup = [
    'ip link set lo up',
    'ip route add local 10.9.0.0/16 dev lo',
    'iptables -t nat -A OUTPUT -p tcp -d 10.9.0.0/16 --dport 7000:7099 -j REDIRECT --to-ports 15001',
    'exec "$0" "$1"',
  ].join(' && ');
  const child = fileURLToPath(new URL('./original-dst.child.ts', import.meta.url));
  const output = execFileSync('unshare', ['-n', 'sh', '-c', setup, process.execPath, child], { encoding: 'utf8', timeout: 30_000 });
  assert.deepEqual(JSON.parse(output), {
    rejected: [],
    exact: 'service 127.0.0.1',
    'same port, other address': 'direct 10.9.0.9',
    'any address': 'service 127.0.0.1',
    'any address, no chain': '',
    'no listener': 'direct 10.9.0.4',
    'not redirected': '',
  });
});
