/** Asks an authorizer over gRPC (`envoy.service.auth.v3.Authorization/Check`). */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { AddressSchema } from '../../xds/gen/envoy/config/core/v3/address_pb.js';
import { type HeaderValueOption, HeaderValueOption_HeaderAppendAction } from '../../xds/gen/envoy/config/core/v3/base_pb.js';
import type { GrpcService } from '../../xds/gen/envoy/config/core/v3/grpc_service_pb.js';
import type {
  AttributeContext_HttpRequestSchema,
  AttributeContext_PeerSchema,
  AttributeContextSchema,
} from '../../xds/gen/envoy/service/auth/v3/attribute_context_pb.js';
import {
  CheckRequestSchema,
  type CheckResponse,
  CheckResponseSchema,
  type OkHttpResponse,
} from '../../xds/gen/envoy/service/auth/v3/external_auth_pb.js';
import type { Certificate, SocketEnd } from '../connection.ts';
import { compileGrpcCall, type GrpcCall } from '../grpc-call.ts';
import type { Head } from '../head.ts';
import { HeaderMap } from '../header-map.ts';
import { fieldBytes, isField, mayBeSet } from '../outgoing-problem.ts';
import type { JudgedConnection } from '../rbac/subject.ts';
import type { SideAnswer } from '../side-call.ts';
import { CHECK_ERROR, type CheckedRequest, type CheckVerdict, removeField, setField, toldHeaders } from './check.ts';
import type { NamePredicate } from './http-check.ts';

export interface GrpcCheckOptions {
  readonly tells: NamePredicate;
  /** Bodies go as bytes, not as text. */
  readonly packAsBytes: boolean;
  readonly includeTlsSession: boolean;
  /** Names the filter. */
  readonly where: string;
}

const METHOD = {
  path: '/envoy.service.auth.v3.Authorization/Check',
  request: CheckRequestSchema,
  response: CheckResponseSchema,
};

/** How the service is called, whatever is asked. */
export type GrpcTarget = GrpcCall<typeof CheckRequestSchema, typeof CheckResponseSchema>;

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. */
export function compileGrpcTarget(service: GrpcService, where: string): GrpcTarget {
  return compileGrpcCall(service, METHOD, where);
}

export function isAllowed({ status }: CheckResponse): boolean {
  return (status?.code ?? 0) === 0;
}

/** Who speaks with whom. */
export function peersOf(
  connection: JudgedConnection,
  service = '',
): Pick<MessageInitShape<typeof AttributeContextSchema>, 'source' | 'destination'> {
  const { directRemoteAddress, localAddress, tls } = connection;
  return {
    source: { ...peer(directRemoteAddress, tls?.peer), service },
    destination: peer(localAddress, tls?.local),
  };
}

function peer(end: SocketEnd, certificate: Certificate | undefined): MessageInitShape<typeof AttributeContext_PeerSchema> {
  const principal = certificate?.uriSans[0] ?? certificate?.dnsSans[0] ?? certificate?.subject ?? '';
  return { address: addressOf(end), principal };
}

function addressOf({ ip, port }: SocketEnd): MessageInitShape<typeof AddressSchema> {
  if (ip.startsWith('/')) return { address: { case: 'pipe', value: { path: ip } } };
  return { address: { case: 'socketAddress', value: { address: ip, portSpecifier: { case: 'portValue', value: port } } } };
}

/** Throws as `compileGrpcTarget`. */
export function compileGrpcCheck(service: GrpcService, options: GrpcCheckOptions) {
  const target = compileGrpcTarget(service, options.where);
  return {
    cluster: target.cluster,
    call: (request: CheckedRequest) => target.call({ attributes: attributesOf(request, options) }),
    read(answer: SideAnswer | undefined): CheckVerdict {
      const response = target.read(answer);
      return response ? verdictOf(response) : CHECK_ERROR;
    },
  };
}

function attributesOf(
  request: CheckedRequest,
  { tells, packAsBytes, includeTlsSession }: GrpcCheckOptions,
): MessageInitShape<typeof AttributeContextSchema> {
  const { head, connection, record, startTime, body } = request;
  const http: MessageInitShape<typeof AttributeContext_HttpRequestSchema> = {
    id: String(head.random),
    method: head.method,
    headers: Object.fromEntries(toldHeaders(request, tells)),
    path: head.path,
    host: head.authority,
    scheme: head.scheme,
    protocol: head.protocol,
    size: BigInt(record.bytesReceived),
    ...(body && (packAsBytes ? { rawBody: body.bytes } : { body: body.bytes.toString('utf8') })),
  };
  return {
    ...peersOf(connection, head.headers.get('x-envoy-downstream-service-cluster')),
    request: { time: timestampFromMs(Math.trunc(startTime)), http },
    tlsSession: includeTlsSession && connection.serverName !== '' ? { sni: connection.serverName } : undefined,
    metadataContext: {},
    routeMetadataContext: {},
  };
}

function verdictOf(response: CheckResponse): CheckVerdict {
  const { httpResponse, dynamicMetadata } = response;
  const metadata = dynamicMetadata;
  if (isAllowed(response)) return { ...(httpResponse.case === 'okResponse' ? changesOf(httpResponse.value) : NO_CHANGES), metadata };
  const denied = httpResponse.case === 'deniedResponse' ? httpResponse.value : undefined;
  const headers = new HeaderMap();
  for (const [name, value] of fieldsOf(denied?.headers ?? [])) if (mayBeSet(name) && isField(name, value)) headers.append(name, value);
  const said = denied?.status?.code ?? 0;
  // What is no status of an answer would leave the client waiting for one.
  const status = said >= 200 && said < 600 ? said : 403;
  return { kind: 'denied', status, body: Buffer.from(denied?.body ?? '', 'utf8'), headers, metadata };
}

const NO_CHANGES = { kind: 'allowed', edit: undefined, mark: undefined } as const;

function fieldsOf(options: readonly HeaderValueOption[]): [name: string, value: string][] {
  return options.map(({ header }) => [
    header?.key.toLowerCase() ?? '',
    header?.value ? fieldBytes(header.value) : Buffer.from(header?.rawValue ?? []).toString('latin1'),
  ]);
}

function changesOf(ok: OkHttpResponse): Omit<CheckVerdict & { kind: 'allowed' }, 'metadata'> {
  const { headers, headersToRemove, responseHeadersToAdd, queryParametersToSet, queryParametersToRemove } = ok;
  const set = fieldsOf(headers.filter(({ append }) => !append));
  const more = fieldsOf(headers.filter(({ append }) => append === true));
  const removed = headersToRemove.map((name) => name.toLowerCase());
  const query = queryParametersToSet.length + queryParametersToRemove.length > 0;
  const edit = (head: Head) => {
    for (const [name, value] of set) setField(head, name, value);
    for (const [name, value] of more)
      if (mayBeSet(name) && head.headers.has(name)) head.headers.set(name, `${head.headers.all(name).join(',')},${value}`);
    for (const name of removed) removeField(head, name);
    if (query) head.path = withQuery(head.path, ok);
  };
  return {
    kind: 'allowed',
    edit: headers.length + removed.length > 0 || query ? edit : undefined,
    mark: responseHeadersToAdd.length > 0 ? (response) => markResponse(response, responseHeadersToAdd) : undefined,
  };
}

function withQuery(path: string, { queryParametersToSet, queryParametersToRemove }: OkHttpResponse): string {
  const at = path.indexOf('?');
  const query = new URLSearchParams(at < 0 ? '' : path.slice(at + 1));
  for (const { key, value } of queryParametersToSet) query.set(key, value);
  for (const key of queryParametersToRemove) query.delete(key);
  const text = query.toString();
  return `${at < 0 ? path : path.slice(0, at)}${text === '' ? '' : `?${text}`}`;
}

const { ADD_IF_ABSENT, OVERWRITE_IF_EXISTS, OVERWRITE_IF_EXISTS_OR_ADD } = HeaderValueOption_HeaderAppendAction;

function markResponse(response: HeaderMap, options: readonly HeaderValueOption[]): void {
  for (const [index, [name, value]] of fieldsOf(options).entries()) {
    const { append, appendAction } = options[index]!;
    // Unlike a request an answer has passed the filters: it goes on without what cannot be in it.
    if (!mayBeSet(name) || !isField(name, value)) continue;
    const present = response.has(name);
    const overwrites =
      append === false || (append === undefined && (appendAction === OVERWRITE_IF_EXISTS_OR_ADD || appendAction === OVERWRITE_IF_EXISTS));
    if (append === undefined && ((appendAction === ADD_IF_ABSENT && present) || (appendAction === OVERWRITE_IF_EXISTS && !present)))
      continue;
    if (overwrites) response.set(name, value);
    else response.append(name, value);
  }
}
