/** Programs and privileges that a test needs: in CI they must be there, elsewhere the test is skipped with a line that says why. */
import { accessSync, constants, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What to install for a program, as a Debian package. */
const PACKAGES: Readonly<Record<string, string>> = {
  'redis-cli': 'redis-tools',
  'redis-server': 'redis-server',
  chromium: 'chromium',
  curl: 'curl',
  initdb: 'postgresql',
  postgres: 'postgresql',
  psql: 'postgresql',
  dnsmasq: 'dnsmasq',
  go: 'golang-go',
  ip: 'iproute2',
  iptables: 'iptables',
  ip6tables: 'iptables',
  mandoc: 'mandoc',
  nvim: 'neovim',
  openssl: 'openssl',
  pip3: 'python3-pip',
  promtool: 'prometheus',
  python3: 'python3',
  prlimit: 'util-linux',
  setpriv: 'util-linux',
  setsid: 'util-linux',
  stty: 'coreutils',
  squid: 'squid',
  timeout: 'coreutils',
  nsenter: 'util-linux',
  unshare: 'util-linux',
};

/** The program's path, or undefined. */
export function findTool(name: string): string | undefined {
  // Debian keeps servers where an ordinary user's PATH does not look.
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', ...globSync('/usr/lib/postgresql/*/bin')];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

/**
 * The `skip` option of a test that needs these programs (and `root` where it says so): false to run it, or the reason why not.
 * In CI it throws instead: a check that is silently left out checks nothing.
 */
export function needs(...tools: readonly string[]): string | false {
  const missing = tools.filter((tool) => (tool === 'root' ? process.getuid?.() !== 0 : findTool(tool) === undefined));
  if (missing.length === 0) return false;
  const reason = missing
    .map((tool) => (tool === 'root' ? 'must run as root' : `${tool} is not installed (Debian: apt-get install ${PACKAGES[tool] ?? tool})`))
    .join('; ');
  if (process.env.CI) throw new Error(`needed in CI: ${reason}`);
  return reason;
}
