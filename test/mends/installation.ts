/** What an installation registers with the API server, patches of proxies, and statuses. */
import { core, entry, HOST, HTTP, object, REGISTRY_ONLY } from './documents.ts';
import type { Mend } from './mend.ts';

const definition = (kind: string, versions: string, named: { annotations?: string } = {}) =>
  object(
    'apiextensions.k8s.io/v1',
    'CustomResourceDefinition',
    `spec: {group: gateway.networking.k8s.io, scope: Namespaced, names: {kind: ${kind}, plural: x}, versions: [${versions}]}`,
    { name: `${kind.toLowerCase()}s.gateway.networking.k8s.io`, namespace: '', ...named },
  );
const V1 = '{name: v1, served: true}';
const BETA = '{name: v1beta1, served: true}';
const patch = (operation: string, applyTo: string, more = '', match = '', name = 'patch') =>
  object(
    'networking.istio.io/v1alpha3',
    'EnvoyFilter',
    `spec:\n  ${more || 'configPatches:'}\n  ${more ? 'configPatches:\n  ' : ''}- {applyTo: ${applyTo}${match}, patch: {operation: ${operation}, value: {name: envoy.filters.http.lua}}}`,
    { name },
  );
const webhooks = (kind: string, name: string, hooks: string) =>
  object('admissionregistration.k8s.io/v1', kind, `webhooks:\n- ${hooks}`, { name, namespace: '', labels: '{app: sidecar-injector}' });
const SERVICE = '{service: {name: istiod, namespace: istio-system, path: /inject, port: 443}}';
const injector = (name: string, revision: string, client = SERVICE) =>
  webhooks(
    'MutatingWebhookConfiguration',
    name,
    `{name: rev.namespace.sidecar-injector.istio.io, clientConfig: ${client}, sideEffects: None, rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods]}], namespaceSelector: {matchLabels: {istio.io/rev: ${revision}}}}`,
  );
const validator = (client: string) =>
  webhooks('ValidatingWebhookConfiguration', 'istio-validator', `{name: rev.validation.istio.io, clientConfig: ${client}}`);
const ISTIOD = core('Service', 'spec: {selector: {app: istiod}, ports: [{name: https-webhook, port: 443}]}', {
  name: 'istiod',
  namespace: 'istio-system',
});
const RELATIVE = patch('INSERT_BEFORE', 'HTTP_FILTER');

export const INSTALLATION_MENDS: readonly Mend[] = [
  {
    code: 'IST0002',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      object(
        'networking.istio.io/v1',
        'DestinationRule',
        `spec: {host: ${HOST}, trafficPolicy: {outlierDetection: {consecutiveErrors: 5}}}`,
      ),
    says: /Use consecutiveGatewayErrors or consecutive5xxErrors/,
    change: [['consecutiveErrors', 'consecutive5xxErrors']],
    call: `http://${HOST}/`,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'IST0002',
    of: 'a kind that Istio has removed',
    text: object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'spec: {group: rbac.istio.io, scope: Namespaced}', {
      name: 'serviceroles.rbac.istio.io',
      namespace: '',
    }),
    says: /Write AuthorizationPolicies, and remove the definition/,
    change: [
      [
        object('apiextensions.k8s.io/v1', 'CustomResourceDefinition', 'spec: {group: rbac.istio.io, scope: Namespaced}', {
          name: 'serviceroles.rbac.istio.io',
          namespace: '',
        }),
        REGISTRY_ONLY,
      ],
    ],
  },
  {
    code: 'IST0002',
    of: 'a tracing provider',
    text: core(
      'ConfigMap',
      'data:\n  mesh: |\n    extensionProviders: [{name: spans, lightstep: {service: spans.example.com, port: 443, accessToken: x}}]',
      {
        name: 'istio',
        namespace: 'istio-system',
      },
    ),
    says: /Use an extensionProvider of type opentelemetry/,
    change: [
      ['lightstep: {service: spans.example.com, port: 443, accessToken: x}', 'opentelemetry: {service: spans.example.com, port: 443}'],
    ],
  },
  {
    code: 'IST0139',
    text: ISTIOD + injector('istio-sidecar-injector', 'default') + injector('istio-sidecar-injector-old', 'default'),
    says: /Give the selectors different revisions/,
    change: [[injector('istio-sidecar-injector-old', 'default'), injector('istio-sidecar-injector-old', 'old')]],
  },
  {
    code: 'IST0139',
    of: 'a Service that is missing',
    text: ISTIOD + injector('istio-sidecar-injector', 'default', SERVICE.replace('istio-system', 'istio')),
    says: /Correct the Service's name and namespace/,
    change: [['namespace: istio,', 'namespace: istio-system,']],
  },
  {
    code: 'IST0151',
    text: RELATIVE,
    says: /Set spec\.priority/,
    change: [[RELATIVE, patch('INSERT_BEFORE', 'HTTP_FILTER', 'priority: 10')]],
  },
  {
    code: 'IST0151',
    of: 'another operation',
    text: RELATIVE,
    says: /or use INSERT_FIRST or ADD/,
    change: [['INSERT_BEFORE', 'INSERT_FIRST']],
  },
  {
    code: 'IST0152',
    text: patch('REPLACE', 'CLUSTER'),
    says: /Use MERGE/,
    change: [['REPLACE', 'MERGE']],
  },
  {
    code: 'IST0153',
    text: patch('ADD', 'HTTP_ROUTE'),
    says: /Use INSERT_FIRST/,
    change: [['ADD', 'INSERT_FIRST']],
  },
  {
    code: 'IST0154',
    text: patch('REMOVE', 'ROUTE_CONFIGURATION'),
    says: /Use MERGE/,
    change: [['REMOVE', 'MERGE']],
  },
  {
    code: 'IST0155',
    text:
      patch('INSERT_FIRST', 'HTTP_FILTER', '', ", match: {proxy: {proxyVersion: '^1.2'}}", 'a') +
      patch('INSERT_AFTER', 'HTTP_FILTER', '', '', 'b'),
    says: /Set a priority on both EnvoyFilters, and drop the version/,
    change: [
      [
        patch('INSERT_FIRST', 'HTTP_FILTER', '', ", match: {proxy: {proxyVersion: '^1.2'}}", 'a'),
        patch('INSERT_FIRST', 'HTTP_FILTER', 'priority: 1', '', 'a'),
      ],
      [patch('INSERT_AFTER', 'HTTP_FILTER', '', '', 'b'), patch('INSERT_AFTER', 'HTTP_FILTER', 'priority: 2', '', 'b')],
    ],
  },
  {
    code: 'IST0156',
    text: definition('HTTPRoute', V1),
    says: /Install the CRDs of the Gateway API's standard channel of a later release/,
    change: [[`[${V1}]`, `[${V1}, ${BETA}]`]],
  },
  {
    code: 'IST0172',
    text: definition('HTTPRoute', BETA),
    says: /Install the CRDs of the Gateway API's standard channel of a later release first/,
    change: [[`[${BETA}]`, `[${V1}, ${BETA}]`]],
  },
  {
    code: 'IST0163',
    text: validator('{url: "istiod.example.com:15017"}'),
    says: /Write https:\/\/HOST\/PATH of the control plane/,
    change: [['"istiod.example.com:15017"', '"https://istiod.example.com:15017/validate"']],
  },
  {
    code: 'IST0164',
    text: validator('{url: "https://192.0.2.7:15017/validate"}'),
    says: /Use a host name/,
    change: [['192.0.2.7', 'istiod.example.com']],
  },
  {
    code: 'IST0171',
    text:
      REGISTRY_ONLY + entry(HTTP).replace('\n---', '\nstatus: {conditions: [{type: Reconciled, status: "False", reason: Broken}]}\n---'),
    says: /the status follows by itself/,
    change: [['status: "False", reason: Broken', 'status: "True"']],
    call: `http://${HOST}/`,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'IST0176',
    text: definition('GRPCRoute', V1, { annotations: '{gateway.networking.k8s.io/bundle-version: v1.0.0}' }),
    says: /Install the CRDs of a later release/,
    change: [['v1.0.0', 'v1.4.1']],
  },
];
