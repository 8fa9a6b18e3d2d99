/** The host's own name resolution settings: /etc/hosts and /etc/resolv.conf, read again when they change. */
import { readFileSync, statSync } from 'node:fs';

interface ResolvConf {
  /** As `dns.Resolver#setServers` takes them. */
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly ndots: number;
}

/** A parsed file that is read again when its modification time or inode changes, looked at most once a second. */
function watched<T>(path: string, parse: (text: string) => T, now: () => number): () => T {
  let value = parse('');
  let key = '';
  let checked = Number.NEGATIVE_INFINITY;
  return () => {
    if (now() - checked < 1000) return value;
    checked = now();
    try {
      const stat = statSync(path);
      const next = `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
      if (next !== key) {
        value = parse(readFileSync(path, 'utf8'));
        key = next;
      }
    } catch {
      // A missing file means no entries; what was read before stands until it can be read again.
    }
    return value;
  };
}

export function parseHosts(text: string): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [ip, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!ip) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const known = out.get(key);
      if (known) known.push(ip);
      else out.set(key, [ip]);
    }
  }
  return out;
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: string[] = [];
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [key, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (key === 'nameserver' && values[0]) servers.push(values[0]);
    else if (key === 'search' || key === 'domain') search = values;
    else if (key === 'options') ndots = Number(/ndots:(\d+)/.exec(values.join(' '))?.[1] ?? ndots);
  }
  return { servers, search, ndots };
}

export function hostsFile(now: () => number, path = '/etc/hosts'): () => Map<string, string[]> {
  return watched(path, parseHosts, now);
}

export function resolvConf(now: () => number, path = '/etc/resolv.conf'): () => ResolvConf {
  return watched(path, parseResolvConf, now);
}
