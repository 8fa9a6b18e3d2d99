/** Which calls of a pod its sidecar does not get, by the annotations that say what is captured: in the order of the rules that capture (`kube/capture/rules.ts`). */
import type { ResourceOf } from '../api/index.ts';
import { cidrContains, type IpWords, parseIp, parseRange } from '../lib/ip.ts';

const TRAFFIC = 'traffic.sidecar.istio.io/';

/** Why a call to this address and port goes past the pod's sidecar; undefined where it is captured. */
export function notCaptured({ metadata, spec }: ResourceOf<'Pod'>, ip: string, port: number): string | undefined {
  const said = metadata.annotations;
  const by = (name: string) => `${name}: ${said[name]}`;
  const listed = (name: string) => (said[`${TRAFFIC}${name}`] ?? '').split(',').map((part) => part.trim());
  const hasPort = (name: string) => listed(name).includes(String(port));
  const address = parseIp(ip);
  const hasAddress = (name: string) => address !== undefined && listed(name).some((range) => isIn(range, address));
  const mode = 'sidecar.istio.io/interceptionMode';
  if (spec.hostNetwork) return 'hostNetwork';
  if (said[mode] === 'NONE') return by(mode);
  if (hasPort('excludeOutboundPorts')) return by(`${TRAFFIC}excludeOutboundPorts`);
  if (hasAddress('excludeOutboundIPRanges')) return by(`${TRAFFIC}excludeOutboundIPRanges`);
  const all = (said[`${TRAFFIC}includeOutboundIPRanges`] ?? '*').trim() === '*';
  return all || hasPort('includeOutboundPorts') || hasAddress('includeOutboundIPRanges')
    ? undefined
    : by(`${TRAFFIC}includeOutboundIPRanges`);
}

function isIn(text: string, address: IpWords): boolean {
  const range = parseRange(text);
  return range !== undefined && cidrContains(range, address);
}
