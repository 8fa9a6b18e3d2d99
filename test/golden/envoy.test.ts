/** A stock Envoy accepts what the golden cases translate to. `SALLYPORT_ENVOY` names its binary; without it there is nothing to ask. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { type JsonValue, toJson } from '@bufbuild/protobuf';
import type { ProxyIdentity } from '../../src/lib/proxy-identity.ts';
import { translate } from '../../src/translate/index.ts';
import type { Mesh } from '../../src/translate/model.ts';
import { ClusterSchema } from '../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ListenerSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { typeRegistry } from '../../src/xds/type-registry.ts';
import { proxyOfWorkload } from '../support/mesh.ts';
import { GOLDENS, meshOf } from './cases.ts';

const ENVOY = process.env.SALLYPORT_ENVOY;
const folder = mkdtempSync(join(tmpdir(), 'sallyport-golden-'));
after(() => rmSync(folder, { recursive: true }));

for (const golden of GOLDENS) {
  test(`Envoy accepts ${golden.name}`, { skip: ENVOY ? false : 'SALLYPORT_ENVOY names no Envoy binary' }, async () => {
    const mesh = meshOf(golden);
    for (const name of golden.proxies) {
      const file = join(folder, `${golden.name}-${name}.json`);
      // The child's standard output is a socket here, which cannot be opened by its path.
      writeFileSync(file, JSON.stringify(bootstrapOf(proxyOfWorkload(name, mesh), mesh)).replaceAll('"/dev/stdout"', '"/dev/null"'));
      const { stderr } = await promisify(execFile)(ENVOY!, ['--mode', 'validate', '-c', file, '-l', 'error']);
      assert.doesNotMatch(stderr, /error/i, name);
    }
  });
}

/** Static listeners and clusters; what they take over ADS would come from a server that nothing asks while validating. */
function bootstrapOf(proxy: ProxyIdentity, mesh: Mesh): JsonValue {
  const { resources } = translate(proxy, mesh);
  const options = { registry: typeRegistry, useProtoFieldName: true };
  const xds = {
    name: 'xds',
    type: 'STATIC',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
  return {
    node: { id: proxy.name, cluster: proxy.namespace },
    dynamic_resources: {
      ads_config: { api_type: 'GRPC', transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] },
    },
    static_resources: {
      listeners: resources.listeners.map((listener) => toJson(ListenerSchema, listener, options)),
      clusters: [...resources.clusters.map((cluster) => toJson(ClusterSchema, cluster, options)), xds],
    },
  };
}
