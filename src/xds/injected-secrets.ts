/** Credentials whose values come over SDS, as generic secrets: how the filter that puts them in names them. */
import { create, fromJson, toJson } from '@bufbuild/protobuf';
import { type Any, anyIs, anyPack, anyUnpack, StructSchema } from '@bufbuild/protobuf/wkt';
import type { FilterChain } from './gen/envoy/config/listener/v3/listener_components_pb.js';
import {
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
} from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js';
import type { Secret } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { CREDENTIALS_FILTER } from './names.ts';

/** SDS name of a credential's value. No name that a resource of Istio's API states comes to the same: those have `://`. @param name of its rule */
export function credentialValueSecret(name: string): string {
  return `credential:${name}`;
}

/** Whether it stands for a value that can not be had. Of a secret that has not come, or that a dump leaves out, nobody knows. */
export function isEmptyValue(secret: Secret | undefined): boolean {
  const source = secret?.type.case === 'genericSecret' ? secret.type.value.secret?.specifier : undefined;
  return source?.case === 'inlineBytes' && source.value.length === 0;
}

/** @param secrets by their names in SDS */
export function credentialsFilter(secrets: readonly string[]): HttpFilter {
  const config = anyPack(StructSchema, fromJson(StructSchema, { secrets: [...secrets] }));
  return create(HttpFilterSchema, { name: CREDENTIALS_FILTER, configType: { case: 'typedConfig', value: config } });
}

/** The secrets that the filters of a listener's chain ask for. */
export function injectedSecrets({ filters }: Pick<FilterChain, 'filters'>): readonly string[] {
  return filters.flatMap(({ configType }) => (configType.case === 'typedConfig' ? namedBy(configType.value) : []));
}

function namedBy(manager: Any): readonly string[] {
  // Managers are large, and few have the filter.
  if (
    !anyIs(manager, HttpConnectionManagerSchema) ||
    !Buffer.from(manager.value.buffer, manager.value.byteOffset, manager.value.length).includes(CREDENTIALS_FILTER)
  )
    return [];
  const { httpFilters } = anyUnpack(manager, HttpConnectionManagerSchema)!;
  return httpFilters.flatMap(({ name, configType }) => {
    if (name !== CREDENTIALS_FILTER || configType.case !== 'typedConfig') return [];
    const config = anyUnpack(configType.value, StructSchema);
    const { secrets } = config ? (toJson(StructSchema, config) as { secrets?: unknown }) : {};
    return Array.isArray(secrets) ? secrets.filter((each) => typeof each === 'string') : [];
  });
}
