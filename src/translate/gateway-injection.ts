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

export interface GatewayInjection {
  /** As the metadata of the virtual host has them. */
  readonly rules: JsonValue;
  /** The values that are asked for: `NAMESPACE/NAME/KEY` of Secrets. */
  readonly values: readonly string[];
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
  readonly [field: string]: JsonValue;
  readonly name: string;
  readonly ports: number[];
}

function injectionOf(written: string, { port }: Server, refusal: string | undefined): GatewayInjection | undefined {
  const rules = (JSON.parse(written) as Rule[]).filter(({ ports }) => ports.includes(port.number));
  return rules.length > 0 ? { rules, values: [...new Set(rules.map(({ name }) => name))].sort(), refusal } : undefined;
}

function refusalOf({ proxy, mesh }: TranslateContext, { metadata, spec, derivedFrom }: Gateway): string | undefined {
  const policy = resourceText(derivedFrom!);
  if (proxy.injects === false)
    return (
      `${policy} has credentials put into these calls, and Envoy cannot as it is stated: its injector knows no placeholder, methods or paths, takes ` +
      'redirects and other answers that repeat the value as they are, and looks at no TLS. Run the gateway on the embedded engine'
    );
  const isOwn =
    proxy.namespace === metadata.namespace &&
    mesh.registry.workloads.some(
      ({ namespace, serviceAccount, labels }) =>
        namespace === metadata.namespace && serviceAccount === proxy.serviceAccount && matchesLabels(spec.selector, labels),
    );
  return isOwn
    ? undefined
    : `${policy} has credentials put into these calls, which the egress gateway in ${metadata.namespace} alone gets, by its service account`;
}

/**
 * What closes a host into whose calls something is put, as a clause: objects of others that say where it is, by what its server is known, or whereto its
 * requests go. One that is shown to the gateway alone would count there in place of the policy's own, and lead the credential to whoever wrote it.
 * @param routing whose routes the host has at the gateway
 */
export function strayObject({ scope }: TranslateContext, host: string, routing: readonly Resource[]): string | undefined {
  const stray = (resources: readonly Resource[]) => resources.find(({ derivedFrom }) => derivedFrom?.kind !== 'EgressPolicy');
  const rule = scope.destinationRuleFor(host);
  const found = [
    { says: 'has routes of its own for it at the gateway', by: stray(routing) },
    { says: 'says where it is', by: stray(scope.servicesNamed(host).map(({ resource }) => resource)) },
    { says: 'says by what its server is known', by: rule && stray([rule]) },
  ].find(({ by }) => by);
  return found && `credentials are put into calls to ${host}, and ${resourceText(found.by!)} ${found.says}`;
}

/** Tells of what refuses the calls. */
export function reportRefusedInjection(context: TranslateContext, gateway: Gateway, refusal: string): void {
  const { proxy } = context;
  const message = `At ${proxy.namespace}/${proxy.name} these calls are refused: ${refusal}.`;
  context.report({ code: 'SP1024', level: 'Error', message, origin: originOf(gateway), position: gateway.source.position() });
}
