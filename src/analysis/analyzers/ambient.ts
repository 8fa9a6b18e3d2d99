import type { Resource } from '../../api/resource.ts';
import { resourceText } from '../../api/resource.ts';
import { MODE_LABEL, WAYPOINT_CLASS, WAYPOINT_LABEL } from '../../api/unserved.ts';
import type { Context } from '../context.ts';

const TARGETED = ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry'] as const;

/** SP1045: what asks for ambient mode, which is not served: its calls go another way here than in the cluster. */
export function ambientMode(context: Context): void {
  const unserved = 'ambient mode is not served here: explain, verify and up send such calls as from a sidecar, past any waypoint';
  for (const resource of context.snapshot.all() as readonly Resource[]) {
    if (resource.derivedFrom) continue;
    const { labels } = resource.metadata;
    const waypoint = labels[WAYPOINT_LABEL];
    if (waypoint !== undefined && waypoint !== 'none') {
      context.report(
        'SP1045',
        resource,
        ['metadata', 'labels', WAYPOINT_LABEL],
        `Calls to ${resourceText(resource)} are to go through the waypoint ${waypoint}: ${unserved}, and what they say of these calls is not so in the cluster. Lead the calls to an egress gateway (Gateway and VirtualService, or HTTPRoute), or do not rely on the answers for them.`,
      );
    } else if (labels[MODE_LABEL] === 'ambient') {
      context.report(
        'SP1045',
        resource,
        ['metadata', 'labels', MODE_LABEL],
        `${resourceText(resource)} is in ambient mode: ${unserved}. Inject sidecars (istio-injection: enabled), or do not rely on the answers for its calls.`,
      );
    }
  }
  for (const gateway of context.of('KubernetesGateway')) {
    if (gateway.spec.gatewayClassName !== WAYPOINT_CLASS) continue;
    context.report(
      'SP1045',
      gateway,
      ['spec', 'gatewayClassName'],
      `Gateway ${gateway.metadata.namespace}/${gateway.metadata.name} is a waypoint: ${unserved}, so it takes no traffic. Use an egress gateway (gatewayClassName: istio).`,
    );
  }
  for (const kind of TARGETED) {
    for (const policy of context.of(kind)) {
      const { targetRef, targetRefs } = policy.spec;
      for (const [i, target] of [...(targetRef ? [targetRef] : []), ...targetRefs].entries()) {
        if (target.kind !== 'ServiceEntry' && target.kind !== 'Service') continue;
        context.report(
          'SP1045',
          policy,
          ['spec', ...(targetRef ? ['targetRef'] : ['targetRefs', i])],
          `Only a waypoint enforces a policy of a ${target.kind}, and ${unserved}: calls to ${target.name} are not held against this ${kind}. Enforce it at an egress gateway (targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, …}], or a selector of its pods).`,
        );
      }
    }
  }
}
