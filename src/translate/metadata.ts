/** Metadata of xDS objects: where they come from, in our form and in Istio's. */
import { create, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import type { Resource } from '../api/resource.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import { table } from '../lib/table.ts';
import { type Metadata, MetadataSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { SALLYPORT_METADATA } from '../xds/names.ts';
import type { BindingJson } from './binding.ts';
import type { LoggedConfig } from './logging.ts';

/** The API group and kind as paths of Kubernetes' API have them: what Istio's `config` metadata starts with. */
const PLURALS: Readonly<Record<string, string>> = table({
  DestinationRule: 'destination-rule',
  VirtualService: 'virtual-service',
  ServiceEntry: 'service-entry',
  Gateway: 'gateway',
  Sidecar: 'sidecar',
});

interface MetadataParts {
  /** The resources that this object follows from; the deciding one first. */
  readonly origins?: readonly Resource[];
  /** Why this object refuses traffic. */
  readonly refusal?: string;
  /** Where the cluster of a service with resolution DYNAMIC_DNS may connect to: ports, and ranges of addresses that are not public. */
  readonly reach?: { readonly ports: number[]; readonly ranges: string[] } | undefined;
  /** What calls have to agree with. */
  readonly bind?: BindingJson | undefined;
  /** What is put into requests, of a virtual host. */
  readonly credentials?: JsonValue | undefined;
  /** Of a cluster: EgressPolicies alone say where it leads, and that TLS does. */
  readonly policy?: boolean;
  /** `host;name;namespace` of the service whose cluster this is, for what counts by it. */
  readonly service?: string | undefined;
  /** Fields of Istio's own metadata. */
  readonly istio?: JsonObject;
  /** Of an endpoint: it takes the mesh's mutual TLS. */
  readonly takesMeshTls?: boolean;
}

/** Undefined where there is nothing to say. */
export function metadataOf({
  origins = [],
  refusal,
  reach,
  bind,
  credentials,
  policy = false,
  service,
  istio,
  takesMeshTls,
}: MetadataParts): Metadata | undefined {
  const filterMetadata: Record<string, JsonObject> = {};
  if (origins.length > 0 || refusal || service || bind)
    filterMetadata[SALLYPORT_METADATA] = {
      origins: origins.map(originJson),
      ...(refusal ? { refusal } : {}),
      ...(reach ? { reach } : {}),
      ...(bind ? { bind } : {}),
      ...(credentials === undefined ? {} : { credentials }),
      ...(policy ? { policy } : {}),
      ...(service ? { service } : {}),
    };
  if (istio && Object.keys(istio).length > 0) filterMetadata.istio = istio;
  if (takesMeshTls) filterMetadata['envoy.transport_socket_match'] = { tlsMode: 'istio' };
  return Object.keys(filterMetadata).length > 0 ? create(MetadataSchema, { filterMetadata }) : undefined;
}

/** `service` of `metadataOf`, where access loggers count. */
export function countedService({ counting }: LoggedConfig, host: string, name: string, namespace: string): string | undefined {
  return counting?.by === 'envoy' ? `${host};${name};${namespace}` : undefined;
}

/** `/apis/networking.istio.io/v1alpha3/namespaces/NS/destination-rule/NAME`, as Istio's `config` field names an object. */
export function istioConfigPath({ apiVersion, kind, metadata }: Resource): string {
  const group = apiVersion.split('/')[0];
  return `/apis/${group}/v1alpha3/namespaces/${metadata.namespace}/${PLURALS[kind] ?? kind.toLowerCase()}/${metadata.name}`;
}

/**
 * Without the line: it changes whenever something above it in the file does, and each change of metadata replaces clusters and drains listeners.
 * Whoever has the resources at hand finds the line by kind, namespace and name. Of an object that nobody wrote, what it was derived from is named.
 */
function originJson(resource: Resource): JsonObject {
  const written = resource.derivedFrom ?? resource;
  return origins.get([written], NO_INPUTS, () => {
    const { kind, metadata, source } = written;
    return { kind, namespace: metadata.namespace, name: metadata.name, ...(source.file && { file: source.file }) };
  });
}

const origins = new Memo<JsonObject>();
