/** The names under which clients call a service, as domains of a virtual host. Ports are left out: route configurations ignore them. */
import { isIp } from '../../lib/ip.ts';
import type { Service } from '../../registry/model.ts';

const KUBERNETES = '.svc.';

/** IPv6 addresses stand in brackets in a Host header. */
export function asDomain(host: string): string {
  return host.includes(':') && isIp(host) ? `[${host}]` : host;
}

export interface ServiceDomains {
  readonly domains: readonly string[];
  /** Those among them that are other spellings than the service's own: a service that really has the name goes first. */
  readonly alternatives: ReadonlySet<string>;
}

/**
 * Host name and aliases with their other spellings, addresses, and for headless services the names of their pods. Of `allocated` addresses those
 * that the client's DNS answers. `domain` is the cluster's DNS domain.
 */
export function serviceDomains(
  service: Service,
  clientNamespace: string,
  allocated: readonly string[],
  domain = 'cluster.local',
): ServiceDomains {
  const spellings = [service.hostname, ...(service.aliases ?? [])].map((name) => [
    name,
    ...alternativeNames(name, clientNamespace, domain),
  ]);
  const names = spellings.flat();
  const alternatives = spellings.flatMap(([, ...others]) => others);
  if (service.resolution === 'Passthrough' && service.registry === 'Kubernetes') names.push(...names.map((name) => `*.${name}`));
  const addresses = [...service.addresses, ...allocated].map(asDomain);
  return { domains: [...names, ...addresses], alternatives: new Set(alternatives) };
}

/** The names of a service's aliases, in every spelling. */
export function aliasNames({ aliases = [] }: Service, clientNamespace: string, domain = 'cluster.local'): string[] {
  return aliases.flatMap((name) => [name, ...alternativeNames(name, clientNamespace, domain)]);
}

/** With the final dot of an absolute name; of a Kubernetes Service also what its DNS search path allows. */
function alternativeNames(hostname: string, clientNamespace: string, domain: string): string[] {
  const names = isIp(hostname) ? [] : [`${hostname}.`];
  const suffix = `${KUBERNETES}${domain}`;
  if (!hostname.endsWith(suffix)) return names;
  const qualified = hostname.slice(0, -suffix.length);
  const dot = qualified.indexOf('.');
  if (dot < 0) return names;
  if (qualified.slice(dot + 1) === clientNamespace) names.push(qualified.slice(0, dot));
  names.push(`${qualified}.svc`, qualified);
  return names;
}
