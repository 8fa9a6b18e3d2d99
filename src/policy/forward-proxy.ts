/** The way out through forward proxies, written short (`--via`), as the resources that it stands for. Pure. */
import { PROXY_AUTHORIZATION } from '../api/through.ts';
import { isIp } from '../lib/ip.ts';
import { REFUSED } from '../lib/refused-host.ts';
import { resourceName } from './plan.ts';

export interface ForwardProxies {
  /** One, or several that stand in for each other. */
  readonly proxies: readonly { readonly host: string; readonly port: number }[];
  /** They are asked in TLS: verified by these roots (a file), or by the system's. */
  readonly tls?: { readonly caCertificates?: string | undefined } | undefined;
  /** The environment variable that holds their `proxy-authorization`. */
  readonly variable?: string | undefined;
}

/** The host by which the resources have them, and its port. */
export function forwardProxyName({ proxies }: ForwardProxies): { readonly host: string; readonly port: number } {
  const [first, ...others] = proxies;
  const host =
    others.length > 0
      ? 'forward-proxies.internal'
      : isIp(first!.host)
        ? `${resourceName('forward-proxy', first!.host).replaceAll('.', '-')}.internal`
        : first!.host;
  return { host, port: first!.port };
}

/** Where the mesh's own objects are. */
const NAMESPACE = 'istio-system';
/** An address of its own, so that no other connection to its port is taken for one to it. */
const ADDRESS = '240.241.255.254';

/** Kubernetes objects. Workloads may not call the proxies themselves: they would ask them for any host. */
export function forwardProxyResources(given: ForwardProxies): object[] {
  const { proxies, tls, variable } = given;
  const { host, port } = forwardProxyName(given);
  const object = (kind: string, spec: object, annotations?: object) => ({
    apiVersion: 'networking.istio.io/v1',
    kind,
    metadata: { name: 'forward-proxy', namespace: NAMESPACE, ...(annotations && { annotations }) },
    spec,
  });
  const entry = {
    hosts: [host],
    addresses: [ADDRESS],
    location: 'MESH_EXTERNAL',
    resolution: proxies.every((proxy) => isIp(proxy.host)) ? 'STATIC' : 'DNS',
    ports: [{ number: port, name: 'tcp-proxy', protocol: 'TCP' }],
    endpoints: proxies.map((proxy) => ({ address: proxy.host, ports: { 'tcp-proxy': proxy.port } })),
  };
  // One that fails is left out for a while, as long as another is there.
  const outlierDetection = {
    splitExternalLocalOriginErrors: true,
    consecutiveLocalOriginFailures: 2,
    interval: '5s',
    baseEjectionTime: '30s',
    maxEjectionPercent: 50,
  };
  const settings = tls && {
    mode: 'SIMPLE',
    ...(isIp(proxies[0]!.host) ? {} : { sni: proxies[0]!.host }),
    subjectAltNames: proxies.map((proxy) => proxy.host),
    ...(tls.caCertificates !== undefined && { caCertificates: tls.caCertificates }),
  };
  return [
    object('ServiceEntry', entry, {
      'sallyport.dev/through': 'direct',
      ...(variable !== undefined && { [PROXY_AUTHORIZATION]: variable }),
    }),
    object('VirtualService', {
      hosts: [host],
      tcp: [{ match: [{ port }], route: [{ destination: { host: REFUSED.forwardProxy, port: { number: 1 } } }] }],
    }),
    object('DestinationRule', { host, trafficPolicy: { outlierDetection, ...(settings && { tls: settings }) } }),
  ];
}
