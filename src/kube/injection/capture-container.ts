/** The init container that leads the pod's traffic to the proxy. */
import type { Container } from './pod.ts';
import type { InjectionOptions, PodSettings } from './settings.ts';

export const CAPTURE_CONTAINER = 'istio-init';

/** @param proxyUser whose traffic is the proxy's own */
export function captureContainer(settings: PodSettings, options: InjectionOptions, proxyUser: number): Container {
  const { capture, captureDns, image, resources } = settings;
  const { proxyListenPort, proxyInboundListenPort } = options.mesh;
  const lists = [
    ['--include-outbound-ranges', capture.includeOutboundRanges],
    ['--exclude-outbound-ranges', capture.excludeOutboundRanges],
    ['--include-outbound-ports', capture.includeOutboundPorts],
    ['--exclude-outbound-ports', capture.excludeOutboundPorts],
    ['--include-inbound-ports', capture.includeInboundPorts],
    ['--exclude-inbound-ports', capture.excludeInboundPorts],
  ] as const;
  const ports = ['--outbound-port', String(proxyListenPort), '--inbound-port', String(proxyInboundListenPort)];
  return {
    name: CAPTURE_CONTAINER,
    image,
    ...(options.imagePullPolicy ? { imagePullPolicy: options.imagePullPolicy } : {}),
    args: ['capture', ...ports, '--proxy-uid', String(proxyUser), ...lists.flat(), ...(captureDns ? ['--dns'] : [])],
    resources,
    securityContext: {
      allowPrivilegeEscalation: false,
      // To write rules, and no more.
      capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
      privileged: false,
      // Where iptables has its lock.
      readOnlyRootFilesystem: false,
      runAsGroup: 0,
      runAsNonRoot: false,
      runAsUser: 0,
    },
  };
}
