import type { Context } from '../context.ts';

/** SP1055: Sidecars that open what MeshConfig closes: theirs is the policy that counts. */
export function openSidecars(context: Context): void {
  if (context.mesh.outboundTrafficPolicy.mode !== 'REGISTRY_ONLY') return;
  for (const sidecar of context.of('Sidecar')) {
    const { outboundTrafficPolicy, workloadSelector } = sidecar.spec;
    // What is sent to a proxy of the mesh's choice goes there alone.
    if (outboundTrafficPolicy?.mode !== 'ALLOW_ANY' || outboundTrafficPolicy.egressProxy) continue;
    const { namespace } = sidecar.metadata;
    const selected = Object.keys(workloadSelector?.labels ?? {}).length > 0;
    const whose =
      namespace === context.mesh.rootNamespace && !selected
        ? 'every workload without a Sidecar of its own'
        : `${selected ? 'the workloads that it selects' : 'the workloads'} in ${namespace}`;
    context.report(
      'SP1055',
      sidecar,
      ['spec', 'outboundTrafficPolicy', 'mode'],
      `MeshConfig refuses what nothing declares (REGISTRY_ONLY), and this Sidecar lets it out for ${whose}: any host and port, straight from the sidecar. Take outboundTrafficPolicy out, or write mode: REGISTRY_ONLY, and declare the hosts that are needed.`,
    );
  }
}
