/** Findings on what an installation registers with the API server. */
import { testPairs } from '../../test/support/findings.ts';

const join = (...objects: object[]) => objects.map((object) => JSON.stringify(object)).join('\n---\n');
const ISTIOD = { name: 'istiod', namespace: 'istio-system', path: '/inject', port: 443 };

const configuration = (kind: string, name: string, webhooks: object[]) => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind,
  metadata: { name, labels: { app: 'sidecar-injector' } },
  webhooks,
});
const injector = (name: string, revision: string, service: object = ISTIOD) =>
  configuration('MutatingWebhookConfiguration', name, [
    {
      name: 'rev.namespace.sidecar-injector.istio.io',
      clientConfig: { service, caBundle: '' },
      sideEffects: 'None',
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
      namespaceSelector: {
        matchExpressions: [
          { key: 'istio.io/rev', operator: 'In', values: [revision] },
          { key: 'istio-injection', operator: 'DoesNotExist' },
        ],
      },
      objectSelector: { matchExpressions: [{ key: 'sidecar.istio.io/inject', operator: 'NotIn', values: ['false'] }] },
    },
  ]);
const istiod = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'istiod', namespace: 'istio-system', labels: { app: 'istiod' } },
  spec: { ports: [{ name: 'https-webhook', port: 443 }], selector: { app: 'istiod' } },
};
const validator = (clientConfig: object) =>
  configuration('ValidatingWebhookConfiguration', 'istio-validator', [{ name: 'rev.validation.istio.io', clientConfig }]);
const routes = (version: string) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'grpcroutes.gateway.networking.k8s.io', annotations: { 'gateway.networking.k8s.io/bundle-version': version } },
  spec: { group: 'gateway.networking.k8s.io', scope: 'Namespaced' },
});

testPairs({
  'IST0139 of two for one revision': {
    wrong: join(istiod, injector('istio-sidecar-injector', 'default'), injector('istio-sidecar-injector-old', 'default')),
    right: join(istiod, injector('istio-sidecar-injector', 'default'), injector('istio-sidecar-injector-old', 'old')),
  },
  'IST0139 of a missing Service': {
    wrong: join(istiod, injector('istio-sidecar-injector', 'default', { ...ISTIOD, namespace: 'istio' })),
    right: join(istiod, injector('istio-sidecar-injector', 'default')),
  },
  'IST0139 of no injector': {
    wrong: join(injector('istio-sidecar-injector', 'default')),
    right: join(configuration('MutatingWebhookConfiguration', 'cert-manager', [{ name: 'a', clientConfig: { service: ISTIOD } }])),
  },
  'IST0163 of no URL': {
    wrong: join(validator({ url: 'istiod.example.com:15017' })),
    right: join(validator({ url: 'https://istiod.example.com:15017/validate' })),
  },
  ...Object.fromEntries(
    (
      [
        ['its name', 'istio-validator', {}],
        ['its revision', 'mesh', { 'istio.io/rev': 'canary' }],
        ['its app', 'mesh', { app: 'istiod' }],
        ['its app, an injector', 'mesh', { app: 'sidecar-injector' }],
      ] as const
    ).map(([what, name, labels]) => {
      const named = (name: string, labels: object) => join({ ...validator({ url: 'x' }), metadata: { name, labels } });
      return [`IST0163 of what is Istio's by ${what}`, { wrong: named(name, labels), right: named('mesh', { app: 'other' }) }];
    }),
  ),
  'IST0163 of nothing': { wrong: join(validator({})), right: join(validator({ service: ISTIOD })) },
  IST0164: {
    wrong: join(validator({ url: 'https://192.0.2.7:15017/validate' })),
    right: join(validator({ url: 'https://istiod.example.com:15017/validate' })),
  },
  IST0176: { wrong: join(routes('v1.0.0')), right: join(routes('v1.1.0')) },
  'IST0176 of a build between releases': { wrong: join(routes('v1.0.0')), right: join(routes('v0.0.0-dev')) },
});
