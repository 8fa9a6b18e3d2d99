/**
 * What the clients of a control plane made of what they were sent, as Envoy's client status service says it (envoy/service/status/v3/csds.proto), and as
 * `istioctl proxy-status` asks for it: a resource of the type `istio.io/debug/syncz`.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Handler } from '../../lib/grpc/server.ts';
import { STATUS } from '../../lib/grpc/status.ts';
import { SPIFFE } from '../../lib/spiffe.ts';
import type { Mesh } from '../../translate/model.ts';
import type { Answer, TypeState } from '../../xds/ads/stream.ts';
import type { State } from '../../xds/ads/subscription.ts';
import {
  type ClientConfig,
  ClientConfigSchema,
  ClientStatusRequestSchema,
  ClientStatusResponseSchema,
  ConfigStatus,
} from '../../xds/gen/envoy/service/status/v3/csds_pb.js';
import { nodeJson } from '../../xds/node.ts';
import { TYPE_URL } from '../../xds/resources.ts';
import type { ServedStream } from './served-proxies.ts';

export const SYNC_STATUS = 'istio.io/debug/syncz';

const SERVICE = '/envoy.service.status.v3.ClientStatusDiscoveryService';

const STATES: Readonly<Record<State, ConfigStatus>> = {
  'not sent': ConfigStatus.NOT_SENT,
  synced: ConfigStatus.SYNCED,
  stale: ConfigStatus.STALE,
  nack: ConfigStatus.ERROR,
};

/**
 * Whose proxies a client may ask about: its own namespace's, or, of the root namespace and where nobody has to prove who they are, all (undefined). Empty,
 * and with that nobody's, for a workload of another mesh, whose root may be trusted too: its namespaces are not ours.
 */
export function seenBy(identity: string | undefined, { rootNamespace, trustDomain }: Mesh['config']): string | undefined {
  if (identity === undefined) return undefined;
  const own = `${SPIFFE}${trustDomain}/ns/`;
  const namespace = identity.startsWith(own) ? identity.slice(own.length).split('/')[0]! : '';
  return namespace === rootNamespace ? undefined : namespace;
}

/** The answer to `istio.io/debug/syncz`: one part for each stream. @param namespace of those that may be told of; undefined for all */
export function syncStatus(streams: readonly ServedStream[], namespace: string | undefined): readonly Answer[] {
  return streams
    .filter(({ identity }) => namespace === undefined || identity.namespace === namespace)
    .map(configOf)
    .map((config) => ({
      name: config.node!.id,
      typeUrl: `type.googleapis.com/${ClientConfigSchema.typeName}`,
      bytes: toBinary(ClientConfigSchema, config),
    }));
}

/** Envoy's client status service, by the paths of its methods. */
export function clientStatus(streams: () => readonly ServedStream[]): ReadonlyMap<string, Handler> {
  const respond = (bytes: Buffer): Uint8Array | undefined => {
    if (fromBinary(ClientStatusRequestSchema, bytes).nodeMatchers.length > 0) return undefined;
    return toBinary(ClientStatusResponseSchema, create(ClientStatusResponseSchema, { config: streams().map(configOf) }));
  };
  const handler =
    (once: boolean): Handler =>
    (call) => ({
      message: (bytes) => {
        let response: Uint8Array | undefined;
        try {
          response = respond(bytes);
        } catch {
          call.end(STATUS.invalidArgument, 'the request is no ClientStatusRequest');
          return;
        }
        if (!response) return call.end(STATUS.unimplemented, 'node_matchers are not supported: ask without them for all clients');
        call.write(response);
        if (once) call.end(STATUS.ok);
      },
      halfClosed: () => (once ? call.end(STATUS.invalidArgument, 'there is no request') : call.end(STATUS.ok)),
      closed: () => {},
    });
  return new Map([
    [`${SERVICE}/FetchClientStatus`, handler(true)],
    [`${SERVICE}/StreamClientStatus`, handler(false)],
  ]);
}

/** Whoever asks for routes means their virtual hosts too, which some clients have as another type. */
export function toldStates(states: readonly TypeState[]): readonly TypeState[] {
  const hosts = states.find(({ type }) => type === 'virtualHost');
  if (!hosts || hosts.state === 'synced') return states;
  return states.map((each) => (each.type === 'route' && each.state === 'synced' ? { ...hosts, type: each.type } : each));
}

function configOf({ identity, stream }: ServedStream): ClientConfig {
  const { id, metadata } = nodeJson(identity);
  return create(ClientConfigSchema, {
    node: { id, metadata: { NAMESPACE: identity.namespace, CLUSTER_ID: metadata.CLUSTER_ID! } },
    genericXdsConfigs: toldStates(stream.states)
      .filter(({ state }) => state !== 'not sent')
      .map(({ type, state, refusal }) => ({
        typeUrl: TYPE_URL[type],
        configStatus: STATES[state],
        ...(refusal ? { errorState: { details: refusal.message } } : {}),
      })),
  });
}
