/**
 * What an egress gateway puts into requests. Gateways that were made of EgressPolicies say it, and no others: whoever may write a Gateway must not be given
 * Secrets by it. Only the gateway's own proxies get values: those in its namespace, with the service account of a workload that it selects.
 */
import type { JsonValue } from '@bufbuild/protobuf';
import type { ResourceOf, Server } from '../api/index.ts';
import { CREDENTIALS } from '../api/inject-credentials.ts';
import { originOf, type Resource, resourceText } from '../api/resource.ts';
import { matchesLabels } from '../lib/labels.ts';
import { Memo } from '../lib/memo.ts';
import type { TranslateContext } from './context.ts';
import { outboundClusterName } from './names.ts';

export interface GatewayInjection {
  /** As the metadata of the virtual host has them. */
  readonly rules: JsonValue;
  /** The values that are asked for: `NAMESPACE/NAME/KEY` of Secrets. */
  readonly values: readonly string[];
  /** Hosts of token endpoints, which are sent secrets of clients. */
  readonly tokenHosts: readonly string[];
  /** Why the proxy refuses the calls instead, as a sentence without its end. */
  readonly refusal: string | undefined;
}

type Gateway = ResourceOf<'Gateway'>;

/** Undefined where nothing is put in. */
export function injectionAt(context: TranslateContext, gateway: Gateway, server: Server): GatewayInjection | undefined {
  const written = gateway.derivedFrom?.kind === 'EgressPolicy' ? gateway.metadata.annotations[CREDENTIALS] : undefined;
  if (written === undefined) return undefined;
  const refusal = refusalOf(context, gateway);
  return kept.get([gateway, server], [refusal], () => injectionOf(written, server, refusal));
}

const kept = new Memo<GatewayInjection | undefined>();

interface Rule {
  readonly name: string;
  readonly ports: number[];
  /** `port`: that by which the endpoint's host is declared. */
  readonly token?: { readonly endpoint: string; readonly port?: number; readonly subset?: string; readonly cluster?: string };
}

function injectionOf(written: string, { port }: Server, refusal: string | undefined): GatewayInjection | undefined {
  const rules = (JSON.parse(written) as Rule[]).filter(({ ports }) => ports.includes(port.number)).map(withCluster);
  if (rules.length === 0) return undefined;
  const tokenHosts = new Set(rules.flatMap(({ token }) => (token ? [new URL(token.endpoint).hostname] : [])));
  return {
    rules: rules as unknown as JsonValue,
    values: [...new Set(rules.map(({ name }) => name))].sort(),
    tokenHosts: [...tokenHosts],
    refusal,
  };
}

/** The gateway asks for a token by the cluster of the endpoint's host, as calls of workloads leave for it. */
function withCluster(rule: Rule): Rule {
  if (!rule.token) return rule;
  const { port, subset, ...token } = rule.token;
  return { ...rule, token: { ...token, cluster: outboundClusterName(new URL(token.endpoint).hostname, port!, subset) } };
}

function refusalOf(context: TranslateContext, gateway: Gateway): string | undefined {
  const policy = resourceText(gateway.derivedFrom!);
  if (context.proxy.injects === false)
    return (
      `${policy} has credentials put into these calls, and Envoy cannot as it is stated: its injector knows no placeholder, methods or paths, writes ` +
      'into the head that access logs and filters read, takes redirects and other answers that repeat the value as they are, and looks at no TLS. Run the gateway on the embedded engine'
    );
  return isOwnGateway(context, gateway)
    ? undefined
    : `${policy} has credentials put into these calls, which the egress gateway in ${gateway.metadata.namespace} alone gets, by its service account`;
}

/** Whether the proxy has proved to be one of those that the Gateway runs on. */
export function isOwnGateway({ proxy, mesh }: TranslateContext, { metadata, spec }: Gateway): boolean {
  return (
    proxy.namespace === metadata.namespace &&
    mesh.registry.workloads.some(
      ({ namespace, serviceAccount, labels }) =>
        namespace === metadata.namespace && serviceAccount === proxy.serviceAccount && matchesLabels(spec.selector, labels),
    )
  );
}

/**
 * What closes a host into whose calls something is put, as a clause: objects of others that say where it is, by what its server is known, or whereto its
 * requests go. One that is shown to the gateway alone would count there in place of the policy's own, and lead the credential to whoever wrote it.
 * @param routing whose routes the host has at the gateway
 */
export function strayObject(
  context: TranslateContext,
  { tokenHosts }: GatewayInjection,
  host: string,
  routing: readonly Resource[],
): string | undefined {
  const by = stray(routing);
  const found = by ? `${resourceText(by)} has routes of its own for it at the gateway` : strayWay(context, host);
  if (found) return `credentials are put into calls to ${host}, and ${found}`;
  for (const tokenHost of tokenHosts) {
    const way = strayWay(context, tokenHost);
    if (way) return `access tokens for ${host} are asked for at ${tokenHost}, and ${way}`;
  }
  return undefined;
}

/** What decides where calls to the host leave to, as a clause; undefined where EgressPolicies alone do. */
function strayWay({ scope }: TranslateContext, host: string): string | undefined {
  const place = stray(scope.servicesNamed(host).map(({ resource }) => resource));
  if (place) return `${resourceText(place)} says where it is`;
  const rule = scope.destinationRuleFor(host);
  const known = rule && stray([rule]);
  return known && `${resourceText(known)} says by what its server is known`;
}

function stray(resources: readonly Resource[]): Resource | undefined {
  return resources.find(({ derivedFrom }) => derivedFrom?.kind !== 'EgressPolicy');
}

/** Tells of what refuses the calls. */
export function reportRefusedInjection(context: TranslateContext, gateway: Gateway, refusal: string): void {
  const { proxy } = context;
  const message = `At ${proxy.namespace}/${proxy.name} these calls are refused: ${refusal}.`;
  context.report({ code: 'SP1024', level: 'Error', message, origin: originOf(gateway), position: gateway.source.position() });
}
