/** What is encoded part by part is what protobuf's own encoder makes of the whole, for all that the goldens have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DescMessage, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { translate } from '../../src/translate/index.ts';
import { ClusterSchema } from '../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.js';
import { ClusterLoadAssignmentSchema } from '../../src/xds/gen/envoy/config/endpoint/v3/endpoint_pb.js';
import { ListenerSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.js';
import { RouteConfigurationSchema } from '../../src/xds/gen/envoy/config/route/v3/route_pb.js';
import { SecretSchema } from '../../src/xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { NameTableSchema } from '../../src/xds/gen/istio/nds_pb.js';
import { encodeSet } from '../../src/xds/update.ts';
import { proxyOfWorkload } from '../support/mesh.ts';
import { GOLDENS, meshOf } from './cases.ts';

for (const golden of GOLDENS) {
  test(`the bytes of ${golden.name}`, () => {
    const mesh = meshOf(golden);
    for (const name of golden.proxies) {
      const { resources } = translate(proxyOfWorkload(name, mesh), mesh);
      const set = encodeSet(resources);
      const check = (key: string, schema: DescMessage, message: Message) => {
        const { bytes } = set.resources.get(key) ?? assert.fail(`${key} is missing`);
        assert.deepEqual(fromBinary(schema, bytes), fromBinary(schema, toBinary(schema, message)));
      };
      for (const each of resources.clusters) check(`cluster/${each.name}`, ClusterSchema, each);
      for (const each of resources.endpoints) check(`endpoint/${each.clusterName}`, ClusterLoadAssignmentSchema, each);
      for (const each of resources.secrets) check(`secret/${each.name}`, SecretSchema, each);
      for (const each of resources.routes) check(`route/${each.name}`, RouteConfigurationSchema, each);
      for (const each of resources.listeners) check(`listener/${each.name}`, ListenerSchema, each);
      check('nameTable/nameTable', NameTableSchema, resources.nameTable);
    }
  });
}
