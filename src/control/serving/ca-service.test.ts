/** Istio's CA service with clients of its own over gRPC. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { newAuthorityFiles, openAuthority } from '../../ca/authority.ts';
import { newKey } from '../../ca/certificates.ts';
import { makeCsr } from '../../ca/csr.ts';
import { authorityIn } from '../../ca/folder.ts';
import { createLocalToken } from '../../ca/local-tokens.ts';
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../../xds/gen/istio/ca_pb.js';
import { entryText } from '../testing.ts';
import { CREATE_CERTIFICATE } from './ca-service.ts';
import { type RunningController, startedController } from './testing.ts';

const DAY_MS = 24 * 3_600_000;

type Request = MessageInitShape<typeof IstioCertificateRequestSchema>;

async function place(t: TestContext) {
  const running = await startedController(t, entryText('one.example.com'));
  const authority = authorityIn(running.ca, 'cluster.local', Date.now());
  const token = (audience = 'istio-ca') =>
    createLocalToken({ ca: running.ca, namespace: 'shop', serviceAccount: 'cart', audience, lifeMs: 60_000 }, Date.now());
  const plain = credentials.createSsl(Buffer.from(authority.trusted));
  return { ...running, authority, token, plain };
}

/** The certificates, or the status. */
function ask(
  { tls }: Pick<RunningController, 'tls'>,
  how: ChannelCredentials,
  token: string | undefined,
  request: Request | Buffer,
): Promise<readonly string[]> {
  const client = new Client(`127.0.0.1:${tls}`, how, { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' });
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  const bytes = Buffer.isBuffer(request)
    ? request
    : Buffer.from(toBinary(IstioCertificateRequestSchema, create(IstioCertificateRequestSchema, request)));
  const asItIs = (given: Buffer) => given;
  return new Promise<readonly string[]>((resolve, reject) => {
    client.makeUnaryRequest(CREATE_CERTIFICATE, asItIs, asItIs, bytes, metadata, (error: ServiceError | null, answer?: Buffer) => {
      if (error) reject(new Error(`${status[error.code]}: ${error.details}`));
      else resolve(fromBinary(IstioCertificateResponseSchema, answer!).certChain);
    });
  }).finally(() => client.close());
}

test('a token gets its own identity, whatever the request asks for, and a certificate renews it', { timeout: 30_000 }, async (t) => {
  const running = await place(t);
  const { authority, plain, token } = running;
  const key = newKey();
  const [leaf, ...above] = await ask(running, plain, token(), { csr: makeCsr(key), validityDuration: 3600n });
  const certificate = new X509Certificate(leaf!);
  assert.equal(certificate.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
  assert.ok(certificate.raw.includes(Buffer.from('0603551d110101ff', 'hex')), 'the name is critical');
  assert.ok(createPublicKey(key).equals(certificate.publicKey));
  assert.ok(Math.abs(Date.parse(certificate.validTo) - Date.now() - 3_600_000) < 60_000);
  assert.deepEqual(above, [authority.trusted]);

  const own = credentials.createSsl(
    Buffer.from(authority.trusted),
    Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })),
    Buffer.from(leaf!),
  );
  const [renewed] = await ask(running, own, undefined, { csr: makeCsr(newKey()), validityDuration: BigInt(10 ** 9) });
  const next = new X509Certificate(renewed!);
  assert.equal(next.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
  assert.ok(Date.parse(next.validTo) <= Date.now() + DAY_MS);
});

test('who proves nothing, or asks for what there is not, gets no certificate', { timeout: 30_000 }, async (t) => {
  const running = await place(t);
  const { plain, token, authority, events } = running;
  const csr = makeCsr(newKey());
  const other = openAuthority(newAuthorityFiles('cluster.local', Date.now()), 'another');
  const { chain, key } = other.issue('spiffe://cluster.local/ns/shop/sa/cart', Date.now());
  const stranger = credentials.createSsl(Buffer.from(authority.trusted), Buffer.from(key.reveal()), Buffer.from(chain));
  const abroad = authority.issue('spiffe://elsewhere/ns/shop/sa/cart', Date.now());
  const foreigner = credentials.createSsl(Buffer.from(authority.trusted), Buffer.from(abroad.key.reveal()), Buffer.from(abroad.chain));
  const weak = makeCsr(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey);
  const refusals: [ChannelCredentials, string | undefined, Request | Buffer, RegExp][] = [
    [plain, undefined, { csr }, /^UNAUTHENTICATED: the client has neither/],
    [stranger, undefined, { csr }, /^UNAUTHENTICATED: the client has neither/],
    [plain, token('vault'), { csr }, /^UNAUTHENTICATED: the token is refused: it is not for the audience/],
    [foreigner, undefined, { csr }, /^PERMISSION_DENIED: spiffe:\/\/elsewhere/],
    [plain, token(), { csr: csr.replace(/[A-Z]/, '_') }, /^INVALID_ARGUMENT/],
    [plain, token(), { csr: weak }, /^INVALID_ARGUMENT: .*1024 bits/],
    [plain, token(), { csr, validityDuration: -1n }, /^INVALID_ARGUMENT: validity_duration/],
    [
      plain,
      token(),
      { csr, metadata: { ImpersonatedIdentity: 'spiffe://cluster.local/ns/bank/sa/admin' } },
      /^INVALID_ARGUMENT: metadata\.Impersonated/,
    ],
    [plain, token(), { csr: 'x'.repeat(70_000) }, /^RESOURCE_EXHAUSTED/],
    [plain, token(), Buffer.from([0xff]), /^INVALID_ARGUMENT/],
  ];
  for (const [how, text, request, expected] of refusals)
    await assert.rejects(
      ask(running, how, text, request),
      ({ message }: Error) => expected.test(message) || assert.fail(`${message} for ${expected}`),
    );
  const told = events.flatMap((event) => (event.kind === 'unauthenticated' ? [event.reason] : []));
  assert.ok(told.includes('the token is refused: it is not for the audience "istio-ca"'));
  // As Istio's agents send it.
  assert.equal((await ask(running, plain, token(), { csr, metadata: { CertSigner: '' } })).length, 2);
});
