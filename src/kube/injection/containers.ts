/** The containers that injection adds. */
import { PROXY_CONTAINER } from '../../api/injection.ts';
import { CAPTURE_CONTAINERS } from './capture-container.ts';
import { type ProxyEnvironment, proxyEnvironment } from './environment.ts';
import type { Container } from './pod.ts';
import { RESTRICTED } from './settings.ts';
import { PROXY_MOUNTS, ROOT_CERT_FOLDER, TOKEN_FOLDER } from './volumes.ts';

/** Whom the rules of capture leave alone. */
export const PROXY_ID = 1337;

export interface InjectedProxy extends ProxyEnvironment {
  /** Of the application, merged with the proxy's. */
  readonly metricsUrl: string | undefined;
}

export function proxyContainerFor(about: InjectedProxy): Container {
  const { role, settings, options } = about;
  const { image, native, probed, hold, resources, readiness } = settings;
  const ready = { httpGet: { path: '/healthz/ready', port: 15021 }, timeoutSeconds: 3 };
  return {
    name: PROXY_CONTAINER,
    image,
    ...(options.imagePullPolicy ? { imagePullPolicy: options.imagePullPolicy } : {}),
    ...(native && role === 'sidecar' ? { restartPolicy: 'Always' } : {}),
    ports: [{ name: 'http-envoy-prom', containerPort: 15090, protocol: 'TCP' }],
    args: proxyArguments(about),
    env: proxyEnvironment(about),
    ...(hold && role === 'sidecar' ? { lifecycle: { postStart: { exec: { command: ['sallyport', 'wait'] } } } } : {}),
    ...(probed
      ? {
          ...(role === 'sidecar' ? { startupProbe: { ...ready, initialDelaySeconds: 0, periodSeconds: 1, failureThreshold: 600 } } : {}),
          readinessProbe: { ...ready, ...readiness },
        }
      : {}),
    securityContext: { ...RESTRICTED, runAsGroup: PROXY_ID, runAsUser: PROXY_ID },
    resources,
    volumeMounts: PROXY_MOUNTS,
  };
}

/** Kubernetes puts what the pod is called, when it is, in place of `$(NAME)`. */
function proxyArguments({ role, settings, controller, pod, metricsUrl }: InjectedProxy): string[] {
  const { engine, proxy, statusPort, logLevel, captureDns } = settings;
  const labels = Object.entries(pod.metadata?.labels ?? {}).flatMap(([name, value]) => ['--label', `${name}=${value}`]);
  const workload = ['--role', role, '--workload', '$(POD_NAMESPACE)/$(POD_NAME)', '--service-account', '$(SERVICE_ACCOUNT)'];
  const who = [...workload, '--ip', '$(INSTANCE_IP)', ...labels];
  const threads = proxy.concurrency === undefined ? [] : ['--concurrency', String(proxy.concurrency)];
  const rootCert = `${ROOT_CERT_FOLDER}/root-cert.pem`;
  const token = `${TOKEN_FOLDER}/istio-token`;
  const drain = `${proxy.terminationDrainDuration / 1000}s`;
  const metrics = ['--metrics-address', `0.0.0.0:${statusPort}`];
  // Where `capture --dns` leads.
  const dns = captureDns && role === 'sidecar' ? ['--dns-address', 'localhost:15053'] : [];
  if (engine === 'embedded') {
    const identity = ['--xds-ca', rootCert, '--xds-token-file', token];
    const served = ['--status-address', '0.0.0.0:15021', ...metrics];
    return ['proxy', '--xds', controller, ...identity, ...who, ...threads, ...dns, ...served, '--drain-duration', drain, '--grace', drain];
  }
  const appMetrics = metricsUrl === undefined ? [] : ['--app-metrics', metricsUrl];
  const files = ['--root-cert', rootCert, '--token-file', token];
  return [
    'agent',
    '--controller',
    controller,
    ...files,
    ...who,
    ...threads,
    ...dns,
    ...metrics,
    ...appMetrics,
    '--log-level',
    logLevel,
    '--drain-duration',
    drain,
  ];
}

/**
 * In the order in which they run: of native sidecars capture and proxy come first, so that nothing of the pod goes round them.
 * @param captured whether the pod's traffic is captured before any of them runs, by the node
 */
export function initContainersWith(
  own: readonly Container[],
  capture: Container | undefined,
  nativeProxy: Container | undefined,
  captured: boolean,
): readonly Container[] {
  const others = own.filter(({ name }) => !CAPTURE_CONTAINERS.includes(name) && (name !== PROXY_CONTAINER || !nativeProxy));
  const first = capture ? [capture] : [];
  if (nativeProxy) return [...first, nativeProxy, ...others];
  // Without a proxy that runs already, captured init containers would reach nothing.
  return captured ? [...first, ...others] : [...others, ...first];
}
