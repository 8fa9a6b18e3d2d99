import type { ResourceOf } from '../../api/index.ts';
import type { Context } from '../context.ts';

type Service = ResourceOf<'Service'>;

interface Placed {
  /** As the user calls it. */
  readonly cluster: string;
  readonly service: Service;
}

/** The cluster that the other objects are of. */
const HERE = 'this cluster';

/** IST0170: one Service, by namespace and name, that is another in another cluster of the mesh. */
export function multiClusterServices(context: Context): void {
  if (context.remoteClusters.size === 0) return;
  const services = new Map<string, Placed[]>();
  const put = (cluster: string, list: readonly Service[]) => {
    for (const service of list) {
      if (service.derivedFrom) continue;
      const { namespace, name } = service.metadata;
      const placed = services.get(`${namespace}/${name}`) ?? [];
      placed.push({ cluster, service });
      services.set(`${namespace}/${name}`, placed);
    }
  };
  put(HERE, context.of('Service'));
  for (const [cluster, snapshot] of context.remoteClusters) put(cluster, snapshot.list('Service'));
  for (const [name, [first, ...others]] of services) {
    const differing = others.flatMap(({ cluster, service }) => {
      const differences = differencesOf(first!.service, service);
      return differences.length > 0 ? [`${cluster} (${differences.join('; ')})`] : [];
    });
    if (differing.length === 0) continue;
    context.report(
      'IST0170',
      first!.service,
      ['metadata', 'name'],
      `Service ${name} of ${first!.cluster} is another in ${differing.join(', ')}: the mesh joins them under one host, so calls reach endpoints that do not answer as the Service of the caller's cluster says. Give the Service the same type and ports in every cluster, or another name.`,
    );
  }
}

/** What of two Services of one name differs, first and second. */
function differencesOf({ spec: a }: Service, { spec: b }: Service): string[] {
  const differences: string[] = [];
  const [headlessA, headlessB] = [a.clusterIP === 'None', b.clusterIP === 'None'];
  if (headlessA !== headlessB) differences.push(headlessA ? 'with a clusterIP and not headless' : 'headless');
  if (a.type !== b.type) differences.push(`type ${b.type} in place of ${a.type}`);
  if (portsOf(a) !== portsOf(b)) differences.push(`ports ${portsOf(b) || '(none)'} in place of ${portsOf(a) || '(none)'}`);
  return differences;
}

/** In the order of their names. Which port a node opens is each cluster's own affair. */
function portsOf({ ports }: Service['spec']): string {
  return [...ports]
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ name, port, targetPort, protocol, appProtocol }) => {
      const target = targetPort === undefined || targetPort === port ? '' : ` to ${targetPort}`;
      return `${name || 'unnamed'} ${port}/${protocol}${target}${appProtocol === undefined ? '' : ` (${appProtocol})`}`;
    })
    .join(', ');
}
