/** Rules of VirtualServices: who may send what on, and what all others get. */
import type { Resource } from '../api/resource.ts';
import type { Caller, HostPlan, PortPlan, Requests, Rule } from './plan.ts';

/** An HTTP route as VirtualServices have it. */
export interface RouteShape {
  readonly match: readonly object[];
  readonly [field: string]: unknown;
}

export interface MadeRoute {
  readonly rule: object;
  readonly origin?: Resource | undefined;
}

/** A route for the requests that are allowed, and the answer to all others that it matches. */
export function onlyRequests(host: string, port: number, only: readonly Requests[], route: RouteShape): object[] {
  const body = `${host}:${port} is allowed by method and path, and the policy has not this one`;
  return [
    { name: 'allowed', ...route, match: narrowed(route.match, only) },
    { name: 'not-allowed', match: route.match, directResponse: refusal(body) },
  ];
}

/** Each match with each of the requests. */
export function narrowed(matches: readonly object[], only: readonly Requests[]): object[] {
  const wanted = only.flatMap(({ methods, paths }) =>
    (methods.length > 0 ? methods : [undefined]).flatMap((method) =>
      (paths.length > 0 ? paths : [undefined]).map((path) => ({
        ...(method !== undefined && { method: { exact: method } }),
        ...(path !== undefined && { uri: path.endsWith('*') ? { prefix: path.slice(0, -1) } : { exact: path } }),
      })),
    ),
  );
  return matches.flatMap((match) => wanted.map((one) => ({ ...match, ...one })));
}

export function refusal(why: string): object {
  return { status: 403, body: { string: `sallyport: not allowed: ${why}` } };
}

/** Whether some of those who see the host, or some of their requests, are refused. */
export function isRestricted({ rules }: PortPlan, plan: HostPlan): boolean {
  return rules.length === 0 || rules.every((rule) => rule.only !== undefined || !takesAll(rule, plan));
}

/** Whether all that see the host may call. */
function takesAll({ callers }: Rule, { exportTo }: HostPlan): boolean {
  if (!callers) return true;
  return (
    exportTo?.every((namespace) => callers.some((caller) => caller.namespace === namespace && Object.keys(caller.labels).length === 0)) ??
    false
  );
}

/** The match for each of the callers that a sidecar can tell: by namespace and labels. */
export function byCaller(match: object, { callers }: Rule): object[] {
  if (!callers) return [match];
  const seen = new Map(callers.map((caller) => [JSON.stringify([caller.namespace, Object.entries(caller.labels).sort()]), caller]));
  return [...seen.values()].map(({ namespace, labels }: Caller) => ({
    ...match,
    sourceNamespace: namespace,
    ...(Object.keys(labels).length > 0 && { sourceLabels: labels }),
  }));
}

/** What is said of a call that no rule takes. */
export function whyRefused({ host }: HostPlan, { port, rules, ended }: PortPlan): string {
  if (ended !== undefined) return ended;
  const byRequest = rules.some(({ only }) => only);
  if (!rules.some(({ callers }) => callers)) return `${host}:${port} is allowed by method and path, and the policy has not this one`;
  return byRequest
    ? `${host}:${port} is allowed to some workloads by method and path, and no EgressPolicy has this call`
    : `${host}:${port} is allowed to other workloads than this one`;
}
