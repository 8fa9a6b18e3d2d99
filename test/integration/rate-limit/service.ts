/** A rate limit service of the test's own (`envoy.service.ratelimit.v3`): it keeps what it is asked, and says what it is told to say. */
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import {
  type RateLimitRequest,
  RateLimitRequestSchema,
  RateLimitResponseSchema,
} from '../../../src/xds/gen/envoy/service/ratelimit/v3/rls_pb.js';

export type Answer = MessageInitShape<typeof RateLimitResponseSchema>;

export interface RateLimitService {
  readonly port: number;
  /** What it was asked since this was last emptied: `domain: key=value,key=value; …`, in brackets what else a descriptor has. */
  readonly asked: string[];
  /** What it says; undefined: nothing, and the call stays open; `error`: a gRPC status that is none of success. */
  answers: (request: RateLimitRequest) => Answer | 'error' | undefined;
  stop(): void;
}

export async function startRateLimitService(): Promise<RateLimitService> {
  const server = new Server();
  const bytes = { requestSerialize: Buffer.from, requestDeserialize: same, responseSerialize: Buffer.from, responseDeserialize: same };
  const path = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';
  const asked: string[] = [];
  const service: RateLimitService = { port: 0, asked, answers: () => ({ overallCode: 1 }), stop: () => server.forceShutdown() };
  server.addService(
    { shouldRateLimit: { path, requestStream: false, responseStream: false, ...bytes } },
    {
      shouldRateLimit(call: { request: Buffer }, callback: (error: object | null, value?: Buffer) => void) {
        const request = fromBinary(RateLimitRequestSchema, call.request);
        asked.push(textOf(request));
        const answer = service.answers(request);
        if (answer === 'error') callback({ code: 13, details: 'broken' });
        else if (answer) callback(null, Buffer.from(toBinary(RateLimitResponseSchema, create(RateLimitResponseSchema, answer))));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return Object.assign(service, { port });
}

function same(value: Buffer): Buffer {
  return value;
}

function textOf({ domain, descriptors, hitsAddend }: RateLimitRequest): string {
  const texts = descriptors.map(({ entries, limit, hitsAddend: hits }) => {
    const more = [limit && `${limit.requestsPerUnit}/${limit.unit}`, hits !== undefined && `${hits} hits`].filter((each) => each);
    return entries.map(({ key, value }) => `${key}=${value}`).join(',') + (more.length > 0 ? `[${more.join(', ')}]` : '');
  });
  return `${domain}: ${texts.join('; ')}${hitsAddend === 0 ? '' : ` +${hitsAddend}`}`;
}
