/**
 * Hosts that DNS gives. STRICT_DNS: every address of every name; LOGICAL_DNS: the first address of its name. Names are looked up when the first request
 * comes, which waits for the answer, and again for as long as somebody uses them: docs/decisions/dns.md says why.
 */
import { parseIp } from '../../lib/ip.ts';
import { addressRefusal, type Reach } from '../../xds/match/reach.ts';
import type { UpstreamFailure, UpstreamHost } from '../types.ts';
import type { Balancer } from './balancer.ts';
import { type Discovery, type Environment, NO_HOST } from './discovery.ts';
import { type EndpointEntry, isName } from './endpoints.ts';
import { type HostEntry, HostTable } from './host.ts';
import type { ClusterSettings } from './settings.ts';

type WatchState =
  /** Nobody asks; addresses that are known from before are not to be trusted without a new look. */
  | { readonly kind: 'idle' }
  /** The first answer, or the first after an idle time, is under way. */
  | { readonly kind: 'asking' }
  /** Requests go to the known addresses until the timer brings the next look, and while that is under way. */
  | { readonly kind: 'answered'; timer: NodeJS.Timeout };

interface Watch {
  readonly name: string;
  state: WatchState;
  ips: readonly string[];
  /** `uses` of the cluster when the name was last looked up. */
  seenUses: number;
}

/** Timers hold at most this, in ms. */
const LONGEST_TIMER_MS = 0x7fffffff;

/** A lookup that fails keeps the addresses that are known. */
export function resolvedHosts(
  entries: readonly EndpointEntry[],
  settings: ClusterSettings,
  balancer: Balancer,
  env: Environment,
  reach: Reach | undefined,
): Discovery {
  const table = new HostTable();
  const watches = new Map<string, Watch>();
  let waiting: (() => void)[] = [];
  /** How often a host was asked for. */
  let uses = 0;
  let closed = false;

  function rebuild(): void {
    const next = entries.flatMap((entry): HostEntry[] => {
      if (!isName(entry.address)) return [entry];
      const ips = (watches.get(entry.address.ip)?.ips ?? []).filter((ip) => refusalOf(ip) === undefined);
      const used = settings.discovery === 'logical-dns' ? ips.slice(0, 1) : ips;
      return used.map((ip) => ({ ...entry, address: { ip, port: entry.address.port }, hostname: entry.hostname || entry.address.ip }));
    });
    table.update(next);
    balancer.update(table);
  }

  /** Why the address is not to be connected to, though the name leads there. */
  function refusalOf(ip: string): string | undefined {
    return reach && addressRefusal(reach, parseIp(ip)!);
  }

  /** Of a cluster whose names lead nowhere but to addresses that are refused, that is the reason. */
  function chosen(hash: bigint | undefined): UpstreamHost | UpstreamFailure {
    const host = balancer.choose(hash);
    if (host) return host;
    for (const ip of [...watches.values()].flatMap(({ ips }) => ips)) {
      const reason = refusalOf(ip);
      if (reason !== undefined) return { kind: 'dns', reason };
    }
    return NO_HOST;
  }

  function ready(): boolean {
    for (const { state } of watches.values()) if (state.kind !== 'answered') return false;
    return true;
  }

  function release(): void {
    const callbacks = waiting;
    waiting = [];
    for (const callback of callbacks) callback();
  }

  async function look(watch: Watch): Promise<void> {
    watch.seenUses = uses;
    const result = await env.resolver.resolve(watch.name, settings.lookupFamily);
    if (closed) return;
    let next = settings.refreshMs;
    if (result.kind === 'found') {
      if (settings.respectTtl) next = result.ttlMs;
      if (result.ips.length === 0) next = settings.failureRefreshMs;
      if (result.ips.join() !== watch.ips.join()) {
        watch.ips = result.ips;
        rebuild();
      }
    } else {
      next = settings.failureRefreshMs;
    }
    const first = watch.state.kind !== 'answered';
    // The resolver's cache ends with the TTL, so look just after.
    const timer = setTimeout(() => refresh(watch), Math.min(next + 10, LONGEST_TIMER_MS)).unref();
    watch.state = { kind: 'answered', timer };
    if (first && ready()) release();
  }

  function refresh(watch: Watch): void {
    if (uses !== watch.seenUses || busy()) void look(watch);
    else watch.state = { kind: 'idle' };
  }

  /** Connections stay open without new requests: their pools must learn when the address leaves the name. */
  function busy(): boolean {
    for (const { active, connections } of table.hosts) if (active > 0 || connections > 0) return true;
    return waiting.length > 0;
  }

  for (const { address } of entries) {
    if (isName(address)) watches.set(address.ip, { name: address.ip, state: { kind: 'idle' }, ips: [], seenUses: 0 });
  }
  rebuild();

  return {
    choose({ hash }, later) {
      uses++;
      if (ready()) return chosen(hash);
      waiting.push(() => later(chosen(hash)));
      for (const watch of watches.values()) {
        if (watch.state.kind !== 'idle') continue;
        watch.state = { kind: 'asking' };
        void look(watch);
      }
      return undefined;
    },
    get hosts() {
      return table.hosts;
    },
    update: () => undefined,
    regroup() {
      table.regroup();
      balancer.update(table);
    },
    close() {
      closed = true;
      for (const { state } of watches.values()) if (state.kind === 'answered') clearTimeout(state.timer);
      release();
      table.clear();
    },
  };
}
