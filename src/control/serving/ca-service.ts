/** Istio's CA service: signs what the key of a workload is certified by (proto/istio/ca.proto). Who the workload is says the caller's proof alone. */
import { fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { readCsr } from '../../ca/csr.ts';
import type { Identities } from '../../ca/identities.ts';
import { codeOf, messageOf } from '../../lib/errors.ts';
import { type Handler, type Peer, refused } from '../../lib/grpc/server.ts';
import { STATUS, type Status } from '../../lib/grpc/status.ts';
import { SPIFFE } from '../../lib/spiffe.ts';
import { statusOf } from '../../xds/ads/server.ts';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../../xds/gen/istio/ca_pb.js';

export interface CaServiceOptions {
  readonly identities: Identities;
  /** Of the newest mesh. */
  readonly trustDomain: () => string;
  /** The SPIFFE ID of whoever calls. Rejects with `xds-unauthenticated`, `xds-too-much` or `xds-unavailable`. */
  readonly identify: (peer: Peer) => Promise<string>;
  /** What kept the CA from signing. */
  readonly failed: (error: unknown) => void;
}

export const CREATE_CERTIFICATE = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

const MOST_BYTES = 64 * 1024;
const DEFAULT_LIFE_MS = 24 * 3_600_000;

type Request = MessageShape<typeof IstioCertificateRequestSchema>;
type Answer = { readonly status: Status; readonly details: string } | Uint8Array;

/** Whoever may not ask is refused before what they send is read. */
export function caService(options: CaServiceOptions): Handler {
  return async (call) => {
    let identity: string;
    try {
      identity = await options.identify(call.peer);
    } catch (error) {
      return refused(call, statusOf(error), messageOf(error));
    }
    return {
      message: (bytes) => {
        const answer = answerTo(bytes, identity, options);
        if (!(answer instanceof Uint8Array)) return call.end(answer.status, answer.details);
        call.write(answer);
        call.end(STATUS.ok);
      },
      halfClosed: () => call.end(STATUS.invalidArgument, 'there is no request'),
      closed: () => {},
    };
  };
}

function answerTo(bytes: Buffer, identity: string, { identities, trustDomain, failed }: CaServiceOptions): Answer {
  const invalid = (details: string) => ({ status: STATUS.invalidArgument, details });
  if (bytes.length > MOST_BYTES) return { status: STATUS.resourceExhausted, details: `the request is longer than ${MOST_BYTES} bytes` };
  const domain = trustDomain();
  // The CA may trust the roots of other meshes, whose identities are not its own to give.
  if (!identity.startsWith(`${SPIFFE}${domain}/ns/`))
    return { status: STATUS.permissionDenied, details: `${identity} is no workload of the trust domain ${domain}` };
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
    return toBinary(IstioCertificateResponseSchema, { $typeName: 'istio.v1.auth.IstioCertificateResponse', certChain });
  } catch (error) {
    if (codeOf(error) === 'csr-invalid') return invalid(messageOf(error));
    failed(error);
    return { status: STATUS.unavailable, details: 'the CA cannot sign now; its log says why' };
  }
}
