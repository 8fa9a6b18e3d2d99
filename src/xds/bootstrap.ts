/**
 * Envoy's bootstrap file: what a data plane is started from when there is no control plane. Reading is strict: a field that the product does not
 * have is an error that names it, never silence.
 */
import { type DescMessage, fromJson, isMessage, type JsonValue, type MessageShape } from '@bufbuild/protobuf';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { type Bootstrap, BootstrapSchema } from './gen/envoy/config/bootstrap/v3/bootstrap_pb.js';
import type { Cluster } from './gen/envoy/config/cluster/v3/cluster_pb.js';
import type { Address } from './gen/envoy/config/core/v3/address_pb.js';
import type { Node } from './gen/envoy/config/core/v3/base_pb.js';
import type { ConfigSource } from './gen/envoy/config/core/v3/config_source_pb.js';
import type { Listener } from './gen/envoy/config/listener/v3/listener_pb.js';
import type { Secret } from './gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { typeRegistry } from './type-registry.ts';

/** What of a bootstrap the data plane runs on. */
export interface BootstrapConfig {
  readonly node: Node | undefined;
  /** Where the admin server listens; undefined where the file asks for none. */
  readonly admin: { readonly address: string; readonly port: number } | undefined;
  readonly listeners: readonly Listener[];
  readonly clusters: readonly Cluster[];
  readonly secrets: readonly Secret[];
  /** Files with more of them: a DiscoveryResponse as YAML or JSON. */
  readonly listenersFile: string | undefined;
  readonly clustersFile: string | undefined;
}

/** The JSON value of a YAML or JSON text; throws `bad-yaml` with file, line and column. */
export function parseYamlOrJson(text: string, file: string): JsonValue {
  try {
    // 100 aliases are plenty for people; more are an attempt to fill the memory.
    return (parseYaml(text, { maxAliasCount: 100, prettyErrors: true }) ?? null) as JsonValue;
  } catch (error) {
    const place = error instanceof YAMLParseError ? error.linePos?.[0] : undefined;
    const where = place ? `${file}:${place.line}:${place.col}` : file;
    throw new SallyportError('bad-yaml', `${where}: ${messageOf(error).split('\n')[0]}`, { cause: error });
  }
}

/** A message of the type from its JSON form; unknown fields and types are errors that name them. */
export function decodeJson<D extends DescMessage>(schema: D, value: JsonValue, what: string): MessageShape<D> {
  try {
    return fromJson(schema, value, { registry: typeRegistry });
  } catch (error) {
    throw new SallyportError('xds-invalid', `${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** Reads a bootstrap; throws `bootstrap-unsupported` naming each field that the product lacks, `xds-invalid` or `bad-yaml`. */
export function readBootstrap(text: string, file: string): BootstrapConfig {
  const bootstrap = decodeJson(BootstrapSchema, parseYamlOrJson(text, file), file);
  const unsupported = [
    ...beyond(bootstrap, ['node', 'admin', 'staticResources', 'dynamicResources'], ''),
    ...beyond(bootstrap.admin, ['address'], 'admin.'),
    ...beyond(bootstrap.dynamicResources, ['ldsConfig', 'cdsConfig'], 'dynamic_resources.'),
  ];
  const problems = unsupported.map((field) => `${field} is not supported: take it out`);
  const listenersFile = pathOf(bootstrap.dynamicResources?.ldsConfig, 'dynamic_resources.lds_config', problems);
  const clustersFile = pathOf(bootstrap.dynamicResources?.cdsConfig, 'dynamic_resources.cds_config', problems);
  const admin = socketAddress(bootstrap.admin?.address, 'admin.address', problems);
  if (problems.length > 0) throw new SallyportError('bootstrap-unsupported', problems.map((problem) => `${file}: ${problem}`).join('\n'));
  const resources = bootstrap.staticResources;
  return {
    node: bootstrap.node,
    admin,
    listeners: resources?.listeners ?? [],
    clusters: resources?.clusters ?? [],
    secrets: resources?.secrets ?? [],
    listenersFile,
    clustersFile,
  };
}

/** The path of a file subscription; anything else (gRPC, REST, ADS) is a problem. */
export function pathOf(source: ConfigSource | undefined, field: string, problems: string[]): string | undefined {
  const specifier = source?.configSourceSpecifier;
  if (!specifier) return undefined;
  if (specifier.case === 'pathConfigSource') return specifier.value.path;
  if (specifier.case === 'path') return specifier.value;
  problems.push(`${field}: only path_config_source (a file) is supported`);
  return undefined;
}

function socketAddress(address: Address | undefined, field: string, problems: string[]): BootstrapConfig['admin'] {
  if (!address) return undefined;
  if (address.address.case === 'socketAddress') {
    const { address: ip, portSpecifier } = address.address.value;
    if (portSpecifier.case === 'portValue') return { address: ip, port: portSpecifier.value };
  }
  problems.push(`${field}: only a socket_address with port_value is supported`);
  return undefined;
}

/** The fields that are set and not among those supported, by their names in Envoy's API. */
function beyond(message: Bootstrap | MessageShape<DescMessage> | undefined, supported: readonly string[], prefix: string): string[] {
  if (!message || !isMessage(message)) return [];
  const descriptor = typeRegistry.getMessage(message.$typeName);
  const value = message as unknown as Record<string, unknown>;
  const found: string[] = [];
  for (const field of descriptor?.fields ?? []) {
    if (supported.includes(field.localName)) continue;
    const inOneof = field.oneof ? (value[field.oneof.localName] as { case?: string }).case === field.localName : undefined;
    if (inOneof ?? isSet(value[field.localName])) found.push(`${prefix}${field.name}`);
  }
  return found;
}

function isSet(value: unknown): boolean {
  if (value === undefined || value === '' || value === 0 || value === 0n || value === false) return false;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null && !isMessage(value)) return Object.keys(value).length > 0;
  return true;
}
