/** Calls by which a program of the pod, without any right, sees whether capture is in place: where they are to arrive says the pod's settings. */
import { canonicalRange, sampleOutside } from '../../lib/ip.ts';
import { type CaptureSettings, type Family, inFamily } from './rules.ts';

export interface Probe {
  readonly what: 'TCP' | 'DNS' | 'inbound TCP';
  readonly ip: string;
  readonly port: number;
  /** On loopback of the family, where it arrives if it is captured. */
  readonly arrives: { readonly ip: string; readonly port: number };
}

const LOOPBACK = { IPv4: '127.0.0.1', IPv6: '::1' } as const;
const FAMILIES = ['IPv4', 'IPv6'] as const;
/** For documentation (RFC 5737, RFC 3849): nobody is there, should it get out. */
const NOBODY = { IPv4: ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'], IPv6: ['2001:db8::/32'] } as const;
/** Where a call leads into the pod itself. */
const HERE = { IPv4: ['0.0.0.0/8', '127.0.0.0/8'], IPv6: ['::/128', '::1/128'] } as const;
const ALL = { IPv4: '0.0.0.0/0', IPv6: '::/0' } as const;
/** `discard`, and others where it is left out. */
const FIRST_PORT = 9;
/** Of the pod, and not the one that is never captured. */
const OWN = '127.0.0.2';
const DNS = 53;
/** Spoken by the proxy alone. */
const TUNNEL_PORT = 15_008;

/** Whether something that the pod sends is captured at all. */
export function capturesOutbound(settings: CaptureSettings): boolean {
  return FAMILIES.some((family) => outbound(settings, family) !== undefined);
}

/**
 * What is to be tried as this user: what the pod sends, as anybody but the proxy; what comes in, as the proxy, which is led to its own inbound port where it calls
 * the pod. All rules are written in one step, so that either stands for all.
 */
export function probesFor(settings: CaptureSettings, uid: number): Probe[] {
  if (uid === settings.proxyUid) return [inbound(settings)];
  const found = FAMILIES.flatMap((family) => {
    const to = outbound(settings, family);
    return to ? [{ what: 'TCP', ...to, arrives: { ip: LOOPBACK[family], port: settings.outboundPort } } as const] : [];
  });
  const { dnsPort, excludeOutboundPorts } = settings;
  if (dnsPort === undefined || excludeOutboundPorts.includes(String(DNS))) return found;
  return [...found, { what: 'DNS', ip: '192.0.2.1', port: DNS, arrives: { ip: LOOPBACK.IPv4, port: dnsPort } }];
}

function inbound({ inboundPort, excludeOutboundPorts }: CaptureSettings): Probe {
  return { what: 'inbound TCP', ip: OWN, port: portOutside(excludeOutboundPorts), arrives: { ip: LOOPBACK.IPv4, port: inboundPort } };
}

function outbound(settings: CaptureSettings, family: Family): { readonly ip: string; readonly port: number } | undefined {
  const { includeOutboundRanges: ranges, excludeOutboundRanges, includeOutboundPorts, excludeOutboundPorts } = settings;
  const anywhere = [...NOBODY[family], ALL[family]];
  const excluded = [...excludeOutboundRanges, ...HERE[family]];
  const own = ranges === '*' ? anywhere : inFamily(ranges, family);
  const ip = addressIn(own, excluded);
  if (ip !== undefined) return { ip, port: portOutside(excludeOutboundPorts) };
  const port = includeOutboundPorts.find((each) => !excludeOutboundPorts.includes(each));
  const elsewhere = port === undefined ? undefined : addressIn(anywhere, excluded);
  return elsewhere === undefined ? undefined : { ip: elsewhere, port: Number(port) };
}

function addressIn(ranges: readonly string[], excluded: readonly string[]): string | undefined {
  for (const range of ranges) {
    // The first of a range may be no host's.
    const first = canonicalRange(range).replace(/\/.*/, '');
    const ip = sampleOutside(range, [...excluded, first]) ?? sampleOutside(range, excluded);
    if (ip !== undefined) return ip;
  }
  return undefined;
}

function portOutside(excluded: readonly string[]): number {
  let port = FIRST_PORT;
  while (excluded.includes(String(port)) || port === DNS || port === TUNNEL_PORT) port++;
  return port;
}
