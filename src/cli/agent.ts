/** `sallyport agent`: a stock Envoy with an identity of the mesh. */
import { Command, Option } from 'commander';
import type { FlowHub } from '../flows/hub.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { addressOption, choiceOption, countOption, defaulted, durationOption, namespacedNameOption, socketOption } from './options.ts';
import { say } from './say.ts';
import { serve } from './serve.ts';
import { showing } from './shown.ts';
import { addWorkloadOptions, dnsAddressOption, identityFrom, type WorkloadOptions } from './xds-options.ts';

interface Options extends WorkloadOptions {
  readonly role: 'sidecar' | 'router';
  readonly workload: { readonly namespace: string; readonly name: string };
  readonly controller: SocketAddress;
  readonly rootCert: string;
  readonly tokenFile: string;
  readonly workloadSocket: string;
  readonly ttl: number;
  readonly envoy?: string;
  readonly concurrency: number;
  readonly logLevel: string;
  readonly adminAddress: SocketAddress;
  readonly statusAddress: SocketAddress;
  readonly metricsAddress: SocketAddress;
  readonly appMetrics?: string;
  readonly appProbes: string;
  readonly dnsAddress?: SocketAddress;
  readonly flows?: true;
  readonly drainDuration: number;
}

/** Where Istio's pods have these. */
const TOKEN_FILE = '/var/run/secrets/tokens/istio-token';
const ROOT_CERT = '/var/run/secrets/istio/root-cert.pem';
const WORKLOAD_SOCKET = '/var/run/secrets/workload-spiffe-uds/socket';

export function agentCommand(): Command {
  const command = new Command('agent')
    .summary('run a stock Envoy with an identity of the mesh')
    .description(
      "Runs an Envoy that has everything from a control plane. Its certificates come from the CA service there, by a token, or from another provider's workload socket where there is one; its key stays in memory, and certificates are renewed while it runs.",
    )
    .addOption(
      new Option('--workload <namespace/name>', 'the workload that the proxy belongs to')
        .argParser(namespacedNameOption)
        .makeOptionMandatory(),
    )
    .option('--role <role>', 'sidecar or router (a gateway)', choiceOption('sidecar', 'router'), 'sidecar');
  addWorkloadOptions(command)
    .addOption(
      defaulted('--controller <address:port>', 'the control plane, by TLS', socketOption('127.0.0.1'), 'istiod.istio-system.svc:15012'),
    )
    .option('--root-cert <file>', 'PEM file with the certificates of those who may be the control plane', ROOT_CERT)
    .option('--token-file <file>', "the workload's token, read again at each use", TOKEN_FILE)
    .option('--workload-socket <path>', 'where another provider of identities (SPIRE) may serve SDS: it comes first', WORKLOAD_SOCKET)
    .addOption(defaulted('--ttl <duration>', 'how long certificates are to last', durationOption, '24h'))
    .option('--envoy <binary>', 'the Envoy; without it envoy on the PATH')
    .option('--concurrency <count>', "Envoy's worker threads; 0 for as many as there are cores", countOption, 2)
    .option('--log-level <level>', "Envoy's log level", 'warning')
    .addOption(
      addressOption('--admin-address <address:port>', "Envoy's admin endpoint, on a loopback address; port 0 for none", '127.0.0.1:15000'),
    )
    .addOption(addressOption('--status-address <address:port>', 'readiness (/healthz/ready); port 0 for none', '0.0.0.0:15021'))
    .addOption(addressOption('--metrics-address <address:port>', 'merged metrics (/stats/prometheus); port 0 for none', '0.0.0.0:15020'))
    .option('--app-metrics <url>', "the application's own metrics, given out with Envoy's, e.g. http://127.0.0.1:8080/metrics")
    .addOption(dnsAddressOption())
    .option(
      '--flows',
      'have Envoy tell of all its calls while nobody watches, too: some 40 % more of its CPU time a request. Else it tells then of those that go wrong',
    )
    .addOption(
      new Option('--app-probes <json>', 'probes of the application that are made at the metrics address (/app-health/…)')
        .env('ISTIO_KUBE_APP_PROBERS')
        .default('{}', ''),
    )
    .addOption(defaulted('--drain-duration <duration>', 'how long Envoy drains at the end', durationOption, '5s'));
  return command.action(async (options: Options) => {
    const [{ startAgent }, { checkAgent }, { agentTeller }, { appProbes }, { findEnvoy }] = await Promise.all([
      import('../agent/agent.ts'),
      import('../agent/check.ts'),
      import('../agent/event-text.ts'),
      import('../agent/app-probes.ts'),
      import('../engine/envoy/find.ts'),
    ]);
    checkAgent(options);
    const probes = appProbes(options.appProbes);
    const envoy = findEnvoy(options.envoy, process.env.PATH ?? '');
    const { role, workload, adminAddress: admin, statusAddress: status, metricsAddress: metrics, dnsAddress: dns } = options;
    const about = { identity: identityFrom(role, workload, options), envoy, admin, status, metrics, probes, dns };
    const lineOf = agentTeller(hostPort(options.controller.address, options.controller.port));
    const { appMetrics, ttl: lifeMs, drainDuration: drainMs } = options;
    const told = options.flows ? 'all' : 'wrong';
    const run = (flows: FlowHub) =>
      serve(
        async (ended) => {
          const agent = await startAgent({ ...options, ...about, appMetrics, lifeMs, drainMs, flows, told }, (event) => {
            const line = lineOf(event);
            if (line !== undefined) say(line);
          });
          void agent.failed.then(ended);
          return { ...agent, watch: () => {}, reload: agent.renew };
        },
        { watch: false, grace: drainMs },
      );
    process.exitCode = await showing('agent', run);
  });
}
