/** Istio's CA service: signs what the key of a workload is certified by (proto/istio/ca.proto). Who the workload is says the caller's proof alone. */
import { fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { type handleClientStreamingCall, type Server, status } from '@grpc/grpc-js';
import { readCsr } from '../../ca/csr.ts';
import type { Identities } from '../../ca/identities.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { SPIFFE } from '../../lib/spiffe.ts';
import { type Peer, peerOf, statusOf } from '../../xds/ads/server.ts';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../../xds/gen/istio/ca_pb.js';

export interface CaServiceOptions {
  readonly identities: Identities;
  /** Of the newest mesh. */
  readonly trustDomain: () => string;
  /** The SPIFFE ID of whoever calls. Throws `xds-unauthenticated` or `xds-too-much`. */
  readonly identify: (peer: Peer) => string;
  /** What kept the CA from signing. */
  readonly failed: (error: unknown) => void;
}

export const CREATE_CERTIFICATE = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

const MOST_BYTES = 64 * 1024;
/** From the beginning of a call to its request. */
const REQUEST_MS = 30_000;
const DEFAULT_LIFE_MS = 24 * 3_600_000;

type Request = MessageShape<typeof IstioCertificateRequestSchema>;
type Answer = { readonly code: status; readonly details: string } | Buffer;

export function addCaService(server: Server, options: CaServiceOptions): void {
  const asItIs = (bytes: Buffer) => bytes;
  // As a stream of requests, which on the wire is the same: whoever may not ask is refused before what they send is read.
  const definition = {
    path: CREATE_CERTIFICATE,
    requestStream: true,
    responseStream: false,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  };
  const createCertificate: handleClientStreamingCall<Buffer, Buffer> = (call, callback) => {
    let answered = false;
    const silent = setTimeout(() => answer({ code: status.DEADLINE_EXCEEDED, details: 'no request came' }), REQUEST_MS);
    const answer = (given: Answer) => {
      if (answered) return;
      answered = true;
      clearTimeout(silent);
      if (given instanceof Uint8Array) callback(null, given);
      else callback(given);
    };
    let identity: string;
    try {
      identity = options.identify(peerOf(call));
    } catch (error) {
      answer({ code: statusOf(error), details: messageOf(error) });
      return;
    }
    call.on('data', (bytes: Buffer) => answer(answerTo(bytes, identity, options)));
    call.on('end', () => answer({ code: status.INVALID_ARGUMENT, details: 'there is no request' }));
    for (const event of ['error', 'cancelled', 'close']) call.on(event, () => clearTimeout(silent));
  };
  server.addService({ CreateCertificate: definition }, { CreateCertificate: createCertificate });
}

function answerTo(bytes: Buffer, identity: string, { identities, trustDomain, failed }: CaServiceOptions): Answer {
  const invalid = (details: string) => ({ code: status.INVALID_ARGUMENT, details });
  if (bytes.length > MOST_BYTES) return { code: status.RESOURCE_EXHAUSTED, details: `the request is longer than ${MOST_BYTES} bytes` };
  const domain = trustDomain();
  // The CA may trust the roots of other meshes, whose identities are not its own to give.
  if (!identity.startsWith(`${SPIFFE}${domain}/ns/`))
    return { code: status.PERMISSION_DENIED, details: `${identity} is no workload of the trust domain ${domain}` };
  let request: Request;
  try {
    request = fromBinary(IstioCertificateRequestSchema, bytes);
  } catch {
    return invalid('the request is no IstioCertificateRequest');
  }
  // For another identity, or by another signer, for instance: what is not understood is not left out.
  const asked = Object.entries(request.metadata ?? {}).find(([, value]) => value !== '' && value !== null);
  if (asked) return invalid(`metadata.${asked[0].slice(0, 100)} is not supported`);
  if (request.validityDuration < 0n) return invalid('validity_duration is negative');
  const lifeMs = request.validityDuration === 0n ? DEFAULT_LIFE_MS : Math.min(Number(request.validityDuration) * 1000, DEFAULT_LIFE_MS);
  try {
    const certChain = [...identities.certify(domain, readCsr(request.csr), identity, lifeMs)];
    return Buffer.from(toBinary(IstioCertificateResponseSchema, { $typeName: 'istio.v1.auth.IstioCertificateResponse', certChain }));
  } catch (error) {
    if (codeOf(error) === 'csr-invalid') return invalid(messageOf(error));
    failed(error);
    return { code: status.UNAVAILABLE, details: 'the CA cannot sign now; its log says why' };
  }
}
