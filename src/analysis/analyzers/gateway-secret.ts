import { X509Certificate } from 'node:crypto';
import type { ResourceOf } from '../../api/index.ts';
import { isUnread } from '../../config/unread.ts';
import { type Context, formatSelector } from '../context.ts';
import { gatewayPods } from './gateway.ts';

/** IST0101 (credentialName), IST0161: the Secrets of a Gateway's servers, which must be in the namespace of the gateway's pods. */
export function gatewaySecrets(context: Context): void {
  for (const gateway of context.of('Gateway')) {
    const home = gatewayPods(context, gateway)[0]?.namespace;
    if (home === undefined) continue;
    for (const [i, server] of gateway.spec.servers.entries()) {
      const named = server.tls?.credentialName;
      if (!named) continue;
      // The Kubernetes Gateway API says in which namespace the Secret is.
      const [, namespace = home, name = named] = (gateway.derivedFrom && /^kubernetes-gateway:\/\/([^/]+)\/([^/]+)$/.exec(named)) ?? [];
      const path = ['spec', 'servers', i, 'tls', 'credentialName'];
      const secret = context.find('Secret', namespace, name);
      // That it can't be read is a finding of its own.
      if (!secret && isUnread(context.snapshot, 'Secret', namespace, name)) continue;
      if (!secret) {
        context.report('IST0101', gateway, path, missing(context, name, namespace, gateway));
        continue;
      }
      const fault = faultOf(secret, server.tls?.mode === 'MUTUAL' || server.tls?.mode === 'OPTIONAL_MUTUAL', context.now);
      if (fault) {
        context.report(
          'IST0161',
          gateway,
          path,
          `Secret ${namespace}/${name} ${fault} TLS handshakes with this server fail until it is mended.`,
        );
      }
    }
  }
}

function missing(context: Context, name: string, namespace: string, gateway: ResourceOf<'Gateway'>): string {
  const elsewhere = context.of('Secret').find((secret) => secret.metadata.name === name);
  const mend = elsewhere
    ? `Secret ${elsewhere.metadata.namespace}/${name} exists, but a gateway reads Secrets of its pods' namespace only: create it in ${namespace}.`
    : `Create it with kubectl -n ${namespace} create secret tls ${name}.`;
  return `Referenced credentialName not found: "${name}". The gateway's pods (${formatSelector(gateway.spec.selector)}) are in ${namespace}, and TLS handshakes with this server fail. ${mend}`;
}

/** What is wrong with the Secret, as the rest of a sentence and its mend; undefined if nothing is. */
function faultOf(secret: ResourceOf<'Secret'>, mutual: boolean, now: number): string | undefined {
  const { data } = secret.spec;
  const certificate = data['tls.crt'] ?? data.cert;
  const key = data['tls.key'] ?? data.key;
  if (!certificate || !key) return 'lacks the keys tls.crt and tls.key. Create it with kubectl create secret tls.';
  if (mutual && !data['ca.crt'] && !data.cacert) {
    return 'lacks ca.crt, which MUTUAL needs to verify clients. Add it, or create a Secret of the same name with -cacert that has it.';
  }
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(certificate.revealText());
  } catch {
    return 'has a tls.crt that is no PEM certificate. Put the text that begins with -----BEGIN CERTIFICATE----- there, encoded in base64 once.';
  }
  if (Date.parse(parsed.validTo) < now) return `has a certificate that expired on ${new Date(parsed.validTo).toISOString()}. Renew it.`;
  if (Date.parse(parsed.validFrom) > now)
    return `has a certificate that is not valid before ${new Date(parsed.validFrom).toISOString()}. Use the one that is valid today.`;
  return undefined;
}
