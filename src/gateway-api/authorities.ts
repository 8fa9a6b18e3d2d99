/** ConfigMaps and Secrets with the certificates by which others are verified. */
import { X509Certificate } from 'node:crypto';
import { messageOf } from '../lib/errors.ts';
import type { Objects } from './model.ts';

interface AuthorityRef {
  /** ConfigMap or Secret. */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** What keeps its certificates from verifying somebody, as a sentence without its stop; undefined: nothing. */
export function authorityFault(objects: Objects, { kind, namespace, name }: AuthorityRef): string | undefined {
  const certificates = certificatesIn(objects, kind, namespace, name);
  const fault = (what: string) => `${kind} ${namespace}/${name}: ${what}`;
  if (certificates === 'absent') return fault('there is none');
  if (certificates === undefined) return fault('it has no ca.crt');
  try {
    new X509Certificate(certificates);
    return undefined;
  } catch (error) {
    return fault(`its ca.crt is no certificate (${messageOf(error)})`);
  }
}

function certificatesIn(objects: Objects, kind: string, namespace: string, name: string): string | 'absent' | undefined {
  if (kind === 'ConfigMap') {
    const map = objects.get('ConfigMap', namespace, name);
    return map ? map.spec.data['ca.crt'] : 'absent';
  }
  const secret = objects.get('Secret', namespace, name);
  return secret ? secret.spec.data['ca.crt']?.revealText() : 'absent';
}
