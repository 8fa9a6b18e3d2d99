/**
 * Name resolution of the data plane: literal addresses, /etc/hosts, then DNS with the records' TTL. Answers are cached for their TTL, questions that are
 * under way are shared. Not node's `dns.lookup`: that one blocks a thread of the pool a question and tells no TTL.
 */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { codeOf } from '../../lib/errors.ts';
import { hostsFile, resolvConf } from './system.ts';

export type Family = 'v4' | 'v6' | 'v4-preferred' | 'v6-preferred' | 'all';

export type Resolution =
  | {
      readonly kind: 'found';
      /** Sorted, without repeats; empty if the name exists without addresses of this family, or does not exist. */
      readonly ips: readonly string[];
      /** Milliseconds; at least one second. */
      readonly ttlMs: number;
    }
  /** No answer that can be trusted: timeouts, SERVFAIL, no name server. What was known before stays valid. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface DnsResolver {
  resolve(name: string, family: Family): Promise<Resolution>;
  close(): void;
}

interface DnsResolverOptions {
  /** `ip` or `ip:port`; without it, the name servers of /etc/resolv.conf. */
  readonly servers?: readonly string[] | undefined;
  /** Milliseconds; monotonic. */
  readonly now: () => number;
  readonly hostsPath?: string;
  readonly resolvConfPath?: string;
}

interface Answer {
  readonly ips: string[];
  readonly ttlMs: number;
}

/** Names that are looked up at a time; more wait. A resolver has a limit of its own on what it takes from one client. */
const MOST_AT_A_TIME = 100;
const MOST_CACHED = 10_000;
const HOSTS_TTL_MS = 5000;
const NOTHING_TTL_MS = 5000;
/** Codes that say that there are no such addresses, rather than that nobody answered. */
const NO_ADDRESS = new Set(['ENOTFOUND', 'ENODATA']);

export function createDnsResolver(options: DnsResolverOptions): DnsResolver {
  const hosts = hostsFile(options.now, options.hostsPath);
  const conf = resolvConf(options.now, options.resolvConfPath);
  const resolver = new Resolver({ timeout: 2000, tries: 3 });
  let servers = '';
  const cache = new Map<string, { readonly until: number; readonly result: Promise<Resolution> }>();
  const slots = new Slots(MOST_AT_A_TIME);

  function useServers(): void {
    const wanted = options.servers ?? conf().servers;
    const key = wanted.join(' ');
    if (key === servers || wanted.length === 0) return;
    resolver.setServers(wanted);
    servers = key;
  }

  async function records(name: string, type: 4 | 6): Promise<Answer> {
    const known = hosts()
      .get(name)
      ?.filter((ip) => isIP(ip) === type);
    if (known && known.length > 0) return { ips: known, ttlMs: HOSTS_TTL_MS };
    if (hosts().has(name)) return { ips: [], ttlMs: HOSTS_TTL_MS };
    const found = await slots.run(() => (type === 4 ? resolver.resolve4(name, { ttl: true }) : resolver.resolve6(name, { ttl: true })));
    const ips = [...new Set(found.map((record) => record.address))].sort();
    return { ips, ttlMs: Math.max(1000, Math.min(...found.map((record) => record.ttl * 1000))) };
  }

  /** The name itself and, for short names, the name with each search domain. */
  function candidates(name: string): string[] {
    const { search, ndots } = conf();
    if (options.servers || name.endsWith('.')) return [name.replace(/\.$/, '')];
    const dots = name.split('.').length - 1;
    const suffixed = search.map((domain) => `${name}.${domain}`);
    return dots >= ndots ? [name, ...suffixed] : [...suffixed, name];
  }

  async function query(name: string, type: 4 | 6): Promise<Answer> {
    for (const candidate of candidates(name)) {
      try {
        const answer = await records(candidate, type);
        if (answer.ips.length > 0) return answer;
      } catch (error) {
        if (!NO_ADDRESS.has(codeOf(error) ?? '')) throw error;
      }
    }
    return { ips: [], ttlMs: NOTHING_TTL_MS };
  }

  async function lookup(name: string, family: Family): Promise<Resolution> {
    try {
      useServers();
      const answer = await byFamily(name, family);
      return { kind: 'found', ips: answer.ips, ttlMs: answer.ttlMs };
    } catch (error) {
      return { kind: 'failed', reason: codeOf(error) ?? 'no answer' };
    }
  }

  async function byFamily(name: string, family: Family): Promise<Answer> {
    if (family === 'v4') return query(name, 4);
    if (family === 'v6') return query(name, 6);
    if (family === 'all') {
      const [v4, v6] = await Promise.all([query(name, 4), query(name, 6)]);
      return { ips: [...v4.ips, ...v6.ips], ttlMs: Math.min(v4.ttlMs, v6.ttlMs) };
    }
    const [first, second]: [4 | 6, 4 | 6] = family === 'v4-preferred' ? [4, 6] : [6, 4];
    const answer = await query(name, first);
    return answer.ips.length > 0 ? answer : query(name, second);
  }

  return {
    resolve(text, family) {
      const name = text.toLowerCase();
      if (isIP(name) > 0) return Promise.resolve({ kind: 'found', ips: [name], ttlMs: Number.POSITIVE_INFINITY });
      const key = `${family} ${name}`;
      const cached = cache.get(key);
      if (cached && options.now() < cached.until) return cached.result;
      const result = lookup(name, family);
      cache.set(key, { until: Number.POSITIVE_INFINITY, result });
      void result.then((found) => {
        if (found.kind === 'failed') cache.delete(key);
        else cache.set(key, { until: options.now() + found.ttlMs, result });
        if (cache.size > MOST_CACHED) prune();
      });
      return result;
    },
    close() {
      resolver.cancel();
      cache.clear();
    },
  };

  /** Makes room for a tenth of the cache at once, so that a full one is not searched for each new name. */
  function prune(): void {
    const now = options.now();
    for (const [key, entry] of cache) if (entry.until <= now) cache.delete(key);
    // Too few have expired: the oldest go.
    for (const key of cache.keys()) {
      if (cache.size <= 0.9 * MOST_CACHED) break;
      cache.delete(key);
    }
  }
}

/** Runs at most so many tasks at a time, the others in their order. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
