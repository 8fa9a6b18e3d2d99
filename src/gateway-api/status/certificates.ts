/** Whether there is what a listener's certificates are to be. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KubernetesListener, ResourceOf } from '../../api/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { authorityFault } from '../authorities.ts';
import { NO_AUTHORITY, validationOf } from '../listeners.ts';
import type { Context, KubernetesGateway, ListenerOwner, ListenerProblem } from '../model.ts';

/** Undefined where all that it names is there, or where the listener has no certificates. */
export function certificateProblem({ objects }: Context, owner: ListenerOwner, listener: KubernetesListener): ListenerProblem | undefined {
  if (!terminates(listener)) return undefined;
  for (const { name, namespace = owner.metadata.namespace } of listener.tls?.certificateRefs ?? []) {
    const secret = objects.get('Secret', namespace, name);
    const wrong = secret ? wrongWith(secret) : 'there is no such Secret';
    if (wrong !== undefined)
      return { condition: 'ResolvedRefs', reason: 'InvalidCertificateRef', message: `Secret ${namespace}/${name}: ${wrong}.` };
  }
  return undefined;
}

/** Undefined where there is what a listener's clients are to be verified by, or where they are not. */
export function clientAuthorityProblem(
  { objects }: Context,
  gateway: KubernetesGateway,
  listener: KubernetesListener,
): ListenerProblem | undefined {
  const [authority] = (terminates(listener) && validationOf(gateway, listener)?.caCertificateRefs) || [];
  if (!authority) return undefined;
  const { kind, name, namespace = gateway.metadata.namespace } = authority;
  const fault = authorityFault(objects, { kind, namespace, name });
  if (fault === undefined) return undefined;
  return { condition: 'ResolvedRefs', reason: 'InvalidCACertificateRef', message: `${fault}.`, accepted: NO_AUTHORITY };
}

function terminates({ tls, protocol }: KubernetesListener): boolean {
  return tls !== undefined && tls.mode !== 'Passthrough' && (protocol === 'HTTPS' || protocol === 'TLS');
}

function wrongWith({ spec: { data } }: ResourceOf<'Secret'>): string | undefined {
  const [certificate, key] = [data['tls.crt']?.revealText(), data['tls.key']?.revealText()];
  if (certificate === undefined || key === undefined) return 'it lacks tls.crt or tls.key';
  try {
    const parsed = new X509Certificate(certificate);
    return parsed.checkPrivateKey(createPrivateKey(key)) ? undefined : 'its key is not that of its certificate';
  } catch (error) {
    return `it holds no certificate with its key (${messageOf(error)})`;
  }
}
