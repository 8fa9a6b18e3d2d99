/** The calls of one proxy, as its admin server shows them. */
import type { AdminSource } from '../admin/index.ts';
import { type FlowHub, proxyName } from '../flows/hub.ts';
import { streamFlows } from '../flows/stream.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';

/** Undefined where calls are not shown. */
export function proxyFlows({ type, namespace, name }: ProxyIdentity, hub: FlowHub | undefined): AdminSource['flows'] {
  if (!hub) return undefined;
  const own = proxyName({ namespace, name });
  return (request, response) => streamFlows(hub, request, response, ({ proxy, role }) => proxy === own && role === type);
}
