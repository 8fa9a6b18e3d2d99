/**
 * Envoy's bootstrap file, from which a data plane starts when there is no control plane. Reading is strict: a field that the product does not support is
 * an error that names it. Resources stay JSON here, so that none of their types need be loaded yet.
 */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { SallyportError } from '../lib/errors.ts';
import { parseYamlOrJson } from './yaml.ts';

/** What of a bootstrap the data plane runs on. */
export interface BootstrapConfig {
  readonly file: string;
  /** The JSON form of the xDS node. */
  readonly node: JsonObject;
  /** Where the admin server listens; undefined where the file asks for none. */
  readonly admin: { readonly address: string; readonly port: number } | undefined;
  /** The JSON forms of static resources. */
  readonly listeners: readonly JsonValue[];
  readonly clusters: readonly JsonValue[];
  readonly secrets: readonly JsonValue[];
  /** Files with more of them: a DiscoveryResponse as YAML or JSON. */
  readonly listenersFile: string | undefined;
  readonly clustersFile: string | undefined;
}

/** Reads a bootstrap; throws `bootstrap-unsupported` naming each field that the product lacks, `xds-invalid` or `bad-yaml`. */
export function readBootstrap(text: string, file: string): BootstrapConfig {
  const problems: string[] = [];
  const bootstrap = objectOf(parseYamlOrJson(text, file), '', problems);
  const [node, adminJson, resources, dynamic] = take(bootstrap, '', ['node', 'admin', 'static_resources', 'dynamic_resources'], problems);
  const [address] = take(objectOf(adminJson, 'admin', problems), 'admin.', ['address'], problems);
  const lists = take(
    objectOf(resources, 'static_resources', problems),
    'static_resources.',
    ['listeners', 'clusters', 'secrets'],
    problems,
  );
  const [listeners = [], clusters = [], secrets = []] = lists.map((list) => listOf(list, 'static_resources', problems));
  const sources = take(objectOf(dynamic, 'dynamic_resources', problems), 'dynamic_resources.', ['lds_config', 'cds_config'], problems);
  const [listenersFile, clustersFile] = sources.map((source, index) =>
    pathOf(source, `dynamic_resources.${index === 0 ? 'lds_config' : 'cds_config'}`, problems),
  );
  const admin = address === undefined ? undefined : socketAddress(address, problems);
  if (problems.length > 0) throw new SallyportError('bootstrap-unsupported', problems.map((problem) => `${file}: ${problem}`).join('\n'));
  return { file, node: objectOf(node, 'node', problems), admin, listeners, clusters, secrets, listenersFile, clustersFile };
}

/** The path of a file subscription; anything else (gRPC, REST, ADS) is a problem. */
function pathOf(source: JsonValue | undefined, field: string, problems: string[]): string | undefined {
  if (source === undefined) return undefined;
  const { path_config_source: snake, pathConfigSource = snake, path } = objectOf(source, field, problems);
  const found = path ?? objectOf(pathConfigSource, field, problems).path;
  if (typeof found === 'string') return found;
  problems.push(`${field}: only path_config_source (a file) is supported`);
  return undefined;
}

function socketAddress(address: JsonValue, problems: string[]): BootstrapConfig['admin'] {
  const { socket_address: snake, socketAddress: socket = snake } = objectOf(address, 'admin.address', problems);
  const { address: ip, port_value: snakePort, portValue: port = snakePort } = objectOf(socket, 'admin.address', problems);
  if (typeof ip === 'string' && typeof port === 'number') return { address: ip, port };
  problems.push('admin.address: only a socket_address with port_value is supported');
  return undefined;
}

/** The values of these fields, in both spellings that JSON has; any other field that is set is a problem. */
function take(object: JsonObject, prefix: string, fields: readonly string[], problems: string[]): (JsonValue | undefined)[] {
  const known = new Map(fields.flatMap((field) => [[field, field] as const, [camelCase(field), field] as const]));
  const found = new Map<string, JsonValue>();
  for (const [key, value] of Object.entries(object)) {
    const field = known.get(key);
    if (field !== undefined) found.set(field, value);
    else if (!isEmpty(value)) problems.push(`${prefix}${key} is not supported: take it out, or correct its name`);
  }
  return fields.map((field) => found.get(field) ?? undefined);
}

function camelCase(field: string): string {
  return field.replaceAll(/_(.)/g, (_match, letter: string) => letter.toUpperCase());
}

function isEmpty(value: JsonValue): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
}

function objectOf(value: JsonValue | undefined, field: string, problems: string[]): JsonObject {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value;
  problems.push(field === '' ? 'this is no bootstrap: it has to be a mapping' : `${field} has to be a mapping`);
  return {};
}

function listOf(value: JsonValue | undefined, field: string, problems: string[]): readonly JsonValue[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  problems.push(`the resources of ${field} have to be lists`);
  return [];
}
