/** What is put into calls to a ServiceEntry's hosts, and whose TLS the proxy sees through to do so: our annotations, as they stand in xDS. */
import { create, type JsonValue } from '@bufbuild/protobuf';
import { CREDENTIALS, INTERCEPT } from '../api/inject-credentials.ts';
import { isWildcard } from '../lib/hostname.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { Service } from '../registry/model.ts';
import { type TransportSocket, TransportSocketSchema } from '../xds/gen/envoy/config/core/v3/base_pb.js';
import { SdsSecretConfigSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.js';
import { CommonTlsContextSchema, DownstreamTlsContextSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js';
import { interceptionSecret } from '../xds/names.ts';
import { typedConfig } from './proto.ts';
import { adsSource } from './secrets.ts';
import { TLS_TRANSPORT_SOCKET } from './tls-context.ts';

/** As the metadata of a virtual host has it; what is not understood stands there as it is, and closes the host. Undefined: nothing is put in. */
export function credentialsFor({ registry, resource }: Service, port: number): JsonValue | undefined {
  const written = registry === 'External' ? resource.metadata.annotations[CREDENTIALS] : undefined;
  if (written === undefined) return undefined;
  return ofPort.get([resource, port], [written], () => rulesOf(written, port));
}

const ofPort = new Memo<JsonValue | undefined>();

function rulesOf(written: string, port: number): JsonValue | undefined {
  const rules = parsed(written);
  if (!Array.isArray(rules)) return written;
  const mine = rules.filter((rule) => !isObject(rule) || !Array.isArray(rule.ports) || rule.ports.includes(port));
  return mine.length > 0 ? mine : undefined;
}

function parsed(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** Whether calls to some of them get credentials: their HTTP connections need the filter then. */
export function injectsAny(services: readonly Service[]): boolean {
  return anyOf.get([services], NO_INPUTS, () =>
    services.some(({ registry, resource }) => registry === 'External' && resource.metadata.annotations[CREDENTIALS] !== undefined),
  );
}

const anyOf = new Memo<boolean>();

/** Whether the proxy ends the client's TLS at this port; never for names that nobody has written in full. */
export function isIntercepted({ registry, resource, hostname }: Service, port: number): boolean {
  if (registry !== 'External' || isWildcard(hostname)) return false;
  return (resource.metadata.annotations[INTERCEPT] ?? '').split(',').some((each) => each.trim() === String(port));
}

/** TLS as the host would end it, with a certificate that whoever runs the proxy mints. It comes from no control plane: an Envoy refuses the connections. */
export function interceptingTls(host: string): TransportSocket {
  return create(TransportSocketSchema, {
    name: TLS_TRANSPORT_SOCKET,
    configType: typedConfig(DownstreamTlsContextSchema, {
      commonTlsContext: create(CommonTlsContextSchema, {
        alpnProtocols: ['h2', 'http/1.1'],
        tlsCertificateSdsSecretConfigs: [create(SdsSecretConfigSchema, { name: interceptionSecret(host), sdsConfig: adsSource() })],
      }),
    }),
  });
}
