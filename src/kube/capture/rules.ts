/**
 * The rules by which a pod's traffic is led to its proxy, in the form of `iptables-restore --noflush`, with the chains that Istio's have: TCP to any
 * address goes to the proxy, but what the proxy itself sends, what stays on loopback, and what is left out by port or range.
 */
import { formatRange, parseRange } from '../../lib/ip.ts';
import type { Listed } from './lists.ts';

export interface CaptureSettings {
  /** Of the proxy, for what the pod sends. */
  readonly outboundPort: number;
  /** Of the proxy, for what the pod gets. */
  readonly inboundPort: number;
  /** Whose traffic is the proxy's own. */
  readonly proxyUid: number;
  readonly includeOutboundRanges: Listed;
  readonly excludeOutboundRanges: readonly string[];
  /** Captured whatever the range. */
  readonly includeOutboundPorts: readonly string[];
  readonly excludeOutboundPorts: readonly string[];
  readonly includeInboundPorts: Listed;
  /** Where all others are captured. */
  readonly excludeInboundPorts: readonly string[];
  /** Where DNS is answered, whatever server is asked; undefined: DNS goes its way. */
  readonly dnsPort: number | undefined;
}

export type Family = 'IPv4' | 'IPv6';

/** Where a sidecar answers DNS. */
export const DNS_PORT = 15_053;

const LOOPBACK = { IPv4: '127.0.0.1/32', IPv6: '::1/128' } as const;
/** From where a sidecar calls its own application, as Istio's do. */
const INBOUND_SOURCE = { IPv4: '127.0.0.6/32', IPv6: '::6/128' } as const;
/** HBONE: it is spoken by the proxy, and not captured. */
const TUNNEL_PORT = 15_008;

const PROTOCOLS = ['tcp', 'udp'];
/** Of connection tracking: what the proxy asks of name servers, and what it is asked itself. */
const ZONES = { asking: 1, asked: 2 } as const;
const INBOUND = 'ISTIO_INBOUND';
const OUTPUT = 'ISTIO_OUTPUT';
const TO_OUTBOUND = 'ISTIO_REDIRECT';
const TO_INBOUND = 'ISTIO_IN_REDIRECT';
const CHAINS = [INBOUND, TO_OUTBOUND, TO_INBOUND, OUTPUT];
const JUMPS = [`PREROUTING -p tcp -j ${INBOUND}`, `OUTPUT -j ${OUTPUT}`];
/** In the table raw, where DNS is captured. */
const DNS_OUTPUT = 'ISTIO_OUTPUT_DNS';
const DNS_INBOUND = 'ISTIO_PREROUTING_DNS';
const DNS_CHAINS = [DNS_OUTPUT, DNS_INBOUND];
const DNS_JUMPS = [`PREROUTING -p udp -j ${DNS_INBOUND}`, `OUTPUT -p udp -j ${DNS_OUTPUT}`];

/**
 * Takes the place of what was there before in one step of each table, so that nothing passes in between.
 * @param present as `iptables-save` prints it
 */
export function captureRules(settings: CaptureSettings, family: Family, present: string): string {
  const old = present
    .split('\n')
    .filter((line) => line.startsWith('-A '))
    .map((line) => line.slice('-A '.length));
  const stale = (jumps: readonly string[]) => jumps.filter((jump) => old.includes(jump)).map((jump) => `-D ${jump}`);
  const nat = [
    // Naming a chain empties it.
    ...CHAINS.map((chain) => `:${chain} - [0:0]`),
    ...stale(JUMPS),
    `-A ${TO_OUTBOUND} -p tcp -j REDIRECT --to-ports ${settings.outboundPort}`,
    `-A ${TO_INBOUND} -p tcp -j REDIRECT --to-ports ${settings.inboundPort}`,
    ...JUMPS.map((jump) => `-A ${jump}`),
    ...inboundRules(settings).map((rule) => `-A ${INBOUND} ${rule}`),
    ...outputRules(settings, family).map((rule) => `-A ${OUTPUT} ${rule}`),
  ];
  const raw = [...DNS_CHAINS.map((chain) => `:${chain} - [0:0]`), ...stale(DNS_JUMPS), ...zoneRules(settings)];
  const tracked = settings.dnsPort !== undefined || DNS_JUMPS.some((jump) => old.includes(jump));
  return [...(tracked ? table('raw', raw) : []), ...table('nat', nat), ''].join('\n');
}

/**
 * What of these rules is not there, as chains and jumps; empty if all of them are.
 * @param present as `iptables-save` prints it, in its own spelling of rules: of chains their numbers of rules are compared
 */
export function missingRules(settings: CaptureSettings, family: Family, present: string): string[] {
  const counts = (text: string) => {
    const found = new Map<string, number>();
    for (const [, chain] of text.matchAll(/^-A (\S+) /gm)) found.set(chain!, (found.get(chain!) ?? 0) + 1);
    return found;
  };
  const [wanted, there] = [counts(captureRules(settings, family, '')), counts(present)];
  const own = [...CHAINS, ...DNS_CHAINS].filter((chain) => (there.get(chain) ?? 0) !== (wanted.get(chain) ?? 0));
  const jumps = settings.dnsPort === undefined ? JUMPS : [...JUMPS, ...DNS_JUMPS];
  return [...own, ...jumps.filter((jump) => !present.includes(`-A ${jump}\n`))];
}

function table(name: string, lines: readonly string[]): string[] {
  return [`*${name}`, ...lines, 'COMMIT'];
}

/**
 * As in Istio. Questions of the pod and of its proxy to one name server differ by their port alone, and ports are used again while connection tracking
 * still has the last one's way: in one zone a question of the pod could follow the proxy's, past it.
 */
function zoneRules({ dnsPort, proxyUid }: CaptureSettings): string[] {
  if (dnsPort === undefined) return [];
  const owner = `-m owner --uid-owner ${proxyUid}`;
  return [
    ...DNS_JUMPS.map((jump) => `-A ${jump}`),
    `-A ${DNS_OUTPUT} -p udp --dport 53 ${owner} -j CT --zone ${ZONES.asking}`,
    `-A ${DNS_OUTPUT} -p udp --sport ${dnsPort} ${owner} -j CT --zone ${ZONES.asked}`,
    `-A ${DNS_OUTPUT} -p udp --dport 53 -j CT --zone ${ZONES.asked}`,
    `-A ${DNS_INBOUND} -p udp --sport 53 -j CT --zone ${ZONES.asking}`,
  ];
}

function inboundRules({ includeInboundPorts, excludeInboundPorts }: CaptureSettings): string[] {
  if (includeInboundPorts !== '*') return includeInboundPorts.map((port) => `-p tcp --dport ${port} -j ${TO_INBOUND}`);
  const left = [String(TUNNEL_PORT), ...excludeInboundPorts];
  return [...left.map((port) => `-p tcp --dport ${port} -j RETURN`), `-p tcp -j ${TO_INBOUND}`];
}

function outputRules(settings: CaptureSettings, family: Family): string[] {
  const { proxyUid, includeOutboundRanges: ranges, dnsPort } = settings;
  const owner = `-m owner --uid-owner ${proxyUid}`;
  const others = `-m owner ! --uid-owner ${proxyUid}`;
  return [
    ...settings.excludeOutboundPorts.flatMap((port) => PROTOCOLS.map((protocol) => `-p ${protocol} --dport ${port} -j RETURN`)),
    `-s ${INBOUND_SOURCE[family]} -o lo -j RETURN`,
    // A proxy that calls a service which is its own pod: that comes in as from any other.
    `! -d ${LOOPBACK[family]} -o lo -p tcp ! --dport ${TUNNEL_PORT} ${owner} -j ${TO_INBOUND}`,
    // Programs of the pod among themselves; a resolver on loopback is asked through the proxy.
    ...(dnsPort === undefined
      ? [`-o lo ${others} -j RETURN`]
      : [`-o lo -p tcp ! --dport 53 ${others} -j RETURN`, `-o lo -p udp ! --dport 53 ${others} -j RETURN`]),
    `${owner} -j RETURN`,
    ...(dnsPort === undefined ? [] : PROTOCOLS.map((protocol) => `-p ${protocol} --dport 53 -j REDIRECT --to-ports ${dnsPort}`)),
    `-d ${LOOPBACK[family]} -j RETURN`,
    ...inFamily(settings.excludeOutboundRanges, family).map((range) => `-d ${range} -j RETURN`),
    ...settings.includeOutboundPorts.map((port) => `-p tcp --dport ${port} -j ${TO_OUTBOUND}`),
    ...(ranges === '*' ? [`-j ${TO_OUTBOUND}`] : inFamily(ranges, family).map((range) => `-d ${range} -j ${TO_OUTBOUND}`)),
  ];
}

/** Those of the ranges that are of the family. */
export function inFamily(ranges: readonly string[], family: Family): string[] {
  return ranges.flatMap((text) => {
    const range = parseRange(text);
    return range && (range.words.length === 1) === (family === 'IPv4') ? [formatRange(range)] : [];
  });
}
