/** Where `istioctl analyze` has a finding that hangs on a detail: each case of it, and the nearest right one. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pair, testPairs } from '../../test/support/findings.ts';
import { originText } from '../lib/origin.ts';
import { findingsOf } from './testing.ts';

const object = (
  kind: string,
  name: string,
  spec: string,
  { namespace = 'default', group = 'networking.istio.io/v1', status = '' } = {},
) => `
apiVersion: ${group}
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
${status && `status: ${status}`}
---`;
const gateway = (name: string, selector: string, server: string) =>
  object('Gateway', name, `{selector: ${selector}, servers: [${server}]}`);
const pod = (labels: string, { extra = '', container = 'app', namespace = 'default' } = {}) => `
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ${namespace}, labels: ${labels}${extra}}
spec: {nodeName: n, containers: [{name: ${container}, image: i}]}
---`;
const DEPLOYMENT = (labels: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: default}
spec: {selector: {matchLabels: ${labels}}, template: {metadata: {labels: ${labels}}, spec: {containers: [{name: app, image: i}]}}}
---`;
const service = (name: string, selector: string, ports: string, labels = '{}') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: default, labels: ${labels}}
spec: {selector: ${selector}, ports: ${ports}}
---`;
const namespace = (name: string, labels: string) => `
apiVersion: v1
kind: Namespace
metadata: {name: ${name}, labels: ${labels}}
---`;
const definition = (name: string) => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ${name}}
spec: {}
---`;
const entry = (name: string, ports: string, extra = '', status = '') =>
  object('ServiceEntry', name, `{hosts: [www.example.com], resolution: DNS, ports: [${ports}]${extra}}`, { status });
const route = (destination: string, extra = '') =>
  object('VirtualService', 'v', `{hosts: [www.example.com]${extra}, http: [{route: [{destination: ${destination}}]}]}`);

const HTTP = '{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example.com]}';
const HTTPS = (host: string) =>
  `{port: {number: 443, name: https, protocol: HTTPS}, hosts: [${host}], tls: {mode: SIMPLE, credentialName: c}}`;
const PORT_80 = '{number: 80, name: http, protocol: HTTP}';
const POLICY = object('AuthorizationPolicy', 'a', '{selector: {matchLabels: {app: x}}, rules: [{}]}', { group: 'security.istio.io/v1' });
const fromNamespaces = (field: string, name: string) =>
  namespace('default', '{istio-injection: enabled}') +
  pod('{app: x}') +
  object('AuthorizationPolicy', 'a', `{rules: [{from: [{source: {${field}: [${name}]}}]}]}`, { group: 'security.istio.io/v1' });
const hooks = (...selectors: string[]) => `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: istio-sidecar-injector, labels: {istio.io/rev: default}}
webhooks:
${selectors.map((selector, i) => `- {name: h${i}.sidecar-injector.istio.io, clientConfig: {url: "https://istiod.example.com/inject"}${selector}}`).join('\n')}
---`;
const enabled = (value: string) => `, namespaceSelector: {matchLabels: {istio-injection: ${value}}}`;
const condition = (type: string, status: string, reason = 'Because') => `{type: ${type}, status: "${status}", reason: ${reason}}`;
const withCondition = (kind: string, group: string, status: string) =>
  object(kind, 'x', kind === 'HTTPRoute' ? '{}' : '{clusterIP: None}', { group, status });
const telemetry = (target: string) =>
  pod('{app: x, gateway.networking.k8s.io/gateway-name: gw}') + object('Telemetry', 't', `{${target}}`, { group: 'telemetry.istio.io/v1' });
const subsets = (labels: string) =>
  `
apiVersion: v1
kind: Node
metadata: {name: n, labels: {topology.kubernetes.io/region: eu}}
---` +
  pod('{app: x}') +
  service('s', '{app: x}', '[{port: 80, name: http}]') +
  object('DestinationRule', 'd', `{host: s, subsets: [{name: one, labels: ${labels}}]}`);

/** A host that the namespace of a gateway declares for itself, at another port. */
const AT_TWO_PORTS =
  entry('e', PORT_80, ", exportTo: ['.']") +
  entry('e', '{number: 81, name: http, protocol: HTTP}', ", exportTo: ['.']").replace('default', 'infra') +
  gateway('gw', '{istio: own}', HTTP).replace('default', 'infra') +
  pod('{istio: own}', { namespace: 'infra' });

const PAIRS: Record<string, Pair> = {
  'IST0101 a port that the destination does not have': {
    wrong: entry('e', PORT_80) + route('{host: www.example.com, port: {number: 81}}'),
    right: entry('e', PORT_80) + route('{host: www.example.com, port: {number: 80}}'),
  },
  'IST0101 a port that the gateways of the route know, whose namespace has its own declaration': {
    wrong: AT_TWO_PORTS + route('{host: www.example.com, port: {number: 81}}', ', gateways: [mesh, infra/gw]'),
    right: AT_TWO_PORTS + route('{host: www.example.com, port: {number: 81}}', ', gateways: [infra/gw]'),
  },
  'IST0101 a host that those who follow the route see': {
    wrong: entry('e', PORT_80, ', exportTo: [shop]') + route('{host: www.example.com}', ', exportTo: [other]').replace('default', 'admin'),
    right: entry('e', PORT_80, ', exportTo: [shop]') + route('{host: www.example.com}', ', exportTo: [shop]').replace('default', 'admin'),
  },
  'IST0101 a namespace that is left out and does not exist': {
    wrong: fromNamespaces('notNamespaces', 'nowhere'),
    right: fromNamespaces('notNamespaces', 'def*'),
  },
  'IST0106 a wildcard that DNS is to resolve': {
    wrong: object('ServiceEntry', 'e', `{hosts: ["*.example.com"], resolution: DNS, ports: [${PORT_80}]}`),
    right: object(
      'ServiceEntry',
      'e',
      `{hosts: ["*.example.com"], resolution: DNS, ports: [${PORT_80}], endpoints: [{address: a.example.com}]}`,
    ),
  },
  'IST0106 an SNI that is none of the hosts': {
    wrong: object('VirtualService', 'v', '{hosts: ["*.a.com"], tls: [{match: [{sniHosts: [b.com]}], route: [{destination: {host: b}}]}]}'),
    right: object(
      'VirtualService',
      'v',
      '{hosts: ["*.a.com"], tls: [{match: [{sniHosts: ["*.b.a.com"]}], route: [{destination: {host: b}}]}]}',
    ),
  },
  'IST0145 equal selectors without a workload in the files': {
    wrong: service('s', '{app: x}', '[{port: 80, name: http}]') + gateway('a', '{app: g}', HTTP) + gateway('b', '{app: g}', HTTP),
    right: service('s', '{app: x}', '[{port: 80, name: http}]') + gateway('a', '{app: g}', HTTP) + gateway('b', '{app: h}', HTTP),
  },
  'IST0145 one host, not a wildcard that covers it': {
    wrong: gateway('a', '{app: g}', HTTP) + gateway('b', '{app: g}', HTTP.replace('[a.', '["*/a.').replace('com]', 'com"]')),
    right: gateway('a', '{app: g}', HTTP) + gateway('b', '{app: g}', HTTP.replace('[a.', '["*.').replace('com]', 'com"]')),
  },
  'IST0138 a selector that is narrower': {
    wrong: gateway('a', '{app: g}', HTTPS('a.example.com')) + gateway('b', '{app: g, v: one}', HTTPS('b.example.com')),
    right: gateway('a', '{app: g, v: two}', HTTPS('a.example.com')) + gateway('b', '{app: g, v: one}', HTTPS('b.example.com')),
  },
  'IST0162 the port behind the Service': {
    wrong: pod('{app: g}') + service('s', '{app: g}', '[{port: 8080, name: http, targetPort: 8081}]') + gateway('a', '{app: g}', HTTP),
    right: pod('{app: g}') + service('s', '{app: g}', '[{port: 8080, name: http, targetPort: 80}]') + gateway('a', '{app: g}', HTTP),
  },
  'IST0177 in one namespace': {
    wrong: entry('a', PORT_80) + entry('b', '{number: 80, name: tcp, protocol: TCP}'),
    right: entry('a', PORT_80) + entry('b', '{number: 80, name: h2, protocol: http}'),
  },
  'IST0134 an address that the control plane allocated': {
    wrong: entry('a', '{number: 22, name: ssh, protocol: TCP}', '', '{addresses: []}'),
    right: entry('a', '{number: 22, name: ssh, protocol: TCP}', '', '{addresses: [{host: www.example.com, value: 240.240.0.1}]}'),
  },
  'IST0165 a Gateway under the name that Istio gives it': {
    wrong: entry('e', PORT_80) + route('{host: www.example.com}', ', gateways: [ns/g~istio-autogenerated-k8s-gateway~http]'),
    right: entry('e', PORT_80) + route('{host: www.example.com}', ', gateways: [ns/g]'),
  },
  'IST0131 within one rule': {
    wrong:
      entry('e', PORT_80) +
      route('{host: www.example.com}').replace('http: [{', 'http: [{match: [{uri: {prefix: /a}}, {uri: {prefix: /ab}}], '),
    right:
      entry('e', PORT_80) +
      route('{host: www.example.com}').replace('http: [{', 'http: [{match: [{uri: {prefix: /ab}}, {uri: {prefix: /a}}], '),
  },
  'IST0139 two webhooks of one configuration': { wrong: hooks('', ''), right: hooks(enabled('enabled'), enabled('disabled')) },
  'IST0123 a sidecar and ambient mode': {
    wrong: namespace('a', '{istio-injection: enabled, istio.io/dataplane-mode: ambient}'),
    right: namespace('a', '{istio-injection: disabled, istio.io/dataplane-mode: ambient}'),
  },
  'IST0123 a revision and ambient mode': {
    wrong: namespace('a', '{istio.io/rev: canary, istio.io/dataplane-mode: ambient}'),
    right: namespace('a', '{istio-injection: disabled, istio.io/rev: canary}'),
  },
  'IST0107 what Istio writes itself': {
    wrong: pod('{app: x}', { extra: ', annotations: {gateway.istio.io/name-override: x}' }),
    right: pod('{app: x}', { extra: ', annotations: {gateway.istio.io/controller-version: "5"}' }),
  },
  'IST0171 of a Service': {
    wrong: withCondition('Service', 'v1', `{conditions: [${condition('istio.io/WaypointBound', 'False')}]}`),
    right: withCondition('Service', 'v1', `{conditions: [${condition('LoadBalancerPortsError', 'False')}]}`),
  },
  'IST0171 of a route, by its parent': {
    wrong: withCondition('HTTPRoute', 'gateway.networking.k8s.io/v1', `{parents: [{conditions: [${condition('ResolvedRefs', 'False')}]}]}`),
    right: withCondition('HTTPRoute', 'gateway.networking.k8s.io/v1', `{parents: [{conditions: [${condition('ResolvedRefs', 'True')}]}]}`),
  },
  'IST0171 a policy that is accepted in part': {
    wrong: POLICY.replace('\n\n---', `\nstatus: {conditions: [${condition('WaypointAccepted', 'True', 'PartiallyInvalid')}]}\n---`),
    right: POLICY.replace('\n\n---', `\nstatus: {conditions: [${condition('WaypointAccepted', 'True', 'Accepted')}]}\n---`),
  },
  'IST0166 a selector that picks the pods by another label': {
    wrong: telemetry('selector: {matchLabels: {app: x}}'),
    right: telemetry('selector: {matchLabels: {app: y}}'),
  },
  'IST0166 of pods that are there, not of what would make some': {
    wrong: telemetry('selector: {matchLabels: {app: x}}'),
    right:
      DEPLOYMENT('{app: x, gateway.networking.k8s.io/gateway-name: gw}') +
      object('Telemetry', 't', '{selector: {matchLabels: {app: x}}}', { group: 'telemetry.istio.io/v1' }),
  },
  'IST0166 beside a target': {
    wrong: telemetry('selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: gw}}'),
    right: telemetry(
      'selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: gw}}, targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]',
    ),
  },
  'IST0002 kinds that Istio has removed': {
    wrong: definition('serviceroles.rbac.istio.io'),
    right: definition('authorizationpolicies.security.istio.io'),
  },
  'IST0002 fields that Istio has given up': {
    wrong: route('{host: www.example.com}').replace('http: [{', 'http: [{mirrorPercent: 5, '),
    right: route('{host: www.example.com}').replace('http: [{', 'http: [{mirrorPercentage: {value: 5}, '),
  },
  'IST0127 workloads that get no sidecar': {
    wrong: pod('{app: x, sidecar.istio.io/inject: "false"}') + POLICY,
    right: pod('{app: x}') + POLICY,
  },
  'IST0127 workloads of a namespace without sidecars': {
    wrong: namespace('default', '{istio-injection: disabled}') + pod('{app: x}') + POLICY,
    right: namespace('default', '{istio-injection: disabled}') + pod('{app: x}', { container: 'istio-proxy' }) + POLICY,
  },
  'IST0173 labels of the node': {
    wrong: subsets('{topology.kubernetes.io/region: us}'),
    right: subsets('{topology.kubernetes.io/region: eu}'),
  },
  'IST0133 of every EnvoyFilter': {
    wrong: object('EnvoyFilter', 'f', '{configPatches: []}', { group: 'networking.istio.io/v1alpha3' }),
    right: object('Sidecar', 's', '{egress: [{hosts: ["./*"]}]}'),
  },
  'IST0118 of what Istio deploys for a Gateway': {
    wrong: service('s', '{app: x}', '[{port: 15008, name: mesh}]'),
    right: service('s', '{app: x}', '[{port: 15008, name: mesh}]', '{gateway.istio.io/managed: istio.io-mesh-controller}'),
  },
};

testPairs(PAIRS);

test('an unknown protocol is one finding, and that of addresses comes when it is corrected', () => {
  const codes = findingsOf(entry('e', '{number: 22, name: x, protocol: SSH}')).map(({ code }) => code);
  assert.deepEqual(codes, ['IST0106']);
});

test('a host whose declaration is broken is one finding: not also missing where it is used', () => {
  const broken = object('ServiceEntry', 'e', `{hosts: [www.example.com], ports: [{number: 0, name: http, protocol: HTTP}]}`);
  const used =
    route('{host: www.example.com}') + object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: DISABLE}}}');
  assert.deepEqual([...new Set(findingsOf(broken + used).map(({ origin }) => originText(origin)))], ['ServiceEntry default/e']);
});
