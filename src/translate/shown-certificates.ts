/** Client certificates of EgressPolicies' Secrets, which an egress gateway shows to servers that ask: which proxy has them. */
import type { ClientTlsSettings, ResourceOf } from '../api/index.ts';
import { Memo, NO_INPUTS } from '../lib/memo.ts';
import type { TranslateContext } from './context.ts';
import { shownCertificate } from './credential-value.ts';
import { isOwnGateway } from './gateway-injection.ts';

/** Whether the rule has a gateway show a certificate of a Secret of its EgressPolicy. */
export function showsSecret({ derivedFrom }: ResourceOf<'DestinationRule'>, tls: ClientTlsSettings | undefined): boolean {
  return derivedFrom?.kind === 'EgressPolicy' && tls?.mode === 'MUTUAL' && tls.credentialName !== undefined;
}

/**
 * By the names that DestinationRules have them by, the client certificates of EgressPolicies that a gateway does not show, and why, as a clause. That a Secret is
 * gone is among it, so that the connections in which its certificate was shown end with it. Of a sidecar, which never shows one, nothing.
 */
export function lackedCertificates(context: TranslateContext): ReadonlyMap<string, Lacked> {
  const { snapshot } = context.mesh;
  const rules = snapshot.list('DestinationRule');
  const shown = context.proxy.type === 'router' ? showing.get([rules], NO_INPUTS, () => shownNames(rules)) : [];
  if (shown.length === 0) return NONE_LACKED;
  const gateway = snapshot.list('Gateway').find(({ derivedFrom }) => derivedFrom?.kind === 'EgressPolicy');
  if (!gateway) return NONE_LACKED;
  const isOwn = isOwnGateway(context, gateway);
  const stranger = strangerAt(context, gateway, isOwn);
  return new Map(
    shown.flatMap((name) => {
      const reason = stranger ?? shownCertificate(name, shownPlace(name), snapshot).problem;
      return reason === undefined ? [] : [[name, { reason, level: isOwn ? ('Error' as const) : undefined }]];
    }),
  );
}

export interface Lacked {
  /** As a clause. */
  readonly reason: string;
  /** Undefined of gateways that have nothing to do with it. */
  readonly level: 'Error' | undefined;
}

const NONE_LACKED: ReadonlyMap<string, Lacked> = new Map();
const showing = new Memo<readonly string[]>();

function shownNames(rules: readonly ResourceOf<'DestinationRule'>[]): readonly string[] {
  const names = rules.flatMap((rule) => {
    const settings = rule.spec.subsets.flatMap(({ trafficPolicy }) => trafficPolicy?.portLevelSettings ?? []);
    return settings.flatMap(({ tls }) => (showsSecret(rule, tls) ? [tls!.credentialName!] : []));
  });
  return [...new Set(names)];
}

/** Of `kubernetes-gateway://NAMESPACE/NAME`. */
function shownPlace(credentialName: string): { readonly namespace: string; readonly name: string } {
  const [namespace = '', name = ''] = credentialName.split('/').slice(2);
  return { namespace, name };
}

function strangerAt(context: TranslateContext, gateway: ResourceOf<'Gateway'>, isOwn: boolean): string | undefined {
  const who = `the egress gateway in ${gateway.metadata.namespace} alone shows the client certificate of an EgressPolicy`;
  if (context.proxy.injects === false) return `${who}, on the embedded engine, and this is an Envoy: calls are refused (503 UH).`;
  return isOwn ? undefined : `${who}, by its service account: calls are refused (503 UH).`;
}
