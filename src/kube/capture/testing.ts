import type { CaptureSettings } from './rules.ts';

/** All of a pod's traffic is captured, without its DNS. */
export const ALL_CAPTURED: CaptureSettings = {
  outboundPort: 15001,
  inboundPort: 15006,
  proxyUid: 1337,
  includeOutboundRanges: '*',
  excludeOutboundRanges: [],
  includeOutboundPorts: [],
  excludeOutboundPorts: [],
  includeInboundPorts: '*',
  excludeInboundPorts: ['15090'],
  dnsPort: undefined,
};
