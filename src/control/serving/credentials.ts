/**
 * How the xDS server proves who it is, by certificates of the mesh's CA, which are renewed while it runs. Clients are asked for one; those that have none, or
 * one that nobody here trusts, are taken for nobody, and need a token (`authentication.ts`).
 */
import type { Identities } from '../../ca/identities.ts';
import type { ServerTls } from '../../lib/grpc/server.ts';
import { CONTROL_PLANE_HOST, spiffeId } from '../../lib/spiffe.ts';

/** After a failure, ms. */
const AGAIN_MS = 60_000;

export interface MeshCredentials {
  /** Those of the beginning. */
  readonly first: ServerTls;
  /** From now on others are told. */
  follow(renewed: (tls: ServerTls) => void): void;
  /** Takes over what the CA is now: connections that there are stay. */
  renew(): void;
  close(): void;
}

/** Of the controller itself. */
export function controllerId(trustDomain: string): string {
  return spiffeId(trustDomain, 'istio-system', 'sallyport-controller');
}

/**
 * Throws as `authorityIn`. @param failed a certificate could not be renewed: the one there is ends with its time; it is tried again
 * @param service by which it is called beside the name that all control planes have, e.g. `istiod-canary.mesh.svc`
 * @param names others by which it is called
 */
export function meshCredentials(
  identities: Identities,
  trustDomain: string,
  failed: (error: unknown) => void,
  service = CONTROL_PLANE_HOST,
  names: readonly string[] = [],
): MeshCredentials {
  const hosts = [...new Set([CONTROL_PLANE_HOST, service, ...names])];
  let renewed = (_tls: ServerTls) => {};
  let timer: NodeJS.Timeout;
  const renewAfter = (ms: number) => {
    timer = setTimeout(renew, Math.max(1000, ms)).unref();
  };
  const issue = (): ServerTls => {
    const { chain, key, notAfter, trusted } = identities.forServer(trustDomain, controllerId(trustDomain), hosts);
    const now = Date.now();
    renewAfter(Math.min((notAfter - now) / 2, (identities.signsAnewAt ?? Number.POSITIVE_INFINITY) - now));
    return { cert: chain, key: key.reveal().toString(), ca: trusted };
  };
  const renew = () => {
    clearTimeout(timer);
    try {
      renewed(issue());
    } catch (error) {
      failed(error);
      renewAfter(AGAIN_MS);
    }
  };
  return {
    first: issue(),
    follow: (listener) => {
      renewed = listener;
    },
    renew,
    close: () => clearTimeout(timer),
  };
}
