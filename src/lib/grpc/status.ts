/** Statuses of gRPC (grpc/doc/statuscodes.md), and how they are written. */

export const STATUS = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

/** Longer texts are cut: a client need not take larger trailers. */
const MOST_DETAILS = 2048;

/** As the header `grpc-message` has it: UTF-8, with percent-encoding of what is not printable ASCII (grpc/doc/PROTOCOL-HTTP2.md). */
export function encodedDetails(details: string): string {
  return encodeURI(details.slice(0, MOST_DETAILS).toWellFormed()).replaceAll('%20', ' ').replaceAll('%22', '"');
}
