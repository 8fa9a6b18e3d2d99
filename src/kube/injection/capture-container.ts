/** The init container that leads the pod's traffic to the proxy, or sees that the node's CNI plugin has done so. */
import { type Listed, portList, type ReadList, rangeList } from '../capture/lists.ts';
import { capturesOutbound } from '../capture/probes.ts';
import { type CaptureSettings, DNS_PORT } from '../capture/rules.ts';
import type { Container, Fields } from './pod.ts';
import { type InjectionOptions, type PodSettings, RESTRICTED } from './settings.ts';

/** By the names that Istio's have. */
export const CAPTURE_CONTAINERS: readonly string[] = ['istio-init', 'istio-validation'];
const [CAPTURING, CHECKING] = ['istio-init', 'istio-validation'];

/** @param proxyUser whose traffic is the proxy's own */
export function captureSettings(
  { capture, captureDns }: Pick<PodSettings, 'capture' | 'captureDns'>,
  mesh: InjectionOptions['mesh'],
  proxyUser: number,
): CaptureSettings {
  return {
    outboundPort: mesh.proxyListenPort,
    inboundPort: mesh.proxyInboundListenPort,
    proxyUid: proxyUser,
    includeOutboundRanges: listed(rangeList(capture.includeOutboundRanges, 'or all')),
    excludeOutboundRanges: listed(rangeList(capture.excludeOutboundRanges, 'listed')),
    includeOutboundPorts: listed(portList(capture.includeOutboundPorts, 'listed')),
    excludeOutboundPorts: listed(portList(capture.excludeOutboundPorts, 'listed')),
    includeInboundPorts: listed(portList(capture.includeInboundPorts, 'or all')),
    excludeInboundPorts: listed(portList(capture.excludeInboundPorts, 'listed')),
    dnsPort: captureDns ? DNS_PORT : undefined,
  };
}

/** Of a pod's settings, which were read before. */
function listed<T extends Listed>(list: ReadList): T {
  return ('entries' in list ? list.entries : []) as T;
}

export function captureContainer(capture: CaptureSettings, settings: PodSettings, options: InjectionOptions): Container {
  const { image, resources } = settings;
  const pulled = options.imagePullPolicy ? { imagePullPolicy: options.imagePullPolicy } : {};
  const args = captureArguments(capture);
  if (!options.cni) return { name: CAPTURING, image, ...pulled, args: ['capture', ...args], resources, securityContext: WRITES };
  return {
    name: CHECKING,
    image,
    ...pulled,
    args: ['capture', '--check', ...args],
    resources,
    // What it says at its end is in the pod's status.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: checksAs(capture),
  };
}

const WRITES: Fields = {
  allowPrivilegeEscalation: false,
  // To write rules, and no more.
  capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
  privileged: false,
  // Where iptables has its lock.
  readOnlyRootFilesystem: false,
  runAsGroup: 0,
  runAsNonRoot: false,
  runAsUser: 0,
};

/** As somebody whose calls are captured; where none are, as the proxy, which sees the rules for what comes in. */
function checksAs(capture: CaptureSettings): Fields {
  const { proxyUid } = capture;
  const user = capturesOutbound(capture) ? proxyUid + 1 : proxyUid;
  return { ...RESTRICTED, runAsGroup: user, runAsUser: user };
}

function captureArguments(capture: CaptureSettings): string[] {
  const text = (list: Listed) => (list === '*' ? '*' : list.join(','));
  return [
    ...['--outbound-port', String(capture.outboundPort), '--inbound-port', String(capture.inboundPort)],
    ...['--proxy-uid', String(capture.proxyUid)],
    ...['--include-outbound-ranges', text(capture.includeOutboundRanges)],
    ...['--exclude-outbound-ranges', text(capture.excludeOutboundRanges)],
    ...['--include-outbound-ports', text(capture.includeOutboundPorts)],
    ...['--exclude-outbound-ports', text(capture.excludeOutboundPorts)],
    ...['--include-inbound-ports', text(capture.includeInboundPorts)],
    ...['--exclude-inbound-ports', text(capture.excludeInboundPorts)],
    ...(capture.dnsPort === undefined ? [] : ['--dns']),
  ];
}
