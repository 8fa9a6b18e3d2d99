/** Asks Istio's CA service for a certificate (proto/istio/ca.proto). */
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, logVerbosity, Metadata, type ServiceError, setLogVerbosity, status } from '@grpc/grpc-js';
import { makeCsr } from '../ca/csr.ts';
import { messageOf, SallyportError } from '../lib/errors.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { CHANNEL_OPTIONS } from '../xds/ads/channel-options.ts';
import { clientCredentials, serverNameFor } from '../xds/ads/client-credentials.ts';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../xds/gen/istio/ca_pb.js';

export interface CertificateRequest {
  readonly target: SocketAddress;
  /** PEM of those by whom the CA is known. */
  readonly roots: string;
  /** By what the workload shows who it is: a token, or the certificate that it has. */
  readonly proof: { readonly token: string } | { readonly certificate: string; readonly key: string };
  /** Private; it stays here. */
  readonly key: KeyObject;
  readonly lifeMs: number;
}

export interface IssuedCertificate {
  /** PEM, the leaf first. */
  readonly chain: string;
  /** PEM of the mesh's roots. */
  readonly roots: string;
  /** The SPIFFE ID that the CA gave. */
  readonly identity: string;
  /** ms since the epoch */
  readonly notAfter: number;
}

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const PATIENCE_MS = 10_000;

/** Rejects with `ca-unauthenticated` where the proof is not taken, and `ca-unavailable` for anything else. */
export async function requestCertificate(asked: CertificateRequest): Promise<IssuedCertificate> {
  const { target, roots, proof, key, lifeMs } = asked;
  setLogVerbosity(logVerbosity.NONE);
  const own = 'token' in proof ? {} : { own: proof };
  const { address, port } = target;
  const options = { ...CHANNEL_OPTIONS, 'grpc.ssl_target_name_override': serverNameFor(address) };
  const metadata = new Metadata();
  if ('token' in proof) metadata.set('authorization', `Bearer ${proof.token}`);
  const validityDuration = BigInt(Math.max(1, Math.round(lifeMs / 1000)));
  const request = create(IstioCertificateRequestSchema, { csr: makeCsr(key), validityDuration });
  let client: Client;
  try {
    client = new Client(hostPort(address, port), clientCredentials(address, { ca: roots, ...own }), options);
  } catch (cause) {
    throw new SallyportError('ca-unavailable', messageOf(cause), { cause });
  }
  try {
    const bytes = await ask(client, Buffer.from(toBinary(IstioCertificateRequestSchema, request)), metadata);
    return issuedIn(fromBinary(IstioCertificateResponseSchema, bytes).certChain, key);
  } finally {
    client.close();
  }
}

function ask(client: Client, request: Buffer, metadata: Metadata): Promise<Buffer> {
  const asItIs = (given: Buffer) => given;
  const deadline = Date.now() + PATIENCE_MS;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(METHOD, asItIs, asItIs, request, metadata, { deadline }, (error: ServiceError | null, answer?: Buffer) => {
      if (answer) resolve(answer);
      else {
        const code = error?.code === status.UNAUTHENTICATED ? 'ca-unauthenticated' : 'ca-unavailable';
        reject(new SallyportError(code, error?.details ?? 'there is no answer'));
      }
    });
  });
}

/** The leaf, what stands between, and at the end the roots. */
function issuedIn(certChain: readonly string[], key: KeyObject): IssuedCertificate {
  const [leaf, ...above] = certChain;
  const roots = above.pop();
  try {
    if (leaf === undefined || roots === undefined) throw new Error('it has no certificate and roots');
    const { publicKey, subjectAltName = '', validTo } = new X509Certificate(leaf);
    if (!createPublicKey(key).equals(publicKey)) throw new Error('its certificate is for another key');
    const identity = /^URI:(spiffe:\/\/[^,"]+)$/.exec(subjectAltName)?.[1];
    if (identity === undefined) throw new Error('its certificate names no single workload');
    new X509Certificate(roots);
    return { chain: [leaf, ...above].join(''), roots, identity, notAfter: Date.parse(validTo) };
  } catch (error) {
    throw new SallyportError('ca-unavailable', `the CA's answer is of no use: ${messageOf(error)}`);
  }
}
