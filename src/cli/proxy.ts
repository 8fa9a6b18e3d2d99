/** `sallyport proxy`: the data plane of one proxy. */

import { Command, Option } from 'commander';
import type { AuditedOptions } from '../audit/options.ts';
import { checkAlone, checkRemote, tlsFiles } from '../control/remote-options.ts';
import type { EngineHost } from '../engine/contract.ts';
import { ENGINES } from '../engine/starter.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { prestartWorker } from '../proxy/spare-worker.ts';
import { addAuditOptions, auditing } from './audit-options.ts';
import { addressOption, choiceOption, countOption, defaulted, durationOption, namespacedNameOption, socketOption } from './options.ts';
import { engineHost, say, sayOrEnd } from './say.ts';
import { serve } from './serve.ts';
import { showing } from './shown.ts';
import { addXdsOptions, dnsAddressOption, identityFrom, type XdsOptions } from './xds-options.ts';

interface ProxyOptions extends XdsOptions, AuditedOptions {
  readonly keep?: string;
  readonly xds?: SocketAddress;
  readonly xdsProtocol: 'delta' | 'sotw';
  readonly config?: string;
  readonly role?: 'sidecar' | 'router';
  readonly workload?: { readonly namespace: string; readonly name: string };
  readonly meshConfig?: string;
  readonly ca?: string;
  readonly adminAddress?: SocketAddress;
  readonly statusAddress: SocketAddress;
  readonly metricsAddress?: SocketAddress;
  readonly drainDuration: number;
  readonly appProbes: string;
  readonly dnsAddress?: SocketAddress;
  readonly engine: (typeof ENGINES)[number];
  readonly envoy?: string;
  readonly envoyLogLevel: string;
  readonly concurrency: number;
  readonly grace: number;
  readonly watch: boolean;
}

/** Who is told of the calls. */
type Watched = Pick<EngineHost, 'flows' | 'audit'>;

const CA_HELP =
  'CA that gives the proxy its identity for mutual TLS: a folder with ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem, made on first use. ' +
  'Proxies that are to trust one another share it';
const DEFAULT_ADMIN: SocketAddress = { address: '127.0.0.1', port: 15000 };

export function proxyCommand(): Command {
  const command = new Command('proxy')
    .summary('run one proxy: from an Envoy bootstrap, from a control plane, or for a workload of the files')
    .description(
      'Runs the data plane of one proxy.\n\n' +
        'With -c, from an Envoy bootstrap file (static resources and file subscriptions), without a control plane.\n' +
        'With --xds, from a control plane that speaks xDS v3 (ours, or another): whoever is the control plane decides everything. SIGHUP connects anew.\n' +
        'With --role and --workload, from the resources in PATH: labels, addresses and service account are those of the Pod or WorkloadEntry of that name. ' +
        'SIGHUP reads the files again.',
    )
    .argument('[path...]', 'files and folders with resources; - for stdin')
    .option('-c, --config <bootstrap>', 'Envoy bootstrap, YAML or JSON')
    .option('--xds <address:port>', 'control plane that the proxy has everything from, over ADS', socketOption('127.0.0.1'))
    .option(
      '--xds-protocol <protocol>',
      'incremental, or state of the world for a control plane that has nothing else',
      choiceOption('delta', 'sotw'),
      'delta',
    )
    .option('--role <role>', 'sidecar or router (a gateway)', choiceOption('sidecar', 'router'))
    .option('--workload <namespace/name>', 'the Pod or WorkloadEntry that the proxy belongs to', namespacedNameOption)
    .option('--mesh-config <file>', 'MeshConfig; without it the ConfigMap istio in istio-system, if there is one')
    .option('--ca <folder>', CA_HELP)
    .option(
      '--admin-address <address:port>',
      'admin server (default: 127.0.0.1:15000, or what the bootstrap says)',
      socketOption('127.0.0.1'),
    )
    .addOption(addressOption('--status-address <address:port>', 'readiness, version in force, reload; port 0 for none', '127.0.0.1:15021'))
    .option('--engine <engine>', 'what carries the traffic', choiceOption(...ENGINES), 'embedded')
    .option('--envoy <binary>', 'the Envoy of --engine envoy; without it the one on the PATH')
    .option('--envoy-log-level <level>', "Envoy's own log", 'warning')
    .option('--concurrency <n>', 'worker threads, 0 for one a core; with -c and 1 there is but one thread', countOption, 0)
    .addOption(defaulted('--grace <duration>', 'time for running requests at the end', durationOption, '5s'))
    .addOption(
      defaulted(
        '--drain-duration <duration>',
        'with --xds, time for which calls are still taken after a signal, before --grace',
        durationOption,
        '0s',
      ),
    )
    .option('--no-watch', 'do not follow changes of the files')
    .option(
      '--keep <folder>',
      'with --xds, keep the last good configuration there, without secrets, for a start while the control plane is gone (mode 0700)',
    )
    .option('--xds-token-file <file>', "with --xds-ca, the workload's token in place of a certificate, read again at each use")
    .option(
      '--metrics-address <address:port>',
      'with --xds, where metrics (/stats/prometheus) are served and probes of the application are made (/app-health/…); without it probes alone, at 0.0.0.0:15020',
      socketOption('0.0.0.0'),
    )
    .addOption(dnsAddressOption('with --xds, '))
    .addOption(
      new Option('--app-probes <json>', 'these probes, as sallyport inject writes them').env('ISTIO_KUBE_APP_PROBERS').default('{}', ''),
    )
    .action(async (paths: string[], options: ProxyOptions) => {
      const { config, role, workload, xds } = options;
      if (xds) {
        // The thread that will carry the traffic loads its modules beside this one.
        prestartWorker();
        const { serveRemote } = await import('./remote-proxy.ts');
        checkRemote({ ...options, paths });
        if (!role || !workload)
          throw new SallyportError('usage', 'say who the proxy is: --xds needs --role ROLE --workload NAMESPACE/NAME');
        const remote = {
          identity: identityFrom(role, workload, options),
          target: xds,
          protocol: options.xdsProtocol,
          admin: options.adminAddress ?? DEFAULT_ADMIN,
          dns: options.dnsAddress,
          concurrency: options.concurrency,
          keep: options.keep,
          drainMs: options.drainDuration,
          pod: { at: options.metricsAddress, probes: options.appProbes },
          status: command.getOptionValueSource('statusAddress') === 'cli' ? options.statusAddress : undefined,
        };
        const { grace } = options;
        process.exitCode = await watching({ ...options, engine: 'embedded' }, (watched) =>
          serveRemote({ remote, tls: tlsFiles(xds, options), grace, watched }),
        );
        return;
      }
      checkAlone(options);
      if (config !== undefined) {
        // Connections that outlived the grace would keep a thread that carries traffic itself.
        process.exit(await watching(options, (watched) => serveBootstrap(config, options, watched)));
      }
      if (!role || !workload || paths.length === 0) {
        throw new SallyportError(
          'usage',
          'say what to run: -c BOOTSTRAP, or --role ROLE --workload NAMESPACE/NAME with PATH... or --xds ADDRESS:PORT',
        );
      }
      // The thread that will carry the traffic loads its modules beside this one.
      if (options.engine === 'embedded') prestartWorker();
      process.exitCode = await watching(options, (watched) => serveWorkload(paths, role, workload, options, watched));
    });
  return addAuditOptions(addXdsOptions(command));
}

function watching<T>(options: Pick<ProxyOptions, 'engine' | keyof AuditedOptions>, work: (watched: Watched) => Promise<T>): Promise<T> {
  return showing('proxy', (flows) => auditing(options, options.engine, (audit) => work({ flows, audit })));
}

async function serveWorkload(
  paths: readonly string[],
  role: NonNullable<ProxyOptions['role']>,
  workload: NonNullable<ProxyOptions['workload']>,
  options: ProxyOptions,
  watched: Watched,
): Promise<number> {
  const { startWorkloadProxy } = await import('../control/workload.ts');
  const { engine, envoy, concurrency, envoyLogLevel: logLevel, meshConfig, ca, statusAddress, adminAddress = DEFAULT_ADMIN } = options;
  return serve(async (ended) => {
    const control = await startWorkloadProxy(
      { engine, envoy, concurrency, logLevel, role, workload, paths, meshConfig, ca, statusAddress, adminAddress },
      { ...engineHost, ...watched, tell: sayOrEnd(ended) },
    );
    say('ready');
    return control;
  }, options);
}

async function serveBootstrap(file: string, options: ProxyOptions, watched: Watched): Promise<number> {
  if (options.engine !== 'embedded')
    throw new SallyportError('usage', 'Envoy runs a bootstrap file itself: envoy -c FILE. --engine is for --role.');
  const { startBootstrapProxy } = await import('../control/bootstrap-proxy.ts');
  const { concurrency, adminAddress: admin } = options;
  return serve(async (ended) => {
    const proxy = await startBootstrapProxy({ file, concurrency, admin }, { ...engineHost, ...watched, say, ended });
    say('ready');
    return proxy;
  }, options);
}
