/** Smokescreen's egress ACL (version v1): services by role, with allowed_domains and what becomes of others. Pure. */
import { isMapping } from '../../api/decode.ts';
import { hostsOverlap } from '../../lib/hostname.ts';
import type { ConvertedList, ConvertedPolicy } from './forms.ts';
import { objectName, problemOf, strings, yamlMapping } from './read.ts';

/** Smokescreen connects to any port that the client names. */
const ANY_PORT = 'smokescreen allows every port of a host; here those for HTTP and HTTPS are (80, 443): add others to ports';

const ROLES =
  'the role of a service is known by the client’s certificate there; here the label app of the same name stands for it: put in what your workloads have';

export function readSmokescreen(text: string): ConvertedList {
  const { version, services, default: fallback, global_allow_list: everywhere, global_deny_list: denied } = yamlMapping(text);
  if (version !== 'v1' && version !== undefined) throw new Error(`its version is ${String(version)}, not v1`);
  if (!Array.isArray(services)) throw new Error('it has no list of services');
  const left: string[] = [ANY_PORT, ROLES];
  const denials = strings(denied).map((each) => each.toLowerCase());
  if (denials.length > 0)
    left.push(`global_deny_list (${denials.join(', ')}): policies deny nothing; what it names, or a wildcard takes in of it, is left out.`);
  const policies = services.flatMap((service, index): ConvertedPolicy[] => {
    const one = policyOf(service, `services[${index}]`, { everywhere: strings(everywhere), denied: denials }, left);
    return one ? [one] : [];
  });
  if (isMapping(fallback)) {
    if (fallback.action !== 'enforce')
      left.push(
        `default: action ${String(fallback.action)} lets out more than a list says: who has no service of its own is refused here.`,
      );
    else if (strings(fallback.allowed_domains).length > 0)
      left.push(
        'default: it is for clients that no service names, which a policy can not single out: write a policy for the workloads that are meant.',
      );
  }
  return { policies, left };
}

function policyOf(
  service: unknown,
  where: string,
  { everywhere, denied }: { readonly everywhere: readonly string[]; readonly denied: readonly string[] },
  left: string[],
): ConvertedPolicy | undefined {
  if (!isMapping(service) || typeof service.name !== 'string') {
    left.push(`${where}: it has no name.`);
    return undefined;
  }
  const { name, project, action } = service;
  if (action !== 'enforce') {
    left.push(
      `${where} (${name}): action ${String(action)} refuses nothing, so there is no list to be held to: it would have to be enforce.`,
    );
    return undefined;
  }
  const hosts = [...strings(service.allowed_domains), ...everywhere].flatMap((domain) => {
    const host = domain.toLowerCase();
    const denial = denied.find((each) => hostsOverlap(each, host));
    const problem = denial === undefined ? problemOf(host) : `${denial} is on global_deny_list`;
    if (problem !== undefined) left.push(`${where} (${name}): ${domain}: ${problem}.`);
    return problem === undefined ? [host] : [];
  });
  if (service.allowed_domains_mitm !== undefined || service.mitm_domains !== undefined)
    left.push(`${where} (${name}): what is said of single requests inside TLS (mitm) is not carried over, and these hosts are left out.`);
  if (strings(service.allowed_external_proxies).length > 0)
    left.push(`${where} (${name}): allowed_external_proxies: other proxies are not led to yet.`);
  if (hosts.length === 0) return undefined;
  return {
    name: objectName(name),
    namespace: 'default',
    // A role is what the client's certificate says; who runs under it is not in the list.
    from: [{ labels: { app: objectName(name) } }],
    to: [{ hosts: [...new Set(hosts)] }],
    ...(typeof project === 'string' && { owner: project }),
    reason: `from the smokescreen ACL, service ${name}`,
  };
}
