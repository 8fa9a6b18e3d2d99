/** The roots of the mesh, as its control plane says them: while they are replaced, peers have certificates of the old ones and of the new. */
import { X509Certificate } from 'node:crypto';
import { isVouchedFor } from '../ca/authority.ts';
import { certificatesIn } from '../ca/certificates.ts';
import { rootSecret } from '../ca/secrets.ts';
import type { Secrets } from './secrets.ts';

export interface RootsTaken {
  readonly secrets: Secrets;
  /** Asks for a certificate of these roots. */
  readonly renew: () => void;
  /** What came are no roots: those before stay. */
  readonly refused: (reason: string) => void;
}

/** @param roots PEM */
export function rootsCame(roots: string, { secrets, renew, refused }: RootsTaken): void {
  if (!areCertificates(roots)) {
    refused('what the control plane sent as roots of the mesh are no certificates; those before stay');
    return;
  }
  secrets.put(rootSecret(roots));
  // Peers hear of it too, and take a certificate of a root that has gone no more.
  if (secrets.own && !isVouchedFor(secrets.own.certificate, roots)) renew();
}

function areCertificates(text: string): boolean {
  const found = certificatesIn(text);
  try {
    return found.length > 0 && found.every((pem) => new X509Certificate(pem).raw.length > 0);
  } catch {
    return false;
  }
}
