import { bindMode } from '../../api/bind.ts';
import type { ClientTlsSettings, ResourceOf } from '../../api/index.ts';
import { CREDENTIALS, INTERCEPT } from '../../api/inject-credentials.ts';
import { privateRanges } from '../../api/private-addresses.ts';
import { isUnread } from '../../config/unread.ts';
import { isNearRange } from '../../lib/special-address.ts';
import { readRules } from '../../xds/match/credentials.ts';
import type { Context } from '../context.ts';

/** SP1060, SP1061: credentials that would not go out, or that Envoy does not put in; TLS that Envoy does not see through. */
export function credentials(context: Context): void {
  for (const entry of context.of('ServiceEntry')) {
    const { annotations } = entry.metadata;
    const written = annotations[CREDENTIALS];
    const host = entry.spec.hosts.join(', ');
    if (written !== undefined) {
      const problem = problemOf(context, entry, written);
      if (problem)
        context.report(
          'SP1060',
          entry,
          ['metadata', 'annotations', CREDENTIALS],
          `Calls to ${host} are to get credentials, and ${problem}`,
        );
    }
    const own = [CREDENTIALS, INTERCEPT].find((name) => annotations[name] !== undefined);
    if (own)
      context.report(
        'SP1061',
        entry,
        ['metadata', 'annotations', own],
        `${own} of ${host} holds where \`sallyport run --policy\` carries the calls, which has the values and mints the certificates. Anything else refuses them: the embedded engine with 503, or in the handshake, and Envoy takes no listener that has the filter.`,
      );
  }
}

/** IST0101: Secrets that EgressPolicies have credentials from, and that are not there. */
export function policySecrets(context: Context): void {
  for (const policy of context.of('EgressPolicy')) {
    const { namespace } = policy.metadata;
    for (const [i, { hosts, credentials }] of policy.spec.to.entries())
      for (const [j, { from }] of credentials.entries()) {
        const { name, key } = from.secret;
        const secret = context.find('Secret', namespace, name);
        if (secret ? secret.spec.data[key] : isUnread(context.snapshot, 'Secret', namespace, name)) continue;
        const what = secret ? `Secret ${namespace}/${name} has no key ${key}` : `Secret ${namespace}/${name} does not exist`;
        context.report(
          'IST0101',
          policy,
          ['spec', 'to', i, 'credentials', j, 'from', 'secret', secret ? 'key' : 'name'],
          `${what}: calls to ${hosts.join(', ')} that get it are refused (503). Create it with kubectl -n ${namespace} create secret generic ${name} --from-file=${key}.`,
        );
      }
  }
}

/** As the rest of a sentence, with what mends it. */
function problemOf(context: Context, entry: ResourceOf<'ServiceEntry'>, written: string): string | undefined {
  const rules = parsed(written);
  if (!rules) return `what they are is not understood: they are refused. Write the JSON that \`sallyport allow --policy\` prints.`;
  const [host = '', ...others] = entry.spec.hosts;
  if (others.length > 0 || host.startsWith('*'))
    return 'the ServiceEntry is not for one host alone: they are refused. Give the host a ServiceEntry of its own.';
  if (bindMode(entry.metadata, context.mesh) !== 'enforce')
    return 'are not bound to their destination: they are refused. Annotate the ServiceEntry with sallyport.dev/bind: enforce.';
  if (staysNear(entry)) return undefined;
  const open = entry.spec.ports.find(({ number }) => isMeant(rules, number) && !isVerified(context, host, number));
  return (
    open &&
    `leave port ${open.number} without TLS that is verified to be ${host}'s: they are refused (403). Add a DestinationRule with tls.mode SIMPLE, sni and subjectAltNames ${host}.`
  );
}

function parsed(written: string): readonly { readonly ports?: unknown }[] | undefined {
  try {
    const json: unknown = JSON.parse(written);
    return Array.isArray(json) && readRules(json) !== 'broken' ? json : undefined;
  } catch {
    return undefined;
  }
}

function isMeant(rules: readonly { readonly ports?: unknown }[], port: number): boolean {
  return rules.some(({ ports }) => !Array.isArray(ports) || ports.includes(port));
}

/** All that it leads to, as far as it says so, is on this machine or in a private network. */
function staysNear(entry: ResourceOf<'ServiceEntry'>): boolean {
  const { endpoints, resolution } = entry.spec;
  const ranges = resolution === 'STATIC' ? endpoints.map(({ address }) => address ?? '') : privateRanges(entry.metadata);
  return ranges.length > 0 && ranges.every(isNearRange);
}

function isVerified(context: Context, host: string, port: number): boolean {
  return context.of('DestinationRule').some(({ spec }) => {
    const { tls: ofHost, portLevelSettings = [] } = spec.trafficPolicy ?? {};
    const tls = portLevelSettings.find((each) => each.port?.number === port)?.tls ?? ofHost;
    return spec.host === host && tls !== undefined && verifies(tls, host);
  });
}

function verifies({ mode, insecureSkipVerify, subjectAltNames }: ClientTlsSettings, host: string): boolean {
  return (
    (mode === 'SIMPLE' || mode === 'MUTUAL') &&
    !insecureSkipVerify &&
    subjectAltNames.length > 0 &&
    subjectAltNames.every((name) => name === host)
  );
}
