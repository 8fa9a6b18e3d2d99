/** EgressPolicies as objects of Istio's API. Pure: what time it is is given. */
import { DECODING_CODES } from '../api/codes.ts';
import { derive } from '../api/derived.ts';
import { withOrigin } from '../api/derived-rule.ts';
import { type HttpRoute, KINDS, type Kind, type KindInfo, type ResourceOf } from '../api/index.ts';
import { keepDerived } from '../api/keep-derived.ts';
import { originOf, type Resource } from '../api/resource.ts';
import type { Finding } from '../lib/finding.ts';
import { REFUSED } from '../lib/refused-host.ts';
import { keepContent } from '../lib/same.ts';
import { endOfPolicy, type Policy, startOfPolicy } from './entries.ts';
import { gatewayObjects, hostObjects, leadsToGateway } from './gateway.ts';
import type { Made } from './plan.ts';
import { endText, type Plans, plansOf } from './plans.ts';
import { clientCertificate, secretValues } from './secrets.ts';

export interface PolicyObjects {
  readonly resources: readonly ResourceOf<Kind>[];
  /** Policies that are not in force or have ended. */
  readonly findings: readonly Finding[];
  /** From then on other objects are to be made, ms since the epoch. Infinity: never. */
  readonly until: number;
  /** What they were made of. */
  readonly policies: readonly Policy[];
}

const NONE: PolicyObjects = { resources: [], findings: [], until: Number.POSITIVE_INFINITY, policies: [] };

/**
 * @param policies those that are valid, oldest first
 * @param now ms since the epoch
 * @param before what was made earlier: all of it stays where nothing has changed, else each object that comes out the same
 */
export function deriveFromPolicies(policies: readonly Policy[], now: number, before?: PolicyObjects): PolicyObjects {
  if (policies.length === 0) return NONE;
  if (before && before.policies === policies && now < before.until) return before;
  const found = plansOf(policies, now);
  const changes = policies.flatMap(({ spec }) => [startOfPolicy(spec), endOfPolicy(spec)]).filter((moment) => moment > now);
  return {
    resources: keepDerived(before?.resources, resourcesOf(found)),
    findings: keepContent(before?.findings, findingsOf(found)),
    until: Math.min(...changes, Number.POSITIVE_INFINITY),
    policies,
  };
}

function resourcesOf(plans: Plans): ResourceOf<Kind>[] {
  return objectsOf(plans).map(({ object, policy }) => resourceOf(object, policy));
}

/**
 * The documents that stand for the policies, and what is wrong with those that none stands for: what has something of Secrets none does, as calls would leave
 * without it. @param now ms since the epoch
 */
export function policyDocuments(
  policies: readonly Policy[],
  now: number,
): { readonly documents: readonly object[]; readonly findings: readonly Finding[] } {
  const injecting = policies.filter((policy) => secretValues(policy).length > 0 || clientCertificate(policy) !== undefined);
  const found = plansOf(
    policies.filter((policy) => !injecting.includes(policy)),
    now,
  );
  const documents = objectsOf(found).map(({ object: { kind, name, namespace, spec, annotations = {} } }) => {
    const { group, versions }: KindInfo = KINDS[kind];
    const metadata = { name, namespace, ...(Object.keys(annotations).length > 0 && { annotations }) };
    return { apiVersion: group ? `${group}/${versions[0]}` : versions[0], kind, metadata, spec };
  });
  return { documents, findings: [...injecting.map(unwritten), ...findingsOf(found)] };
}

/** Each with the policy that is to be named for it. */
function objectsOf({ plans }: Plans): { readonly object: Made; readonly policy: Policy }[] {
  const [first] = plans;
  if (!first) return [];
  const led = plans.find(({ plan }) => leadsToGateway(plan)) ?? first;
  const made = [
    ...plans.flatMap(({ plan, policy }) => hostObjects(plan).map((object) => ({ object, policy }))),
    ...gatewayObjects(plans.map(({ plan }) => plan)).map((object) => ({ object, policy: led.policy })),
  ];
  const text = JSON.stringify(made.map(({ object }) => object.spec));
  const refusing = Object.values(REFUSED).filter((host) => text.includes(host));
  return [...made, ...refusing.map((host) => ({ object: nowhere(host), policy: first.policy }))];
}

/** A host that is known, and where nothing answers. */
function nowhere(host: string): Made {
  const ports = [{ number: 1, name: 'tcp', protocol: 'TCP' }];
  const spec = {
    hosts: [host],
    addresses: [host.startsWith('ended') ? '240.242.255.2' : '240.242.255.1'],
    location: 'MESH_EXTERNAL',
    resolution: 'STATIC',
    ports,
  };
  return { kind: 'ServiceEntry', name: host, namespace: 'istio-system', spec };
}

function resourceOf({ kind, name, namespace, spec, annotations, ruleOrigins }: Made, policy: Policy): ResourceOf<Kind> {
  const locate = () => ({ resource: policy as Resource, path: [] });
  const resource = derive(policy as Resource, {
    kind,
    name,
    namespace,
    spec,
    locate,
    ...(annotations && { annotations }),
  }) as ResourceOf<Kind>;
  if (resource.kind !== 'VirtualService' || !ruleOrigins) return resource;
  const http = resource.spec.http.map((rule: HttpRoute, index) => withOrigin(rule, (ruleOrigins[index] ?? policy) as Resource));
  return { ...resource, spec: { ...resource.spec, http } };
}

function findingsOf({ problems, ended }: Plans): Finding[] {
  return [
    ...problems.map(({ policy, message }) => finding('SP0018', policy, ['spec', 'to'], message)),
    ...ended.map((policy) =>
      finding(
        'SP0019',
        policy,
        ['spec', 'expires'],
        `it ended at ${endText(policy)}: what it allowed is refused. Set a later expires, or remove the policy.`,
      ),
    ),
  ];
}

function unwritten(policy: Policy): Finding {
  const why =
    "what it has of Secrets is used where Sallyport reads the policy itself: no objects of Istio's API stand for it, so none are written.";
  return finding('SP0018', policy, ['spec', 'to'], why);
}

function finding(code: 'SP0018' | 'SP0019', policy: Policy, path: readonly (string | number)[], message: string): Finding {
  return {
    code,
    level: DECODING_CODES[code].level,
    message,
    origin: originOf(policy),
    // The finding is kept while the object may move in its file.
    get position() {
      return policy.source.position(path);
    },
  };
}
