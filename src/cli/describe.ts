/** `sallyport describe`: what applies to a workload or a host. */

import { Command } from 'commander';
import type { ResourceOf } from '../api/index.ts';
import { type Resource, resourceText } from '../api/resource.ts';
import { egressPolicies } from '../kube/network-policy.ts';
import { SallyportError } from '../lib/errors.ts';
import { formatPosition } from '../lib/finding.ts';
import { fullHostname, hostCovers } from '../lib/hostname.ts';
import { matchesLabels } from '../lib/labels.ts';
import type { ProxyIdentity } from '../lib/proxy-identity.ts';
import { closest } from '../lib/spelling.ts';
import { type SimulatedFiles, simulateFiles } from '../prove/simulated.ts';
import type { Service } from '../registry/model.ts';
import { scopeFor } from '../translate/scope.ts';
import { choiceOption } from './options.ts';
import { readMesh } from './read-mesh.ts';

interface DescribeOptions {
  readonly file: readonly string[];
  readonly meshConfig?: string;
  readonly namespace: string;
  readonly output: 'text' | 'json';
}

/** What applies, under a heading each. */
interface Description {
  readonly subject: string;
  readonly sections: readonly { readonly heading: string; readonly lines: readonly string[] }[];
}

export function describeCommand(): Command {
  return new Command('describe')
    .summary('what applies to a workload or a host')
    .description('SUBJECT is workload NAMESPACE/NAME, or host HOST (a Service by its full name).')
    .argument('<subject>', 'workload or host')
    .argument('<name>')
    .requiredOption(
      '-f, --file <path>',
      'files and folders with the configuration (repeatable)',
      (value: string, all: readonly string[]) => [...all, value],
      [],
    )
    .option('--mesh-config <file>', 'MeshConfig (else the ConfigMap istio among the files, else the defaults)')
    .option('-n, --namespace <name>', 'namespace of objects that name none', 'default')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action(async (subject: string, name: string, options: DescribeOptions) => {
      if (subject !== 'workload' && subject !== 'host')
        throw new SallyportError('usage', `"${subject}" can't be described: it is workload or host`);
      const { snapshot, mesh } = await readMesh(options.file, options);
      const files = simulateFiles(snapshot, mesh);
      const description = subject === 'workload' ? ofWorkload(files, name) : ofHost(files, name);
      process.stdout.write(options.output === 'json' ? `${JSON.stringify(description, undefined, 2)}\n` : render(description));
    });
}

function render({ subject, sections }: Description): string {
  return `${subject}\n${sections.map(({ heading, lines }) => `\n${heading}\n${lines.length > 0 ? lines.map((line) => `  ${line}\n`).join('') : '  none\n'}`).join('')}`;
}

function named(resource: Resource): string {
  return `${resourceText(resource)} (${formatPosition(resource.source.position())})`;
}

function ofWorkload({ mesh, proxies, proxy }: SimulatedFiles, name: string): Description {
  proxy(name);
  const identity = proxies.find((candidate) => `${candidate.namespace}/${candidate.name}` === name) as ProxyIdentity;
  const scope = scopeFor(identity, mesh);
  const served = mesh.registry
    .servicesOf(identity)
    .map(({ service, port, endpointPort }) => `${service.hostname} port ${port.number} (${port.protocol}) at ${endpointPort}`);
  const gateways = mesh.snapshot
    .list('Gateway')
    .filter(({ spec }) => Object.keys(spec.selector).length > 0 && matchesLabels(spec.selector, identity.labels));
  const routes =
    identity.type === 'router'
      ? gateways.flatMap(({ metadata }) => scope.virtualServicesForGateway(`${metadata.namespace}/${metadata.name}`))
      : scope.egress.flatMap((egress) => egress.virtualServices);
  return {
    subject: `${identity.type} ${name}, labels ${
      Object.entries(identity.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(',') || 'none'
    }`,
    sections: [
      { heading: 'Outbound traffic policy', lines: [scope.outboundTrafficPolicy.mode] },
      { heading: 'Sidecar', lines: scope.sidecar ? [named(scope.sidecar)] : [] },
      ...(identity.type === 'router' ? [{ heading: 'Gateways', lines: gateways.map(named) }] : []),
      { heading: 'Services that it serves', lines: served },
      {
        heading: 'VirtualServices that it follows',
        lines: [...new Set(routes)].map((route) => `${named(route)}: ${route.spec.hosts.join(', ')}`),
      },
      { heading: 'External hosts that it knows', lines: scope.services.filter((service) => service.meshExternal).map(serviceLine) },
      {
        heading: 'NetworkPolicies that restrict what leaves it',
        lines: egressPolicies(mesh.snapshot.list('NetworkPolicy'), identity).map(named),
      },
    ],
  };
}

function serviceLine(service: Service): string {
  return `${service.hostname}: ${service.ports.map(({ number, protocol }) => `${number} ${protocol}`).join(', ')} [${resourceText(service.resource)}]`;
}

function ofHost({ mesh }: SimulatedFiles, name: string): Description {
  const host = name.toLowerCase();
  const services = mesh.registry.services.filter(({ hostname }) => hostCovers(hostname, host));
  if (services.length === 0) {
    const near = closest(
      host,
      mesh.registry.services.map(({ hostname }) => hostname),
    );
    throw new SallyportError('no-such-host', `nothing declares ${name}${near ? `; did you mean ${near}?` : '.'}`);
  }
  const covers = (written: string, namespace: string) => hostCovers(fullHostname(written, namespace).toLowerCase(), host);
  const routes = mesh.snapshot
    .list('VirtualService')
    .filter(({ spec, metadata }) => spec.hosts.some((one) => covers(one, metadata.namespace)));
  const rules = mesh.snapshot.list('DestinationRule').filter(({ spec, metadata }) => covers(spec.host, metadata.namespace));
  const gateways = mesh.snapshot
    .list('Gateway')
    .filter(({ spec }) => spec.servers.some(({ hosts }) => hosts.some((one) => hostCovers(one.slice(one.indexOf('/') + 1), host))));
  return {
    subject: `host ${host}`,
    sections: [
      {
        heading: 'Declared by',
        lines: services.map(
          (service) =>
            `${named(service.resource)}: ${service.ports.map(({ number, protocol }) => `${number} ${protocol}`).join(', ')}, resolution ${service.resolution}, visible to ${[...service.exportTo].join(', ')}`,
        ),
      },
      {
        heading: 'Addresses',
        lines: services.flatMap(({ addresses, autoAddresses }) => [
          ...addresses,
          ...autoAddresses.map((address) => `${address} (allocated)`),
        ]),
      },
      { heading: 'VirtualServices', lines: routes.map((route) => `${named(route)}: on ${route.spec.gateways.join(', ')}`) },
      { heading: 'DestinationRules', lines: rules.map((rule: ResourceOf<'DestinationRule'>) => named(rule)) },
      { heading: 'Gateways that serve it', lines: gateways.map(named) },
    ],
  };
}
