/** A network namespace whose TCP is captured, as a sidecar's rules do it. */
import { execFileSync } from 'node:child_process';
import type { TestContext } from 'node:test';

/** The user of the proxy, whose traffic the rule leaves alone. */
const PROXY_USER = '0';
/** Runs what follows as the application. */
export const APPLICATION = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

let count = 0;

/** A namespace whose TCP goes to port 15001, and what runs a program in it. */
export function captured(t: TestContext): readonly [string, ...string[]] {
  const name = `sallyport-capture-${process.pid}-${count++}`;
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  ip('netns', 'add', name);
  t.after(() => ip('netns', 'del', name));
  ip('-n', name, 'link', 'set', 'lo', 'up');
  // A default route, so that there is a way for packets that are to be redirected.
  ip('-n', name, 'link', 'add', 'out', 'type', 'veth', 'peer', 'name', 'far');
  ip('-n', name, 'addr', 'add', '10.9.9.1/24', 'dev', 'out');
  for (const device of ['out', 'far']) ip('-n', name, 'link', 'set', device, 'up');
  ip('-n', name, 'route', 'add', 'default', 'dev', 'out');
  const others = ['-p', 'tcp', '-m', 'owner', '!', '--uid-owner', PROXY_USER, '!', '-d', '127.0.0.0/8'];
  ip('netns', 'exec', name, 'iptables', '-t', 'nat', '-A', 'OUTPUT', ...others, '-j', 'REDIRECT', '--to-ports', '15001');
  return ['ip', 'netns', 'exec', name];
}
