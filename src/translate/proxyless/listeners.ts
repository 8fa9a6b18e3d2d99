/** API listeners: what a gRPC client asks for by the name that it dials. */
import { create } from '@bufbuild/protobuf';
import { Memo, NO_INPUTS } from '../../lib/memo.ts';
import { type Listener, ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.js';
import { HTTPFaultSchema } from '../../xds/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js';
import { RouterSchema } from '../../xds/gen/envoy/extensions/filters/http/router/v3/router_pb.js';
import { HttpConnectionManagerSchema } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import { packed, typedConfig } from '../proto.ts';
import { adsSource } from '../secrets.ts';
import type { Target } from './targets.ts';

export const FAULT_FILTER = 'envoy.filters.http.fault';

/** One for each name of each target, sorted. */
export function apiListeners(targets: readonly Target[], namespace: string): readonly Listener[] {
  const listeners = new Map<string, Listener>();
  for (const target of targets)
    for (const name of namesOf(target.host, namespace)) {
      const called = `${name}:${target.port}`;
      if (!listeners.has(called)) listeners.set(called, apiListener(called, target));
    }
  return [...listeners.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** A Service of the client's own namespace has short names, as for DNS in a pod. */
function namesOf(host: string, namespace: string): readonly string[] {
  const suffix = `.${namespace}.svc.cluster.local`;
  const service = host.slice(0, -suffix.length);
  const isOwn = host.endsWith(suffix) && !service.includes('.');
  return isOwn ? [host, `${service}.${namespace}.svc`, `${service}.${namespace}`, service] : [host];
}

const kept = new Memo<Listener>();

function apiListener(name: string, { name: routeConfigName, cluster }: Target): Listener {
  return kept.get([cluster, name], NO_INPUTS, () => makeListener(name, routeConfigName));
}

function makeListener(name: string, routeConfigName: string): Listener {
  const manager = {
    httpFilters: [
      { name: FAULT_FILTER, configType: typedConfig(HTTPFaultSchema, {}) },
      { name: 'envoy.filters.http.router', configType: typedConfig(RouterSchema, {}) },
    ],
    routeSpecifier: { case: 'rds', value: { configSource: adsSource(), routeConfigName } } as const,
  };
  return create(ListenerSchema, { name, apiListener: { apiListener: packed(HttpConnectionManagerSchema, manager) } });
}
