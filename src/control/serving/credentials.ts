/** How the xDS server proves who it is, and whom it asks to prove it: certificates of the mesh's CA, renewed while it runs. */
import type { Identities } from '../../ca/identities.ts';
import type { ServerTls } from '../../lib/grpc/server.ts';
import { CONTROL_PLANE_HOST, spiffeId } from '../../lib/spiffe.ts';

/** By which Istio's agents call a control plane, beside its identity. */
const HOSTS = [CONTROL_PLANE_HOST];
/** After a failure, ms. */
const AGAIN_MS = 60_000;

export interface MeshCredentials {
  /** Those of now. */
  readonly tls: ServerTls;
  /** From now on each renewal is told. */
  follow(renewed: (tls: ServerTls) => void): void;
  close(): void;
}

/** Throws as `authorityIn`. @param failed a certificate could not be renewed: the one there is ends with its time; it is tried again */
export function meshCredentials(identities: Identities, trustDomain: string, failed: (error: unknown) => void): MeshCredentials {
  let renewed = (_tls: ServerTls) => {};
  let timer: NodeJS.Timeout;
  const issue = (): ServerTls => {
    const uri = spiffeId(trustDomain, 'istio-system', 'sallyport-controller');
    const { chain, key, notAfter, trusted } = identities.forServer(trustDomain, uri, HOSTS);
    renewAfter((notAfter - Date.now()) / 2);
    return { cert: chain, key: key.reveal().toString(), ca: trusted };
  };
  const renewAfter = (ms: number) => {
    timer = setTimeout(renew, Math.max(1000, ms)).unref();
  };
  const renew = () => {
    try {
      renewed(issue());
    } catch (error) {
      failed(error);
      renewAfter(AGAIN_MS);
    }
  };
  return {
    tls: issue(),
    follow: (listener) => {
      renewed = listener;
    },
    close: () => clearTimeout(timer),
  };
}
