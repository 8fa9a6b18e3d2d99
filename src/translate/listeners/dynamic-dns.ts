import { create } from '@bufbuild/protobuf';
import type { Service } from '../../registry/model.ts';
import { type Filter, FilterSchema } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.js';
import { FilterConfigSchema } from '../../xds/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js';
import type { TranslateContext } from '../context.ts';
import { dnsCacheConfig } from '../dns-cache.ts';
import { typedConfig } from '../proto.ts';

/** What resolves the name in the SNI before the connection goes to a service with resolution DYNAMIC_DNS; nothing for the others. */
export function dynamicDnsFilters(context: TranslateContext, service: Service, port: number): Filter[] {
  if (service.resolution !== 'DynamicDNS') return [];
  const config = create(FilterConfigSchema, {
    dnsCacheConfig: dnsCacheConfig(service.hostname, context.mesh.config),
    portSpecifier: { case: 'portValue', value: port },
  });
  return [
    create(FilterSchema, { name: 'envoy.filters.network.sni_dynamic_forward_proxy', configType: typedConfig(FilterConfigSchema, config) }),
  ];
}
