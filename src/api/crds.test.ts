import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { KINDS, type Kind, type KindInfo } from './index.ts';
import type { Field, Node } from './schema.ts';
import { splitDocuments } from './yaml/documents.ts';
import { parseYaml } from './yaml/parse.ts';

/** The part of OpenAPI that the CRDs use. */
interface OpenApi {
  readonly type?: string;
  readonly format?: string;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, OpenApi>>;
  readonly required?: readonly string[];
  readonly items?: OpenApi;
  readonly additionalProperties?: OpenApi;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly maxProperties?: number;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly { readonly rule: string }[];
}

interface Crd {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly schema: { readonly openAPIV3Schema: OpenApi };
    }[];
  };
}

/** Kinds that are out of scope. */
const NOT_READ = ['TrafficExtension', 'WasmPlugin'];
const NOT_READ_OF_GATEWAY_API = ['UDPRoute'];

const FILE = new URL('../../../shared/data/istio-crds.yaml', import.meta.url);
const skip = existsSync(FILE) ? false : `there is no ${FILE.pathname}`;
const GATEWAY_API_FILE = new URL('../../../shared/data/gateway-api-crds-standard.yaml', import.meta.url);
const skipGatewayApi = existsSync(GATEWAY_API_FILE) ? false : `there is no ${GATEWAY_API_FILE.pathname}`;

function crds(file = FILE): Crd[] {
  return splitDocuments(readFileSync(file, 'utf8')).flatMap(({ text }) => {
    const parsed = parseYaml(text);
    assert.ok('value' in parsed);
    const value = parsed.value as Crd & { readonly kind: string };
    return value?.kind === 'CustomResourceDefinition' ? [value] : [];
  });
}

/** Fields of the Gateway API's experimental channel, which the CRDs of its standard channel lack. */
const EXPERIMENTAL = /^HTTPRoute\/\w+\.rules\[\]\.retry$/;

/** Collects each difference as a line, so that one run shows all of them. */
function compare(theirs: OpenApi, ours: Node, path: string, report: (line: string) => void): void {
  const types = typesOf(theirs);
  if (!types.includes(ours.type)) report(`${path}: is ${types.join(' or ')} in the CRD, ${ours.type} here`);
  const positive = theirs['x-kubernetes-validations']?.some(({ rule }) => rule.startsWith('duration(self) >=')) ?? false;
  if (positive !== (ours.type === 'duration' && ours.minimum === 1))
    report(`${path}: must${positive ? '' : ' not'} be a duration of at least 1ms`);
  if (ours.type === 'list' && theirs.items) {
    same(path, 'minItems', theirs.minItems, ours.minItems, report);
    same(path, 'maxItems', theirs.maxItems, ours.maxItems, report);
    compare(theirs.items, ours.item, `${path}[]`, report);
  } else if (ours.type === 'map' && theirs.additionalProperties) {
    same(path, 'maxProperties', theirs.maxProperties, ours.maxProperties, report);
    compare(theirs.additionalProperties, ours.value, `${path}.*`, report);
  } else if (ours.type === 'enum' && theirs.enum) {
    const known = [...ours.values, ...Object.keys(ours.synonyms ?? {})].sort();
    if (known.join() !== [...theirs.enum].sort().join()) report(`${path}: enum is ${theirs.enum.join()} in the CRD, ${known.join()} here`);
  } else if (ours.type === 'object') {
    const fields: Record<string, Field> = Object.fromEntries([...ours.fields, ...ours.old]);
    for (const [name, property] of Object.entries(theirs.properties ?? {})) {
      const field = fields[name];
      if (field) compare(property, field.node, `${path}.${name}`, report);
      else report(`${path}.${name}: missing here`);
    }
    for (const name of Object.keys(fields))
      if (!theirs.properties?.[name] && !EXPERIMENTAL.test(`${path}.${name}`)) report(`${path}.${name}: not in the CRD`);
    for (const name of theirs.required ?? []) if (!fields[name]?.required) report(`${path}.${name}: required in the CRD`);
    for (const [name, field] of Object.entries(fields))
      if (field.required && !theirs.required?.includes(name)) report(`${path}.${name}: required here`);
  } else if (ours.type === 'string') {
    same(path, 'minLength', theirs.minLength, ours.minLength, report);
    same(path, 'maxLength', theirs.maxLength, ours.maxLength, report);
  } else if (ours.type === 'integer' && theirs.minimum !== undefined && theirs.maximum !== 0xffff_ffff) {
    // Protobuf's whole range may be narrower here, as the webhook has it.
    same(path, 'minimum', theirs.minimum, ours.minimum, report);
    if (theirs.maximum !== undefined) same(path, 'maximum', theirs.maximum, ours.maximum, report);
  } else if (ours.type === 'number') {
    same(path, 'minimum', theirs.minimum, ours.minimum, report);
    same(path, 'maximum', theirs.maximum, ours.maximum, report);
  }
}

function same(path: string, what: string, theirs: unknown, ours: unknown, report: (line: string) => void): void {
  if (theirs !== ours) report(`${path}: ${what} is ${String(theirs)} in the CRD, ${String(ours)} here`);
}

/** Types of ours that fit one of theirs. */
function typesOf(schema: OpenApi): Node['type'][] {
  switch (schema.type) {
    case 'object':
      if (schema['x-kubernetes-preserve-unknown-fields']) return ['any'];
      return schema.additionalProperties ? ['map'] : ['object'];
    case 'array':
      return ['list'];
    case 'string':
      return schema.enum ? ['enum'] : ['string', 'duration'];
    case 'integer':
      return ['integer'];
    case 'number':
      return ['number'];
    case 'boolean':
      return ['boolean'];
    default:
      throw new Error(`no type of ours for ${JSON.stringify(schema)}`);
  }
}

test('every field, type, enum and limit of Istio’s CRDs is here, and no other', { skip }, () => {
  const differences: string[] = [];
  for (const { spec } of crds()) {
    if (NOT_READ.includes(spec.names.kind)) continue;
    const info: KindInfo | undefined = KINDS[spec.names.kind as Kind];
    assert.ok(info, spec.names.kind);
    assert.equal(info.group, spec.group);
    assert.deepEqual([...info.versions].sort(), spec.versions.map(({ name }) => name).sort());
    assert.equal(info.namespaced, spec.scope === 'Namespaced');
    for (const { name, schema } of spec.versions) {
      const theirs = schema.openAPIV3Schema.properties?.spec;
      assert.ok(theirs);
      compare(theirs, info.schema.node, `${spec.names.kind}/${name}`, (line) => differences.push(line));
    }
  }
  assert.deepEqual(differences, []);
});

test('each of Istio’s kinds that the CRDs hold is read, save those that are out of scope', { skip }, () => {
  const kinds = crds().map(({ spec }) => spec.names.kind);
  const ours = Object.entries(KINDS).filter(([, { group }]) => group.endsWith('.istio.io'));
  assert.deepEqual([...ours.map(([kind]) => kind), ...NOT_READ].sort(), kinds.sort());
});

test('every field, type, enum and limit of the Gateway API’s CRDs is here, and no other', { skip: skipGatewayApi }, () => {
  const differences: string[] = [];
  for (const { spec } of crds(GATEWAY_API_FILE)) {
    const { kind } = spec.names;
    if (NOT_READ_OF_GATEWAY_API.includes(kind)) continue;
    const info: KindInfo | undefined = KINDS[(kind === 'Gateway' ? 'KubernetesGateway' : kind) as Kind];
    assert.ok(info, kind);
    assert.equal(info.name ?? kind, kind);
    assert.equal(info.group, spec.group);
    assert.deepEqual([...info.versions].sort(), spec.versions.map(({ name }) => name).sort(), kind);
    assert.equal(info.namespaced, spec.scope === 'Namespaced');
    // Versions that are not served any more were looser.
    for (const { name, served, schema } of spec.versions) {
      const theirs = schema.openAPIV3Schema.properties?.spec;
      assert.ok(theirs);
      if (served) compare(theirs, info.schema.node, `${kind}/${name}`, (line) => differences.push(line));
    }
  }
  assert.deepEqual(differences, []);
});

test('each of the Gateway API’s kinds that the CRDs hold is read, save those that are out of scope', { skip: skipGatewayApi }, () => {
  const kinds = crds(GATEWAY_API_FILE).map(({ spec }) => spec.names.kind);
  const ours = Object.entries<KindInfo>(KINDS).filter(([, { group }]) => group === 'gateway.networking.k8s.io');
  assert.deepEqual([...ours.map(([kind, { name }]) => name ?? kind), ...NOT_READ_OF_GATEWAY_API].sort(), kinds.sort());
});
