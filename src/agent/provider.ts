/**
 * Identities from another provider on this machine, as SPIRE's agent: SDS at a unix socket (state of the world, which all of them speak). What it gives is
 * the workload's identity in place of the mesh CA's, and whom the workload trusts.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, type StatusObject, status } from '@grpc/grpc-js';
import { messageOf } from '../lib/errors.ts';
import { CHANNEL_OPTIONS } from '../xds/ads/channel-options.ts';
import type { Node } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { SecretSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { DiscoveryRequestSchema, DiscoveryResponseSchema } from '../xds/gen/envoy/service/discovery/v3/discovery_pb.js';
import { TYPE_URL } from '../xds/resources.ts';
import { OWN_SECRETS, type Secrets } from './secrets.ts';

export interface ProviderOptions {
  /** Path of its socket. */
  readonly socket: string;
  readonly node: Node;
  readonly secrets: Secrets;
  /** The stream ended; it is opened again. Told once for each reason, until something comes. */
  readonly lost: (reason: string) => void;
}

const METHOD = '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets';
const AGAIN = { firstMs: 250, mostMs: 10_000 };

/** Follows it; returns what ends that. */
export function followProvider({ socket, node, secrets, lost }: ProviderOptions): () => void {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let delayMs = AGAIN.firstMs;
  let told: string | undefined;
  let end = () => {};
  const open = () => {
    const client = new Client(`unix:${socket}`, credentials.createInsecure(), CHANNEL_OPTIONS);
    const asItIs = (bytes: Buffer) => bytes;
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(METHOD, asItIs, asItIs);
    const send = (about: MessageInitShape<typeof DiscoveryRequestSchema>) => {
      const request = create(DiscoveryRequestSchema, { typeUrl: TYPE_URL.secret, resourceNames: [...OWN_SECRETS], ...about });
      call.write(Buffer.from(toBinary(DiscoveryRequestSchema, request)));
    };
    end = () => {
      call.cancel();
      client.close();
    };
    let versionInfo = '';
    call.on('data', (bytes: Buffer) => {
      let responseNonce = '';
      try {
        const response = fromBinary(DiscoveryResponseSchema, bytes);
        responseNonce = response.nonce;
        const given = response.resources
          .map(({ value }) => fromBinary(SecretSchema, value))
          .filter(({ name }) => OWN_SECRETS.includes(name));
        secrets.put(...given);
        versionInfo = response.versionInfo;
        send({ versionInfo, responseNonce });
        told = undefined;
        delayMs = AGAIN.firstMs;
      } catch (error) {
        send({ versionInfo, responseNonce, errorDetail: { code: status.INVALID_ARGUMENT, message: messageOf(error) } });
      }
    });
    call.on('error', () => {});
    call.on('status', ({ details }: StatusObject) => {
      client.close();
      if (closed) return;
      if (details !== told) lost(details);
      told = details;
      timer = setTimeout(open, delayMs * (0.5 + Math.random() / 2));
      delayMs = Math.min(delayMs * 2, AGAIN.mostMs);
    });
    send({ node });
  };
  open();
  return () => {
    closed = true;
    clearTimeout(timer);
    end();
  };
}
