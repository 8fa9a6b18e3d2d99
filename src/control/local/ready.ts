/** What a mesh says when it is ready. */
import type { Report } from '../report.ts';
import type { LocalMeshOptions } from './options.ts';

type Shown = Pick<LocalMeshOptions, 'engine' | 'proxyAddress' | 'dnsAddress' | 'capturePort' | 'learn'>;

export function readyLines({ engine, proxyAddress, dnsAddress, capturePort, learn }: Shown, { proxies }: Report): string[] {
  const lines = proxies.flatMap(({ identity: { type, namespace, name, bindAddress } }) =>
    type === 'router' ? [`router ${namespace}/${name} at ${bindAddress}`] : [],
  );
  if (learn !== undefined) lines.push('learning: every call is allowed and recorded');
  if (engine === 'envoy')
    return [
      ...lines,
      `ready; Envoy has no explicit proxy and no DNS of ours: redirect traffic to port ${capturePort}, or call the routers`,
    ];
  if (dnsAddress.port > 0) lines.push(`DNS at ${dnsAddress.address}:${dnsAddress.port}`);
  lines.push(proxyAddress.port > 0 ? `ready: use the proxy http://${proxyAddress.address}:${proxyAddress.port}` : 'ready');
  return lines;
}
