/** Calls of one message over gRPC that filters make for their own sake: to authorizers and rate limit services. */
import { create, type DescMessage, fromBinary, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { SallyportError } from '../lib/errors.ts';
import { MessageReader, prefixOf } from '../lib/grpc/messages.ts';
import type { GrpcService } from '../xds/gen/envoy/config/core/v3/grpc_service_pb.js';
import { durationMs } from '../xds/match/duration.ts';
import { unsupported } from '../xds/unpack.ts';
import { HeaderMap } from './header-map.ts';
import type { SideAnswer, SideCall } from './side-call.ts';

export interface GrpcMethod<Request extends DescMessage, Response extends DescMessage> {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly request: Request;
  readonly response: Response;
}

/** How a service is called, whatever is asked. */
export interface GrpcCall<Request extends DescMessage, Response extends DescMessage> {
  readonly cluster: string;
  call(request: MessageInitShape<Request>): SideCall;
  /** What the service says; undefined where it says nothing, or nothing that can be read. */
  read(answer: SideAnswer | undefined): MessageShape<Response> | undefined;
}

/** Throws `xds-unsupported` or `xds-invalid`; `where` names the filter. `timeoutMs`: in place of the service's own; 0 for none. */
export function compileGrpcCall<Request extends DescMessage, Response extends DescMessage>(
  service: GrpcService,
  { path, request, response }: GrpcMethod<Request, Response>,
  where: string,
  timeoutMs: number = durationMs(service.timeout, 0),
): GrpcCall<Request, Response> {
  const { targetSpecifier: target } = service;
  if (target.case !== 'envoyGrpc') return unsupported(`${where}.grpc_service`, 'only envoy_grpc is supported');
  const { clusterName: cluster, authority } = target.value;
  if (cluster === '') throw new SallyportError('xds-invalid', `${where}.grpc_service.envoy_grpc: names no cluster`);
  const initial = service.initialMetadata.map(({ key, value }) => {
    if (value.includes('%')) unsupported(`${where}.grpc_service.initial_metadata`, 'values that are formats are not supported');
    return [key.toLowerCase(), value] as const;
  });
  return {
    cluster,
    call(init) {
      const headers = new HeaderMap(['te', 'trailers', 'content-type', 'application/grpc']);
      if (timeoutMs > 0) headers.append('grpc-timeout', `${Math.min(timeoutMs, 99_999_999)}m`);
      for (const [key, value] of initial) headers.append(key, value);
      const message = toBinary(request, create(request, init));
      const body = Buffer.concat([prefixOf(message), message]);
      return { cluster, method: 'POST', path, authority: authority || cluster, scheme: 'http', headers, body, timeoutMs };
    },
    read: (answer) => readMessage(answer, response),
  };
}

function readMessage<Response extends DescMessage>(answer: SideAnswer | undefined, schema: Response): MessageShape<Response> | undefined {
  if (answer?.status !== 200) return undefined;
  const { body, headers, trailers } = answer;
  const status = trailers?.get('grpc-status') ?? headers.get('grpc-status');
  if (status !== '0') return undefined;
  try {
    const reader = new MessageReader(body.length);
    reader.add(body);
    const message = reader.next();
    return message && !reader.isWithin ? fromBinary(schema, message) : undefined;
  } catch {
    return undefined;
  }
}
