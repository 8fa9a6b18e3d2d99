/**
 * What the clients of a control plane made of what they were sent, as Envoy's client status service says it (envoy/service/status/v3/csds.proto); Istio's
 * `istioctl proxy-status` asks for the same as a resource of the type `istio.io/debug/syncz`.
 */
import { create } from '@bufbuild/protobuf';
import type { State } from '../../xds/ads/subscription.ts';
import { type ClientConfig, ClientConfigSchema, ConfigStatus } from '../../xds/gen/envoy/service/status/v3/csds_pb.js';
import { nodeJson } from '../../xds/node.ts';
import { TYPE_URL } from '../../xds/resources.ts';
import type { ServedStream } from './served-proxies.ts';

export const SYNC_STATUS = 'istio.io/debug/syncz';

const STATUS: Readonly<Record<State, ConfigStatus>> = {
  'not sent': ConfigStatus.NOT_SENT,
  synced: ConfigStatus.SYNCED,
  stale: ConfigStatus.STALE,
  nack: ConfigStatus.ERROR,
};

/** One for each stream. @param namespace of those that may be told of; undefined for all */
export function clientConfigs(streams: readonly ServedStream[], namespace?: string): readonly ClientConfig[] {
  return streams.filter(({ identity }) => namespace === undefined || identity.namespace === namespace).map(configOf);
}

function configOf({ identity, stream }: ServedStream): ClientConfig {
  const { id, metadata } = nodeJson(identity);
  return create(ClientConfigSchema, {
    node: { id, metadata: { NAMESPACE: identity.namespace, CLUSTER_ID: metadata.CLUSTER_ID! } },
    genericXdsConfigs: stream.states
      .filter(({ state }) => state !== 'not sent')
      .map(({ type, state, refusal }) => ({
        typeUrl: TYPE_URL[type],
        configStatus: STATUS[state],
        ...(refusal ? { errorState: { details: refusal.message } } : {}),
      })),
  });
}
