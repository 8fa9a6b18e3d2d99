/**
 * Translation goldens: `NAME/in.yaml` (resources, on top of base.yaml) → `NAME/out.yaml` (the xDS of the proxies that `NAME/case.yaml` names;
 * its fields stand in cases.ts; parts are `listeners`, `routes`, `clusters`, `endpoints`, `secrets`, `nameTable` and `findings`).
 * `UPDATE_GOLDEN=1 node --test test/golden/golden.test.ts` rewrites the outputs; the change is then reviewed like any other.
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type DescMessage, type JsonValue, type MessageShape, toJson } from '@bufbuild/protobuf';
import { stringify } from 'yaml';
import type { Finding } from '../../src/lib/finding.ts';
import { originText } from '../../src/lib/origin.ts';
import type { ProxyIdentity } from '../../src/lib/proxy-identity.ts';
import { translate } from '../../src/translate/index.ts';
import type { Mesh } from '../../src/translate/model.ts';
import { ClusterSchema } from '../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../src/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../../src/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../../src/xds/gen/istio/nds_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { proxyOfWorkload } from '../support/mesh.ts';
import { GOLDENS, type Golden, meshOf } from './cases.ts';

const UPDATE = process.env.UPDATE_GOLDEN === '1';

for (const golden of GOLDENS) {
  test(`${golden.name}: ${golden.about}`, () => {
    const got = stringify(outputOf(golden), { lineWidth: 0, aliasDuplicateObjects: false });
    const file = join(golden.folder, 'out.yaml');
    if (UPDATE) writeFileSync(file, got);
    const difference = firstDifference(readFileSync(file, 'utf8').split('\n'), got.split('\n'));
    assert.ok(difference === undefined, `${file}:${difference}\nReview, then rewrite the file with UPDATE_GOLDEN=1.`);
  });
}

/** Line number and both texts around it: a whole diff of a golden is too long to read. */
function firstDifference(expected: readonly string[], got: readonly string[]): string | undefined {
  const at = expected.findIndex((line, i) => line !== got[i]);
  const line = at < 0 && got.length > expected.length ? expected.length : at;
  if (line < 0) return undefined;
  const excerpt = (lines: readonly string[]) => lines.slice(Math.max(0, line - 3), line + 4).join('\n');
  return `${line + 1}: expected\n${excerpt(expected)}\ngot\n${excerpt(got)}`;
}

function outputOf(golden: Golden): JsonValue {
  const mesh = meshOf(golden);
  const output: Record<string, JsonValue> = mesh.findings.length > 0 ? { registryFindings: mesh.findings.map(findingText) } : {};
  for (const name of golden.proxies) output[name] = proxyOutput(proxyOfWorkload(name, mesh), mesh, golden);
  return output;
}

function proxyOutput(proxy: ProxyIdentity, mesh: Mesh, { show, only }: Golden): JsonValue {
  const { resources, findings } = translate(proxy, mesh);
  const wanted = new RegExp(only ?? '');
  const list = <Desc extends DescMessage>(schema: Desc, items: readonly MessageShape<Desc>[]): JsonValue[] =>
    items
      .map((item) => toJson(schema, item, { registry: typeRegistry, useProtoFieldName: true }))
      .filter((json) => wanted.test(nameOf(json)));
  const parts: Record<string, () => JsonValue> = {
    listeners: () => list(ListenerSchema, resources.listeners),
    routes: () => list(RouteConfigurationSchema, resources.routes),
    clusters: () => list(ClusterSchema, resources.clusters),
    endpoints: () => list(ClusterLoadAssignmentSchema, resources.endpoints),
    secrets: () => list(SecretSchema, resources.secrets),
    nameTable: () => toJson(NameTableSchema, resources.nameTable, { registry: typeRegistry }),
    findings: () => findings.map(findingText),
  };
  return Object.fromEntries(Object.entries(parts).flatMap(([part, make]) => (show?.includes(part) === false ? [] : [[part, make()]])));
}

function nameOf(json: JsonValue): string {
  const { name, cluster_name } = json as { name?: string; cluster_name?: string };
  return name ?? cluster_name ?? '';
}

function findingText({ code, level, origin, message }: Finding): string {
  return `${level} ${code} ${originText(origin)}: ${message}`;
}
