/**
 * How the xDS server proves who it is, by certificates of the mesh's CA, which are renewed while it runs. Clients are asked for one; those that have none, or
 * one that nobody here trusts, are taken for nobody, and need a token (`authentication.ts`).
 */
import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import type { Identities } from '../../ca/identities.ts';
import { CONTROL_PLANE_HOST, spiffeId } from '../../lib/spiffe.ts';

/** By which Istio's agents call a control plane, beside its identity. */
const HOSTS = [CONTROL_PLANE_HOST];
/** After a failure, ms. */
const AGAIN_MS = 60_000;

export interface MeshCredentials {
  readonly credentials: ServerCredentials;
  /** Takes over what the CA is now: connections that there are stay. */
  renew(): void;
  close(): void;
}

/** Throws as `authorityIn`. @param failed a certificate could not be renewed: the one there is ends with its time; it is tried again */
export function meshCredentials(identities: Identities, trustDomain: string, failed: (error: unknown) => void): MeshCredentials {
  const issue = () => identities.forServer(trustDomain, spiffeId(trustDomain, 'istio-system', 'sallyport-controller'), HOSTS);
  let current = issue();
  const certificates = new Set<experimental.IdentityCertificateUpdateListener>();
  const authorities = new Set<experimental.CaCertificateUpdateListener>();
  const identity = () => ({ certificate: Buffer.from(current.chain), privateKey: Buffer.from(current.key.reveal()) });
  const roots = () => ({ caCertificate: Buffer.from(current.trusted) });
  // The library hears of what comes after it has asked, not of what comes at once.
  const later = queueMicrotask;
  const provider: experimental.CertificateProvider = {
    addIdentityCertificateListener(listener) {
      certificates.add(listener);
      later(() => listener(identity()));
    },
    removeIdentityCertificateListener: (listener) => void certificates.delete(listener),
    addCaCertificateListener(listener) {
      authorities.add(listener);
      later(() => listener(roots()));
    },
    removeCaCertificateListener: (listener) => void authorities.delete(listener),
  };
  let timer: NodeJS.Timeout;
  const renewAfter = (ms: number) => {
    timer = setTimeout(renew, Math.max(1000, ms)).unref();
  };
  const renewInTime = () => {
    const now = Date.now();
    renewAfter(Math.min((current.notAfter - now) / 2, (identities.signsAnewAt ?? Number.POSITIVE_INFINITY) - now));
  };
  const renew = () => {
    clearTimeout(timer);
    try {
      current = issue();
      for (const listener of certificates) listener(identity());
      for (const listener of authorities) listener(roots());
      renewInTime();
    } catch (error) {
      failed(error);
      renewAfter(AGAIN_MS);
    }
  };
  renewInTime();
  const credentials = experimental.createCertificateProviderServerCredentials(provider, provider, false);
  return { credentials, renew, close: () => clearTimeout(timer) };
}
