/** Namespaces, pods, Deployments, Services, and what the mesh's own configuration says of them. */
import { core, entry, HOST, istio, namespace, object, REGISTRY_ONLY, TLS } from './documents.ts';
import type { Mend } from './mend.ts';

const SHOP = { namespace: 'shop' };
const INJECTED = '{istio-injection: enabled}';
const pod = (containers: string, named: { labels?: string; annotations?: string } = {}, more = '') =>
  core('Pod', `spec: {containers: [${containers}]${more}}`, { name: 'a', labels: '{app: a}', ...SHOP, ...named });
const APP = '{name: app, image: app:1}';
const PROXY = (image: string) => `{name: istio-proxy, image: "${image}"}`;
const deployment = (
  containers = APP,
  template = 'labels: {app: a}',
  named: { name?: string; namespace?: string; annotations?: string; labels?: string } = {},
) =>
  object(
    'apps/v1',
    'Deployment',
    `spec: {selector: {matchLabels: {app: a}}, template: {metadata: {${template}}, spec: {containers: [${containers}]}}}`,
    {
      name: 'a',
      ...SHOP,
      ...named,
    },
  );
const service = (name: string, ports: string, more = 'selector: {app: a}') =>
  core('Service', `spec: {${more}, ports: [${ports}]}`, { name, ...SHOP });
const INJECTOR = (values: string) =>
  core('ConfigMap', `data:\n  values: '${values}'`, { name: 'istio-sidecar-injector', namespace: 'istio-system' });
const VALUES = '{"global": {"hub": "registry.example.com", "tag": "1.30.0", "proxy": {"image": "proxyv2"}}}';
const IMAGE = 'registry.example.com/proxyv2';
const ENABLED_BY_DEFAULT = INJECTOR('{"sidecarInjectorWebhook": {"enableNamespacesByDefault": true}}');
const NETWORKS = (registry: string) =>
  core('ConfigMap', `data:\n  meshNetworks: |\n    networks: {far: {endpoints: [{fromRegistry: ${registry}}]}}`, {
    name: 'istio',
    namespace: 'istio-system',
  });
const ISTIOD = (env: string) =>
  deployment(`{name: discovery, env: [${env}]}`, 'labels: {app: istiod}', {
    name: 'istiod',
    namespace: 'istio-system',
    labels: '{app: istiod}',
  });
const TOKENS = object(
  'security.istio.io/v1',
  'RequestAuthentication',
  "spec: {jwtRules: [{issuer: a, jwksUri: 'https://keys.example.com/'}]}",
  {
    name: 'tokens',
    ...SHOP,
  },
);
const NODE = (name: string, version: string) => core('Node', `status: {nodeInfo: {kubeletVersion: ${version}}}`, { name, namespace: '' });

export const WORKLOAD_MENDS: readonly Mend[] = [
  {
    code: 'IST0102',
    text: namespace('shop') + pod(APP),
    says: /Label it istio-injection: enabled/,
    change: [
      [namespace('shop'), namespace('shop', INJECTED)],
      [`[${APP}]`, `[${APP}, ${PROXY(`${IMAGE}:1.30.0`)}]`],
    ],
  },
  {
    code: 'IST0102',
    of: 'one that is to have none',
    text: namespace('shop') + pod(APP),
    says: /or disabled if that is meant/,
    change: [[namespace('shop'), namespace('shop', '{istio-injection: disabled}')]],
  },
  {
    code: 'IST0103',
    text: namespace('shop', INJECTED) + pod(APP),
    says: /Restart it so that it is injected/,
    change: [[`[${APP}]`, `[${APP}, ${PROXY(`${IMAGE}:1.30.0`)}]`]],
  },
  {
    code: 'IST0103',
    of: 'one that is to have none',
    text: namespace('shop', INJECTED) + pod(APP),
    says: /or say with the label sidecar\.istio\.io\/inject: "false"/,
    change: [['{app: a}', '{app: a, sidecar.istio.io/inject: "false"}']],
  },
  {
    code: 'IST0107',
    text: deployment(APP, 'labels: {app: a}', { annotations: "{proxy.istio.io/config: '{}'}" }),
    says: /Move it to spec\.template\.metadata\.annotations/,
    change: [
      [", annotations: {proxy.istio.io/config: '{}'}", ''],
      ['metadata: {labels: {app: a}}', "metadata: {labels: {app: a}, annotations: {proxy.istio.io/config: '{}'}}"],
    ],
  },
  {
    code: 'IST0108',
    text: pod(APP, { annotations: "{traffic.sidecar.istio.io/excludeOutboundPort: '80'}" }),
    says: /Did you mean traffic\.sidecar\.istio\.io\/excludeOutboundPorts\?/,
    change: [['excludeOutboundPort:', 'excludeOutboundPorts:']],
  },
  {
    code: 'IST0116',
    text:
      namespace('shop', INJECTED) +
      deployment() +
      service('one', '{port: 80, name: http}') +
      service('two', '{port: 80, name: udp, protocol: UDP}'),
    says: /or different ports/,
    change: [['{port: 80, name: udp', '{port: 81, name: udp']],
  },
  {
    code: 'IST0118',
    text: service('one', '{port: 80, name: web}'),
    says: /Name it <protocol>\[-<suffix>\], e\.g\. http-web/,
    change: [['name: web', 'name: http-web']],
  },
  {
    code: 'IST0123',
    text: namespace('shop', '{istio-injection: enabled, istio.io/rev: canary}'),
    says: /Keep one of the labels/,
    change: [['istio-injection: enabled, ', '']],
  },
  {
    code: 'IST0125',
    text: pod(APP, { annotations: '{traffic.sidecar.istio.io/includeOutboundIPRanges: 10.0.0.0/33}' }),
    says: /Correct it/,
    change: [['10.0.0.0/33', '10.0.0.0/8']],
  },
  {
    code: 'IST0126',
    text: NETWORKS('kubernets'),
    says: /Did you mean Kubernetes\?/,
    change: [['kubernets', 'Kubernetes']],
  },
  {
    code: 'IST0126',
    of: 'a cluster that has no Secret',
    text: NETWORKS('far-west'),
    says: /Add the Secret of that cluster \(label istio\/multiCluster: "true", with a key of that name\)/,
    add: core('Secret', 'stringData: {far-west: "apiVersion: v1"}', {
      name: 'far-west',
      namespace: 'istio-system',
      labels: '{istio/multiCluster: "true"}',
    }),
  },
  {
    code: 'IST0135',
    text: pod(APP, { annotations: "{sidecar.istio.io/inject: 'true'}" }),
    says: /Use the label sidecar\.istio\.io\/inject/,
    change: [['labels: {app: a}, annotations: {sidecar', "labels: {app: a, sidecar.istio.io/inject: 'true'}, annotations: {sidecar"]],
  },
  {
    code: 'IST0136',
    text: pod(APP, { annotations: "{sidecar.istio.io/proxyCPU: '100m'}" }),
    says: /or do without it/,
    change: [[", annotations: {sidecar.istio.io/proxyCPU: '100m'}", '']],
  },
  {
    code: 'IST0137',
    text:
      namespace('shop', INJECTED) +
      deployment() +
      service('one', '{port: 80, name: http, targetPort: 8080}') +
      service('two', '{port: 81, name: http, targetPort: 8080}'),
    says: /Use one port for it/,
    change: [['{port: 81', '{port: 80']],
  },
  {
    code: 'IST0142',
    text: NODE('a', 'v1.31.4'),
    says: /Upgrade the cluster/,
    change: [['v1.31.4', 'v1.33.1']],
  },
  {
    code: 'SP1065',
    text:
      REGISTRY_ONLY +
      object('v1', 'Pod', 'spec: {containers: [{name: app}]}', {
        name: 'web',
        annotations: "{traffic.sidecar.istio.io/excludeOutboundPorts: '443'}",
      }),
    says: /To have them held take it out, and declare with ServiceEntries what is called/,
    change: [["{traffic.sidecar.istio.io/excludeOutboundPorts: '443'}", '{}']],
    call: `https://${HOST}/ --from default/web`,
    was: /^reaches 203\.0\.113\.1:443/,
    ends: /closed$/,
  },
  {
    code: 'IST0144',
    text: deployment('{name: app, securityContext: {runAsUser: 1337}}'),
    says: /Use another user id/,
    change: [['1337', '1338']],
  },
  {
    code: 'IST0146',
    text: namespace('shop', '{istio-injection: disabled}') + deployment(PROXY('auto')),
    says: /Label the namespace istio-injection: enabled/,
    change: [['disabled', 'enabled']],
  },
  {
    code: 'IST0146',
    of: 'one workload',
    text: namespace('shop') + deployment(PROXY('auto')),
    says: /or the template sidecar\.istio\.io\/inject: "true"/,
    change: [['metadata: {labels: {app: a}}', 'metadata: {labels: {app: a, sidecar.istio.io/inject: "true"}}']],
  },
  {
    code: 'IST0147',
    text: namespace('shop', INJECTED) + pod(PROXY('auto')),
    says: /and create it anew/,
    change: [['"auto"', `"${IMAGE}:1.30.0"`]],
  },
  {
    code: 'IST0148',
    text: namespace('shop') + ENABLED_BY_DEFAULT,
    says: /Say so with the label istio-injection: enabled/,
    change: [[namespace('shop'), namespace('shop', INJECTED)]],
  },
  {
    code: 'IST0150',
    text: REGISTRY_ONLY + entry(TLS) + service('one', '{port: 443, name: tcp}', `type: ExternalName, externalName: ${HOST}`),
    says: /Name it by its protocol, e\.g\. http or https/,
    change: [['name: tcp', 'name: https']],
    call: 'https://one.shop.svc.cluster.local/',
    ends: /reaches www\.example\.com:443/,
  },
  {
    code: 'IST0158',
    text: namespace('shop', INJECTED) + INJECTOR(VALUES) + pod(`${APP}, ${PROXY(`${IMAGE}:1.29.0`)}`),
    says: /Restart the pods/,
    change: [['proxyv2:1.29.0', 'proxyv2:1.30.0']],
  },
  {
    code: 'IST0170',
    text: service('web', '{name: http, port: 80}'),
    says: /Give the Service the same type and ports in every cluster/,
    remote: [service('web', '{name: http, port: 8080}'), service('web', '{name: http, port: 80}')],
  },
  {
    code: 'IST0175',
    text: TOKENS + ISTIOD(''),
    says: /Set BLOCKED_CIDRS_IN_JWKS_URIS in its environment/,
    change: [['env: []', 'env: [{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: 10.0.0.0/8}]']],
  },
  {
    code: 'SP1050',
    text: TOKENS,
    says: /or write the keys into jwks/,
    change: [["jwksUri: 'https://keys.example.com/'", `jwks: '{"keys":[]}'`]],
  },
  {
    code: 'SP1045',
    text: namespace('shop', '{istio.io/dataplane-mode: ambient}'),
    says: /Inject sidecars \(istio-injection: enabled\)/,
    change: [['istio.io/dataplane-mode: ambient', 'istio-injection: enabled']],
  },
  {
    code: 'IST0167',
    of: 'a Sidecar of ambient mode',
    text: namespace('shop', '{istio.io/dataplane-mode: ambient}') + istio('Sidecar', 'egress: [{hosts: ["*/*"]}]', { name: 's', ...SHOP }),
    says: /or inject sidecars/,
    change: [['istio.io/dataplane-mode: ambient', 'istio-injection: enabled']],
  },
];
