/** Services of gRPC whose messages pass as bytes. */
import type { handleBidiStreamingCall, ServiceDefinition } from '@grpc/grpc-js';

/** @param methods streams in both directions */
export function streamingMethods(
  service: string,
  methods: readonly string[],
): ServiceDefinition<Record<string, handleBidiStreamingCall<Buffer, Uint8Array>>> {
  const asItIs = (bytes: Buffer) => bytes;
  return Object.fromEntries(
    methods.map((method) => [
      method,
      {
        path: `/${service}/${method}`,
        requestStream: true,
        responseStream: true,
        requestSerialize: asItIs,
        requestDeserialize: asItIs,
        responseSerialize: (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
        responseDeserialize: asItIs,
      },
    ]),
  );
}
