/** `sallyport controller`: the control plane alone. */
import { Command } from 'commander';
import { SALLYPORT_CONTROLLER } from '../api/gateway-api/common.ts';
import { type ConsoleOptions, checkConsole, openConsole } from '../console/asked.ts';
import type { Beside } from '../console/beside.ts';
import { GUARD_LABEL } from '../control/admission/guard-options.ts';
import { type GuardedOptions, guardFrom } from '../control/admission/guarded.ts';
import { servedText } from '../control/event-text.ts';
import type { OpenSource } from '../control/from-files.ts';
import { type DutyOptions, dutiesOf } from '../control/kubernetes/asked.ts';
import type { ControlEvent } from '../control/report.ts';
import { type ClusterOptions, ISTIO_SYSTEM } from '../inputs/cluster.ts';
import { ObservedObjects } from '../kube/observed.ts';
import { SallyportError } from '../lib/errors.ts';
import type { SocketAddress } from '../lib/socket-address.ts';
import { TOKEN_AUDIENCE } from '../lib/spiffe.ts';
import { addInjectionOptions, type InjectedOptions, injectionFrom } from './injection-options.ts';
import { addressOption, choiceOption, defaulted, durationOption, socketOption } from './options.ts';
import { say, sayEvent } from './say.ts';
import { serve } from './serve.ts';
import { addClusterOptions, clusterAccess, demandSource } from './source-options.ts';

interface Options extends ClusterOptions, ConsoleOptions, InjectedOptions, GuardedOptions, DutyOptions {
  readonly meshConfig?: string;
  readonly ca?: string;
  readonly gateways: boolean;
  readonly xds: SocketAddress;
  readonly xdsTls?: SocketAddress;
  readonly tokenJwks?: string;
  readonly tokenAudience: string;
  readonly tokenIssuer?: string;
  readonly statusAddress: SocketAddress;
  readonly vhds: boolean;
  readonly keep: number;
  readonly grace: number;
  readonly watch: boolean;
}

export function controllerCommand(): Command {
  const command = new Command('controller')
    .summary('serve the mesh of these files, or of a cluster, to Envoys over xDS')
    .description(
      'Runs the control plane alone: Envoys connect to it over xDS (v3, gRPC) and get what the resources in PATH mean for them. ' +
        'A node says who it is as those of Istio do: TYPE~ADDRESS~NAME.NAMESPACE~DOMAIN. Changes of the files take effect at once; SIGHUP reads them again. ' +
        'With --kube the resources are those of a cluster, which is watched.',
    )
    .argument('[path...]', 'files and folders with resources; - for stdin')
    .option('--mesh-config <file>', 'MeshConfig; without it the ConfigMap istio in istio-system, if there is one')
    .option('--ca <folder>', 'CA of the mesh: a folder with ca-cert.pem, ca-key.pem, root-cert.pem and cert-chain.pem, made on first use')
    .addOption(
      addressOption(
        '--xds <address:port>',
        'where clients on this machine are served, in plaintext and without private keys; port 0 for nowhere',
        '127.0.0.1:15010',
      ),
    )
    .option(
      '--xds-tls <address:port>',
      "where clients are served that prove who they are by a certificate of the CA or a token, and Istio's CA service, e.g. 0.0.0.0:15012",
      socketOption('0.0.0.0'),
    )
    .option(
      '--token-jwks <file>',
      "keys (JWKS) by which tokens of Kubernetes' service accounts are verified; else tokens of sallyport token alone",
    )
    .option('--token-audience <name>', 'whom tokens have to be for', TOKEN_AUDIENCE)
    .option('--token-issuer <url>', "whom Kubernetes' tokens have to be from; without it whoever has one of the keys")
    .option(
      '--webhook <address:port>',
      'where API servers are served that ask for proxies in new pods (/inject), and whether objects are valid (/validate), HTTPS by a certificate of the CA, e.g. 0.0.0.0:15017',
      socketOption('0.0.0.0'),
    )
    .option(
      '--guard-egress <namespaces>',
      `at the webhook, refuse objects by which workloads would reach more than now (/guard): those of namespaces with the label ${GUARD_LABEL}=enabled, or all`,
      choiceOption('labelled', 'all'),
    )
    .option(
      '--allow-widening-by <group>',
      'with --guard-egress, who may let them reach more: a group, or a user as user:NAME; may be given more than once',
      (one: string, others: readonly string[]) => [...others, one],
      [],
    )
    .addOption(addressOption('--status-address <address:port>', 'readiness, streams, reload; port 0 for none', '127.0.0.1:15021'))
    .option(
      '--no-vhds',
      'send route configurations whole. Else Envoys that are started by sallyport (1.40 or newer, incremental xDS) get each virtual host as a resource of its own, so that a change of one pushes that one alone',
    )
    .addOption(
      defaulted('--keep <duration>', 'time after which a proxy that nobody is connected as is no longer translated', durationOption, '1m'),
    )
    .addOption(defaulted('--grace <duration>', 'time for streams to end', durationOption, '5s'))
    .option('--no-watch', 'do not follow changes of the files')
    .option(
      '--ca-secret <name>',
      'with --kube, the Secret in the Istio namespace that holds the CA, made on first use: --ca names the folder it is put into',
    )
    .option(
      '--root-maps',
      'with --kube, keep the ConfigMap istio-ca-root-cert in each namespace, by which proxies know the control plane',
      false,
    )
    .option('--webhook-config <name>', 'with --kube, the MutatingWebhookConfiguration whose caBundle is kept')
    .option('--validation-config <name>', 'with --kube, the ValidatingWebhookConfiguration whose caBundle is kept')
    .option('--cluster-tokens', "with --kube, take tokens of the cluster's service accounts", false)
    .option(
      '--gateways',
      "with --kube, deploy the Gateway API's Gateways and write the statuses of its objects; of several controllers one does",
      false,
    )
    .option('--gateway-controller <name>', 'with --gateways, the controllerName of the GatewayClasses that are meant', SALLYPORT_CONTROLLER)
    .option(
      '--gateway-parameters <name>',
      'with --gateways, the ConfigMap in the Istio namespace that holds for all Gateways of the class sallyport (parametersRef)',
    )
    .option(
      '--console <address:port>',
      'with --kube, the console for people of the cluster, who enter with a token of theirs: plain HTTP at a loopback address (for kubectl port-forward), at others HTTPS by a certificate of the CA, e.g. 0.0.0.0:15016',
      socketOption('127.0.0.1'),
    )
    .option(
      '--console-host <name>',
      'a name by which the console is called, e.g. that of an ingress; may be given more than once',
      (one: string, others: readonly string[]) => [...others, one],
      [],
    );
  return addClusterOptions(addInjectionOptions(command)).action(async (paths: string[], options: Options) => {
    const observed = options.gateways ? new ObservedObjects() : undefined;
    const source = sourceOf(paths, options, observed);
    checkConsole(options);
    const { startController } = await import('../control/serving/controller.ts');
    process.exitCode = await serve(async () => {
      const { meshConfig, ca, xds, xdsTls, statusAddress, vhds: virtualHosts, keep: keepMs } = options;
      const { tokenJwks: jwks, tokenAudience: audience, tokenIssuer: issuer } = options;
      const tokens = { jwks, audience, issuer };
      const guard = guardFrom(options);
      const injected = injectionFrom(options, options.revision ?? '');
      const webhook = options.webhook && { listen: options.webhook, injection: injected, guard };
      const place = {
        namespace: options.istioNamespace ?? ISTIO_SYSTEM,
        observed,
        injection: injected,
        access: () => clusterAccess(options),
      };
      const { cluster, service } = await dutiesOf(options, place);
      let pages: Beside | undefined;
      const tellersChanged = options.console && (() => pages?.changed());
      const served = { ca, xds, xdsTls, tokens, statusAddress, keepMs, virtualHosts, tellersChanged };
      const what = { ...served, paths, source, meshConfig, webhook, cluster, service };
      const control = await startController(what, (event) => {
        sayServed(event);
        pages?.changed();
      });
      pages = await openConsole(control, options, () => clusterAccess(options), say).catch(async (error: unknown) => {
        await control.close(0);
        throw error;
      });
      say('ready');
      const { watch, reload, reopenLogs } = control;
      const close = async (graceMs: number) => {
        await Promise.all([pages?.close(), control.close(graceMs)]);
      };
      return { watch, reload, reopenLogs, close };
    }, options);
  });
}

/** Undefined for files. @throws SallyportError `usage` */
function sourceOf(paths: readonly string[], options: Options, observer: ObservedObjects | undefined): OpenSource | undefined {
  demandSource(paths, options, 'files or folders');
  if (!options.kube) return undefined;
  if (paths.length > 0) throw new SallyportError('usage', 'a controller serves files, or a cluster: leave out the paths, or --kube');
  const { revision, istioNamespace = ISTIO_SYSTEM, meshConfig, gateways, gatewayController: controllerName } = options;
  const gatewayController = gateways ? controllerName : undefined;
  return async (listener) => {
    const { openKubernetesSource } = await import('../config/kubernetes/source.ts');
    const access = await clusterAccess(options);
    return openKubernetesSource({ access, revision, istioNamespace, meshConfig, observer, gatewayController }, listener);
  };
}

/** As of other control planes, but that what is published is in force when clients have acknowledged it. */
function sayServed(event: ControlEvent): void {
  if (event.kind === 'in-force') say(servedText(event));
  else if (event.kind !== 'ended') sayEvent(event);
}
