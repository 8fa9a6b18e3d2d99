import { bindMode } from '../../api/bind.ts';
import type { ClientTlsSettings, ResourceOf } from '../../api/index.ts';
import { CREDENTIALS, INTERCEPT, secretValue } from '../../api/inject-credentials.ts';
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
        const { name } = from.secret;
        const { keys } = secretValue(namespace, from.secret);
        const wanted = typeof keys === 'string' ? [keys] : keys.map(([, key]) => key);
        const lacking = lackingOf(context, { namespace, name }, wanted);
        if (lacking === undefined) continue;
        const files = wanted.map((key) => `--from-file=${key}`).join(' ');
        context.report(
          'IST0101',
          policy,
          ['spec', 'to', i, 'credentials', j, 'from', 'secret', 'name'],
          `${lacking}: calls to ${hosts.join(', ')} that get it are refused (503). Create it with kubectl -n ${namespace} create secret generic ${name} ${files}.`,
        );
      }
    shownSecret(context, policy);
  }
}

function shownSecret(context: Context, policy: ResourceOf<'EgressPolicy'>): void {
  const { namespace } = policy.metadata;
  const name = policy.spec.tls?.clientCertificate?.secret.name;
  const lacking = name === undefined ? undefined : lackingOf(context, { namespace, name }, ['tls.crt', 'tls.key']);
  if (lacking === undefined) return;
  const hosts = policy.spec.to.flatMap((destination) => destination.hosts).join(', ');
  context.report(
    'IST0101',
    policy,
    ['spec', 'tls', 'clientCertificate', 'secret', 'name'],
    `${lacking}: calls to ${hosts}, whose servers are to be shown its certificate, are refused (503). Create it with kubectl -n ${namespace} create secret tls ${name} --cert=FILE --key=FILE.`,
  );
}

/** What is missing of a Secret that may be read, as a clause; undefined where nothing is. */
function lackingOf(
  context: Context,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  keys: readonly string[],
): string | undefined {
  const secret = context.find('Secret', namespace, name);
  if (!secret) return isUnread(context.snapshot, 'Secret', namespace, name) ? undefined : `Secret ${namespace}/${name} does not exist`;
  const key = keys.find((each) => !secret.spec.data[each]);
  return key && `Secret ${namespace}/${name} has no key ${key}`;
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
