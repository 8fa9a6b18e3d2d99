import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Pair, testPairs } from '../../test/support/findings.ts';
import { originText } from '../lib/origin.ts';
import { findingsOf } from './testing.ts';

const EGRESS_SERVICE = 'istio-egressgateway.istio-system.svc.cluster.local';

const entry = (extra = '', host = 'www.example.com', ports = '[{number: 80, name: http, protocol: HTTP}]', name = 'ext') => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec:
  hosts: ['${host}']
  location: MESH_EXTERNAL
  resolution: DNS
  ports: ${ports}
${extra}
---`;
const credentialed = entry().replace(
  /metadata: *\{/,
  `$&annotations: {sallyport.dev/bind: enforce, sallyport.dev/credentials: '[{"name":"c","ports":[80],"header":"x-key"}]'}, `,
);
const credentialPolicy = `
apiVersion: sallyport.dev/v1alpha1
kind: EgressPolicy
metadata: {name: pays, namespace: default}
spec: {through: gateway, tls: {originate: true}, to: [{hosts: [www.example.com], credentials: [{bearer: true, from: {secret: {name: api, key: token}}}]}]}
---`;
const credentialSecret = (key: string) => `
apiVersion: v1
kind: Secret
metadata: {name: api, namespace: default}
stringData: {${key}: s3cret}
---`;
const BEHIND = '$&annotations: {sallyport.dev/through: "proxy.corp.example:3128"}, ';
const FORWARD_PROXY = entry('  addresses: [192.0.2.31]', 'proxy.corp.example', '[{number: 3128, name: tcp, protocol: TCP}]', 'proxy');
const gateway = (
  servers = '[{port: {number: 80, name: http, protocol: HTTP}, hosts: [www.example.com]}]',
  name = 'egress',
  selector = '{istio: egressgateway}',
) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: istio-system}
spec: {selector: ${selector}, servers: ${servers}}
---`;
const through = (extra = '', hosts = '[www.example.com]', gateways = '[mesh, istio-system/egress]') => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: through, namespace: default}
spec:
  hosts: ${hosts}
  gateways: ${gateways}
  http:
  - match: [{gateways: [mesh], port: 80}]
    route: [{destination: {host: ${EGRESS_SERVICE}, port: {number: 80}}}]
  - match: [{gateways: [istio-system/egress], port: 80}]
    route: [{destination: {host: www.example.com, port: {number: 80}}}]
${extra}
---`;
const object = (kind: string, name: string, spec: string, namespace = 'default', group = 'networking.istio.io/v1') => `
apiVersion: ${group}
kind: ${kind}
metadata: {name: ${name}, namespace: ${namespace}}
spec: ${spec}
---`;
const pod = (name: string, labels: string, namespace = 'default') => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: ${namespace}, labels: ${labels}}
spec: {containers: [{name: app}]}
---`;
const annotated = (annotations: string) => pod('web', '{app: web}').replace('metadata: {', `metadata: {annotations: ${annotations}, `);
const service = (name: string, selector: string, ports: string, namespace = 'default') => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${namespace}}
spec: {selector: ${selector}, ports: ${ports}}
---`;

const STANDARD = entry() + gateway() + through();
const EGRESS_POD =
  pod('egress', '{app: istio-egressgateway, istio: egressgateway}', 'istio-system') +
  service('istio-egressgateway', '{istio: egressgateway}', '[{name: http2, port: 80}, {name: https, port: 443}]', 'istio-system');
/** A VirtualService for www.example.com on the mesh. */
const matching = (match: string) =>
  object(
    'VirtualService',
    'matching',
    `{hosts: [www.example.com], http: [{match: [${match}], route: [{destination: {host: www.example.com}}]}]}`,
  );
const delegating = (match: string, more = '') =>
  object('VirtualService', 'root', `{hosts: [www.example.com], http: [{match: ${match}, delegate: {name: leaf${more}}}]}`);
const delegate = (match: string, more = '', namespace = 'default') =>
  object('VirtualService', 'leaf', `{${more}http: [{match: ${match}, route: [{destination: {host: www.example.com}}]}]}`, namespace);
const passed = (name: string) =>
  object(
    'VirtualService',
    'passed',
    `{hosts: [www.example.com], tls: [{match: [{sniHosts: [${name}]}], route: [{destination: {host: www.example.com}}]}]}`,
  );
const logged = (entries: string, namespace = 'default') =>
  object('Telemetry', 'logs', `{accessLogging: [{${entries}}]}`, namespace, 'telemetry.istio.io/v1');
const WIDE = '[{number: 443, name: tls, protocol: TLS}]';

test('the standard egress pattern gives no finding, with one VirtualService or with two', () => {
  assert.deepEqual(findingsOf(STANDARD), []);
  const mesh = object(
    'VirtualService',
    'for-mesh',
    `{hosts: [www.example.com], http: [{route: [{destination: {host: ${EGRESS_SERVICE}, port: {number: 80}}}]}]}`,
  );
  const atGateway = object(
    'VirtualService',
    'for-gateway',
    '{hosts: [www.example.com], gateways: [istio-system/egress], http: [{route: [{destination: {host: www.example.com, port: {number: 80}}}]}]}',
  );
  assert.deepEqual(findingsOf(entry() + gateway() + mesh + atGateway), []);
});

/** Each code with a configuration that has it, and one that is right and as near as may be. */
const PAIRS: Readonly<Record<string, Pair>> = {
  'IST0101 of a credential': {
    wrong: credentialPolicy + credentialSecret('other'),
    right: credentialPolicy + credentialSecret('token'),
  },
  IST0101: { wrong: entry() + gateway() + through('', '[www.example.com]', '[mesh, istio-system/egres]'), right: STANDARD },
  IST0109: {
    wrong:
      STANDARD +
      object('VirtualService', 'second', '{hosts: [www.example.com], http: [{route: [{destination: {host: www.example.com}}]}]}'),
    right:
      STANDARD +
      entry('', 'other.example.com', undefined, 'other') +
      object(
        'VirtualService',
        'second',
        `{hosts: [other.example.com], http: [{route: [{destination: {host: ${EGRESS_SERVICE}, port: {number: 80}}}]}]}`,
      ),
  },
  IST0110: {
    wrong:
      pod('a', '{app: a}') +
      object('Sidecar', 'one', '{workloadSelector: {labels: {app: a}}, egress: [{hosts: ["*/*"]}]}') +
      object('Sidecar', 'two', '{workloadSelector: {labels: {app: a}}, egress: [{hosts: ["*/*"]}]}'),
    right:
      pod('a', '{app: a}') +
      object('Sidecar', 'one', '{workloadSelector: {labels: {app: a}}, egress: [{hosts: ["*/*"]}]}') +
      object('Sidecar', 'two', '{egress: [{hosts: ["*/*"]}]}'),
  },
  IST0111: {
    wrong: object('Sidecar', 'one', '{egress: [{hosts: ["*/*"]}]}') + object('Sidecar', 'two', '{egress: [{hosts: ["*/*"]}]}'),
    right: object('Sidecar', 'one', '{egress: [{hosts: ["*/*"]}]}') + object('Sidecar', 'two', '{egress: [{hosts: ["*/*"]}]}', 'other'),
  },
  IST0112: {
    wrong:
      entry('', 'www.example.com', '[{number: 80, name: http, protocol: HTTP}, {number: 8080, name: http-alt, protocol: HTTP}]') +
      object('VirtualService', 'v', '{hosts: [www.example.com], http: [{route: [{destination: {host: www.example.com}}]}]}'),
    right: entry() + object('VirtualService', 'v', '{hosts: [www.example.com], http: [{route: [{destination: {host: www.example.com}}]}]}'),
  },
  IST0127: {
    wrong:
      pod('a', '{app: a}') + object('AuthorizationPolicy', 'p', '{selector: {matchLabels: {app: b}}}', 'default', 'security.istio.io/v1'),
    right:
      pod('a', '{app: a}') + object('AuthorizationPolicy', 'p', '{selector: {matchLabels: {app: a}}}', 'default', 'security.istio.io/v1'),
  },
  IST0128: {
    wrong: entry() + object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: SIMPLE}}}'),
    right:
      entry() +
      object(
        'DestinationRule',
        'd',
        '{host: www.example.com, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /etc/ssl/certs/ca-certificates.crt}}}',
      ),
  },
  IST0129: {
    wrong:
      entry() +
      object(
        'DestinationRule',
        'd',
        '{host: www.example.com, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}}',
      ),
    right:
      entry() +
      object(
        'DestinationRule',
        'd',
        '{host: www.example.com, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, credentialName: ca}}]}}',
      ),
  },
  IST0130: {
    wrong:
      entry() +
      object(
        'VirtualService',
        'v',
        '{hosts: [www.example.com], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: www.example.com}}]}, {match: [{uri: {exact: /ab}}], route: [{destination: {host: www.example.com}}]}]}',
      ),
    right:
      entry() +
      object(
        'VirtualService',
        'v',
        '{hosts: [www.example.com], http: [{match: [{uri: {exact: /ab}}], route: [{destination: {host: www.example.com}}]}, {match: [{uri: {prefix: /a}}], route: [{destination: {host: www.example.com}}]}]}',
      ),
  },
  IST0131: {
    wrong:
      entry() +
      object(
        'VirtualService',
        'v',
        '{hosts: [www.example.com], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: www.example.com}}]}, {match: [{uri: {exact: /ab}}, {uri: {exact: /b}}], route: [{destination: {host: www.example.com}}]}]}',
      ),
    right:
      entry() +
      object(
        'VirtualService',
        'v',
        '{hosts: [www.example.com], http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: www.example.com}}]}, {match: [{uri: {exact: /c}}, {uri: {exact: /b}}], route: [{destination: {host: www.example.com}}]}]}',
      ),
  },
  IST0132: { wrong: STANDARD.replace('hosts: [www.example.com]}]', 'hosts: [ww.example.com]}]'), right: STANDARD },
  IST0134: {
    wrong: entry('', 'db.example.com', '[{number: 5432, name: tcp, protocol: TCP}]'),
    right: entry('  addresses: [203.0.113.9]', 'db.example.com', '[{number: 5432, name: tcp, protocol: TCP}]'),
  },
  IST0138: {
    wrong: `${gateway('[{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, credentialName: c}}]', 'one', '{istio: ingressgateway}')}${gateway('[{port: {number: 443, name: b, protocol: HTTPS}, hosts: [b.example.com], tls: {mode: SIMPLE, credentialName: c}}]', 'two', '{istio: ingressgateway}')}`,
    right: `${gateway('[{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, credentialName: c}}]', 'one', '{istio: ingressgateway}')}${gateway('[{port: {number: 443, name: b, protocol: HTTPS}, hosts: [b.example.com], tls: {mode: SIMPLE, credentialName: d}}]', 'two', '{istio: ingressgateway}')}`,
  },
  IST0140: {
    wrong:
      entry() +
      object('DestinationRule', 'd', '{host: www.example.com, subsets: [{name: v1, labels: {}}]}') +
      object('VirtualService', 'm', '{hosts: [www.example.com], http: [{route: [{destination: {host: www.example.com, subset: v1}}]}]}') +
      gateway() +
      object(
        'VirtualService',
        'g',
        '{hosts: [www.example.com], gateways: [istio-system/egress], http: [{route: [{destination: {host: www.example.com}}]}]}',
      ),
    right:
      entry() +
      object('DestinationRule', 'd', '{host: www.example.com, subsets: [{name: v1, labels: {}}]}') +
      object('VirtualService', 'm', '{hosts: [www.example.com], http: [{route: [{destination: {host: www.example.com, subset: v1}}]}]}') +
      gateway() +
      object(
        'VirtualService',
        'g',
        '{hosts: [www.example.com], gateways: [istio-system/egress], http: [{route: [{destination: {host: www.example.com, subset: v1}}]}]}',
      ),
  },
  IST0145: {
    wrong: STANDARD + gateway(undefined, 'second'),
    right: STANDARD + gateway('[{port: {number: 80, name: http, protocol: HTTP}, hosts: [api.example.com]}]', 'second'),
  },
  IST0149: {
    wrong: STANDARD.replace(
      '[{gateways: [istio-system/egress], port: 80}]',
      '[{gateways: [istio-system/egress], headers: {"@request.auth.claims.group": {exact: a}}}]',
    ),
    right:
      STANDARD.replace(
        '[{gateways: [istio-system/egress], port: 80}]',
        '[{gateways: [istio-system/egress], headers: {"@request.auth.claims.group": {exact: a}}}]',
      ) +
      object(
        'RequestAuthentication',
        'r',
        '{selector: {matchLabels: {istio: egressgateway}}, jwtRules: [{issuer: a, jwksUri: "https://a.example.com/k"}]}',
        'istio-system',
        'security.istio.io/v1',
      ),
  },
  IST0157: {
    wrong: object('Telemetry', 't', '{tracing: [{randomSamplingPercentage: 10}]}', 'default', 'telemetry.istio.io/v1'),
    right: object(
      'Telemetry',
      't',
      '{tracing: [{providers: [{name: otel}], randomSamplingPercentage: 10}]}',
      'default',
      'telemetry.istio.io/v1',
    ),
  },
  IST0159: {
    wrong:
      pod('a', '{app: a}') +
      object('Telemetry', 'one', '{selector: {matchLabels: {app: a}}}', 'default', 'telemetry.istio.io/v1') +
      object('Telemetry', 'two', '{selector: {matchLabels: {app: a}}}', 'default', 'telemetry.istio.io/v1'),
    right:
      pod('a', '{app: a}') +
      object('Telemetry', 'one', '{selector: {matchLabels: {app: a}}}', 'default', 'telemetry.istio.io/v1') +
      object('Telemetry', 'two', '{}', 'default', 'telemetry.istio.io/v1'),
  },
  IST0160: {
    wrong:
      object('Telemetry', 'one', '{}', 'default', 'telemetry.istio.io/v1') +
      object('Telemetry', 'two', '{}', 'default', 'telemetry.istio.io/v1'),
    right:
      object('Telemetry', 'one', '{}', 'default', 'telemetry.istio.io/v1') +
      object('Telemetry', 'two', '{}', 'other', 'telemetry.istio.io/v1'),
  },
  IST0161: {
    wrong: `${gateway('[{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: SIMPLE, credentialName: c}}]')}\napiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: istio-system}\nstringData: {tls.crt: nonsense, tls.key: nonsense}\n---`,
    right: gateway('[{port: {number: 443, name: a, protocol: HTTPS}, hosts: [a.example.com], tls: {mode: PASSTHROUGH}}]'),
  },
  IST0162: {
    wrong: EGRESS_POD + gateway('[{port: {number: 8888, name: http, protocol: HTTP}, hosts: [www.example.com]}]'),
    right: EGRESS_POD + gateway(),
  },
  IST0166: {
    wrong: object(
      'RequestAuthentication',
      'r',
      '{selector: {matchLabels: {"gateway.networking.k8s.io/gateway-name": g}}, jwtRules: [{issuer: a}]}',
      'default',
      'security.istio.io/v1',
    ),
    right: object(
      'RequestAuthentication',
      'r',
      '{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}], jwtRules: [{issuer: a}]}',
      'default',
      'security.istio.io/v1',
    ),
  },
  IST0171: {
    wrong: `${entry()}`.replace('---', 'status: {conditions: [{type: Reconciled, status: "False", reason: Broken}]}\n---'),
    right: `${entry()}`.replace('---', 'status: {conditions: [{type: Reconciled, status: "True"}]}\n---'),
  },
  IST0173: {
    wrong:
      service('a', '{app: a}', '[{name: http, port: 80}]') +
      pod('a', '{app: a, version: v1}') +
      object('DestinationRule', 'd', '{host: a, subsets: [{name: v2, labels: {version: v2}}]}'),
    right:
      service('a', '{app: a}', '[{name: http, port: 80}]') +
      pod('a', '{app: a, version: v1}') +
      object('DestinationRule', 'd', '{host: a, subsets: [{name: v1, labels: {version: v1}}]}'),
  },
  IST0174: {
    wrong: entry() + object('DestinationRule', 'd', '{host: ww.example.com}'),
    right: entry() + object('DestinationRule', 'd', '{host: www.example.com}'),
  },
  IST0177: {
    wrong:
      entry() +
      entry('', 'www.example.com', '[{number: 80, name: tcp, protocol: TLS}]', 'second').replace('namespace: default', 'namespace: other'),
    right: entry() + entry('', 'www.example.com', undefined, 'second').replace('namespace: default', 'namespace: other'),
  },
  SP1001: {
    wrong: STANDARD + entry('', 'api.example.com', undefined, 'api'),
    right: entry() + entry('', 'api.example.com', undefined, 'api'),
  },
  SP1002: {
    wrong: STANDARD.replace(
      '[{number: 80, name: http, protocol: HTTP}]',
      '[{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]',
    ),
    right: STANDARD,
  },
  SP1003: { wrong: entry() + gateway() + through('', '[www.example.com]', '[istio-system/egress]'), right: STANDARD },
  SP1004: {
    wrong: entry() + gateway() + through('  exportTo: ["."]'),
    right: entry('  exportTo: ["."]') + gateway() + through('  exportTo: ["."]'),
  },
  SP1006: { wrong: entry() + gateway() + through('', '[www.exmaple.com]'), right: STANDARD },
  SP1007: {
    wrong:
      entry('', 'www.example.com', WIDE) +
      object(
        'VirtualService',
        'v',
        '{hosts: [www.example.com], tls: [{match: [{sniHosts: [api.example.com]}], route: [{destination: {host: www.example.com}}]}]}',
      ),
    right:
      entry('', 'www.example.com', WIDE) +
      object(
        'VirtualService',
        'v',
        '{hosts: [www.example.com], tls: [{match: [{sniHosts: [www.example.com]}], route: [{destination: {host: www.example.com}}]}]}',
      ),
  },
  SP1009: {
    wrong: entry() + object('DestinationRule', 'd', '{host: www.example.com, subsets: [{name: v1, labels: {}}]}'),
    right:
      entry() +
      object('DestinationRule', 'd', '{host: www.example.com, subsets: [{name: v1, labels: {}}]}') +
      object('VirtualService', 'v', '{hosts: [www.example.com], http: [{route: [{destination: {host: www.example.com, subset: v1}}]}]}'),
  },
  SP1010: {
    wrong: entry('  endpoints: [{address: 203.0.113.9}]').replace('resolution: DNS', 'resolution: NONE'),
    right: entry('  endpoints: [{address: 203.0.113.9}]'),
  },
  SP1011: {
    wrong:
      entry('  addresses: [203.0.113.9]', 'a.example.com', '[{number: 6379, name: tcp, protocol: TCP}]', 'a') +
      entry('  addresses: [203.0.113.9]', 'b.example.com', '[{number: 6379, name: tcp, protocol: TCP}]', 'b'),
    right:
      entry('  addresses: [203.0.113.9]', 'a.example.com', '[{number: 6379, name: tcp, protocol: TCP}]', 'a') +
      entry('  addresses: [203.0.113.10]', 'b.example.com', '[{number: 6379, name: tcp, protocol: TCP}]', 'b'),
  },
  SP1013: {
    wrong:
      entry() + object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}'),
    right:
      entry() + object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca.crt}}}'),
  },
  SP1062: {
    wrong:
      entry('', 'www.example.com', '[{number: 80, name: http, protocol: HTTP, targetPort: 443}]') +
      object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca.crt}}}') +
      object('VirtualService', 'v', '{hosts: [api.example.com], http: [{route: [{destination: {host: www.example.com}}]}]}'),
    right:
      entry('', 'www.example.com', '[{number: 80, name: http, protocol: HTTP, targetPort: 443}]') +
      object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca.crt}}}') +
      object(
        'VirtualService',
        'v',
        '{hosts: [api.example.com], http: [{rewrite: {authority: www.example.com}, route: [{destination: {host: www.example.com}}]}]}',
      ),
  },
  SP1063: {
    wrong: STANDARD.replace('port: 80}]', "port: 80, uri: {prefix: '/a?b=c'}}]"),
    right: STANDARD.replace('port: 80}]', "port: 80, uri: {prefix: '/a'}, queryParams: {b: {exact: c}}}]"),
  },
  'SP1063 of a path without a slash': {
    wrong: entry() + matching('{uri: {exact: status}}'),
    right: entry() + matching('{uri: {exact: /status}}'),
  },
  'SP1063 of an expression without a slash': {
    wrong: entry() + matching("{uri: {regex: 'v[12]/.*'}}"),
    right: entry() + matching("{uri: {regex: 'v?/.*|/v[12]/.*'}}"),
  },
  'SP1063 of an expression with a query': {
    wrong: entry() + matching(String.raw`{uri: {regex: '/a\?b=.*'}}`),
    right: entry() + matching("{uri: {regex: '/a[?]?b.*'}}"),
  },
  'SP1063 of an expression as in JavaScript': {
    wrong: entry() + matching(String.raw`{uri: {regex: '/\/v1\/.*/gi'}}`),
    right: entry() + matching(String.raw`{uri: {regex: '(?i)\/v1\/.*'}}`),
  },
  'SP1063 of a method in small letters': {
    wrong: entry() + matching('{method: {exact: post}}'),
    right: entry() + matching('{method: {exact: POST}}'),
  },
  'SP1063 of a scheme': {
    wrong: entry() + matching('{scheme: {exact: HTTPS}}'),
    right: entry() + matching('{scheme: {exact: https}}'),
  },
  'SP1063 of another host': {
    wrong: entry() + matching('{authority: {exact: api.example.com}}'),
    right: entry() + matching('{authority: {exact: WWW.example.com}}'),
  },
  'SP1063 of a host without its port': {
    wrong:
      entry('', undefined, '[{number: 8080, name: http, protocol: HTTP}]') + matching('{port: 8080, authority: {exact: www.example.com}}'),
    right:
      entry('', undefined, '[{number: 8080, name: http, protocol: HTTP}]') +
      matching('{port: 8080, authority: {exact: "www.example.com:8080"}}'),
  },
  'SP1063 of a delegate': {
    wrong: entry() + delegating('[{uri: {prefix: /a}}]') + delegate('[{uri: {prefix: /b}}]'),
    right: entry() + delegating('[{uri: {prefix: /a}}]') + delegate('[{uri: {prefix: /a/b}}]'),
  },
  'SP1063 of a delegate of two': {
    wrong: entry() + delegating('[{uri: {prefix: /a}}, {uri: {prefix: /c}}]') + delegate('[{uri: {prefix: /b}}]'),
    right: entry() + delegating('[{uri: {prefix: /a}}, {uri: {prefix: /b}}]') + delegate('[{uri: {prefix: /b}}]'),
  },
  'IST0101 of a delegate': { wrong: entry() + delegating('[]'), right: entry() + delegating('[]') + delegate('[]') },
  'IST0101 of a delegate with hosts': {
    wrong: entry() + delegating('[]') + delegate('[]', 'hosts: [leaf.example.com], '),
    right: entry() + delegating('[]') + delegate('[]'),
  },
  'IST0101 of a delegate that is not exported': {
    wrong: entry() + delegating('[]', ', namespace: shop') + delegate('[]', "exportTo: ['.'], ", 'shop'),
    right: entry() + delegating('[]', ', namespace: shop') + delegate('[]', 'exportTo: [default], ', 'shop'),
  },
  'IST0109 beside a delegate that is not there': {
    wrong: entry() + delegating('[]') + delegate('[]') + matching('{uri: {prefix: /a}}'),
    right: entry() + delegating('[]') + matching('{uri: {prefix: /a}}'),
  },
  SP1064: {
    wrong: entry('', undefined, WIDE) + logged('providers: [{name: envoy}], filter: {expression: "response.code >= 400"}'),
    right:
      entry('', undefined, WIDE) +
      logged('providers: [{name: envoy}], filter: {expression: "response.code >= 400 || !has(request.method)"}'),
  },
  'SP1064 of hosts of HTTP': {
    wrong: entry('', undefined, WIDE) + logged('providers: [{name: envoy}], filter: {expression: "request.method != \'GET\'"}'),
    right: entry() + logged('providers: [{name: envoy}], filter: {expression: "request.method != \'GET\'"}'),
  },
  'IST0157 of the first entry': {
    wrong: logged('disabled: false}, {providers: [{name: envoy}]'),
    right: logged('providers: [{name: envoy}]}, {disabled: false'),
  },
  'IST0157 beside the root namespace': {
    wrong: logged('disabled: false'),
    right: logged('disabled: false') + logged('providers: [{name: envoy}]', 'istio-system'),
  },
  'SP1010 of a filter beside no provider': {
    wrong: logged('providers: [{name: envoy}]}, {filter: {expression: "response.code >= 400"}'),
    right: logged('providers: [{name: envoy}], filter: {expression: "response.code >= 400"}'),
  },
  'SP1010 of a filter that is not understood': {
    wrong: logged('providers: [{name: envoy}], filter: {expression: "!request.useragent.startsWith(\'probe\')"}'),
    right: logged('providers: [{name: envoy}], filter: {expression: "!has(request.useragent)"}'),
  },
  SP1065: {
    wrong: annotated("{traffic.sidecar.istio.io/excludeOutboundPorts: '5432'}"),
    right: annotated("{traffic.sidecar.istio.io/excludeOutboundPorts: ''}"),
  },
  'SP1065 of what is captured': {
    wrong: annotated('{traffic.sidecar.istio.io/includeOutboundIPRanges: 10.0.0.0/8}'),
    right: annotated("{traffic.sidecar.istio.io/includeOutboundIPRanges: '*'}"),
  },
  'SP1065 of a pod without a sidecar': {
    wrong: annotated('{sidecar.istio.io/interceptionMode: NONE}'),
    right: annotated("{sidecar.istio.io/interceptionMode: NONE, sidecar.istio.io/inject: 'false'}"),
  },
  SP1067: { wrong: entry('', 'www.example.com.'), right: entry() },
  'SP1067 of a Gateway': { wrong: STANDARD.replace('hosts: [www.example.com]}]', 'hosts: [www.example.com.]}]'), right: STANDARD },
  'SP1067 of a server name': {
    wrong: entry('', undefined, WIDE) + passed('www.example.com.'),
    right: entry('', undefined, WIDE) + passed('www.example.com'),
  },
  SP1014: {
    wrong: entry() + object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}'),
    right:
      entry('  location: MESH_INTERNAL').replace('  location: MESH_EXTERNAL\n', '') +
      object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}'),
  },
  SP1015: { wrong: STANDARD.replace('host: www.example.com, port', `host: ${EGRESS_SERVICE}, port`), right: STANDARD },
  SP1016: {
    wrong: entry('  exportTo: ["."]') + gateway() + through('  exportTo: [".", istio-system]'),
    right: entry('  exportTo: [".", istio-system]') + gateway() + through('  exportTo: [".", istio-system]'),
  },
  SP1019: {
    hints: true,
    wrong: entry('', '*.example.com').replace('resolution: DNS', 'resolution: NONE') + gateway() + through(),
    right: STANDARD,
  },
  SP1020: {
    wrong: entry('', '*.example.com').replace('resolution: DNS', 'resolution: DYNAMIC_DNS'),
    right: entry('', '*.example.com').replace('resolution: DNS', 'resolution: NONE'),
  },
  SP1053: {
    wrong: entry().replace(/metadata: *\{/, '$&annotations: {sallyport.dev/bind: enforce}, '),
    right: entry().replace(/metadata: *\{/, '$&annotations: {sallyport.dev/bind: "off"}, '),
  },
  SP1059: {
    wrong: entry().replace(/metadata: *\{/, '$&annotations: {sallyport.dev/through: "proxy.corp.example:3128"}, '),
    right: entry().replace(/metadata: *\{/, '$&annotations: {sallyport.dev/through: direct}, '),
  },
  'SP1059 of a port for which another object counts': {
    wrong: entry() + entry('', 'www.example.com', undefined, 'behind').replace(/metadata: *\{/, BEHIND) + FORWARD_PROXY,
    right:
      entry() +
      entry('', 'www.example.com', '[{number: 8080, name: http, protocol: HTTP}]', 'behind').replace(/metadata: *\{/, BEHIND) +
      FORWARD_PROXY,
  },
  SP1060: {
    wrong: credentialed,
    right: credentialed.replace('sallyport.dev/credentials', 'example.com/credentials'),
  },
  SP1061: {
    wrong: credentialed,
    right: credentialed.replace('sallyport.dev/credentials', 'example.com/credentials'),
  },
  SP1021: {
    hints: true,
    wrong: STANDARD,
    right:
      STANDARD + object('DestinationRule', 'd', '{host: www.example.com, trafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca.crt}}}'),
  },
  SP1022: { wrong: gateway(), right: STANDARD },
  SP1023: {
    wrong: EGRESS_POD + STANDARD,
    right:
      EGRESS_POD +
      STANDARD +
      object('NetworkPolicy', 'n', '{podSelector: {}, policyTypes: [Egress], egress: []}', 'default', 'networking.k8s.io/v1'),
  },
};

testPairs(PAIRS);

test('findings are placed, suppressed by rule and by annotation, and each stands once', () => {
  const wrong = entry() + object('DestinationRule', 'd', '{host: ww.example.com}');
  const [finding] = findingsOf(wrong);
  assert.equal(finding && originText(finding.origin), 'DestinationRule default/d');
  assert.equal(
    wrong.split('\n')[finding!.position!.line - 1]?.slice(finding!.position!.column - 1, finding!.position!.column + 13),
    'ww.example.com',
  );
  assert.deepEqual(findingsOf(wrong, { suppress: ['IST0174=DestinationRule default/*'] }), []);
  assert.deepEqual(
    findingsOf(
      wrong.replace(
        '{name: d, namespace: default}',
        '{name: d, namespace: default, annotations: {galley.istio.io/analyze-suppress: "IST0174"}}',
      ),
    ),
    [],
  );
});

test('SP1020 says which private addresses the embedded engine allows: none, or those of the annotation', () => {
  const wildcard = entry('', '*.example.com').replace('resolution: DNS', 'resolution: DYNAMIC_DNS');
  const message = (text: string) => findingsOf(text).find(({ code }) => code === 'SP1020')!.message;
  assert.match(message(wildcard), /the embedded engine refuses addresses that are not public/);
  const allowing = wildcard.replace(/metadata: *\{/, '$&annotations: {sallyport.dev/private-addresses: 10.1.0.0/16}, ');
  assert.match(message(allowing), /reached: 10\.1\.0\.0\/16 by the entry's annotation, and on Envoy also/);
});

test('SP1009 names up to five subsets that no route uses, and counts the others', () => {
  const message = (count: number) => {
    const subsets = Array.from({ length: count }, (_, i) => `{name: v${i}, labels: {}}`).join(', ');
    const found = findingsOf(entry() + object('DestinationRule', 'd', `{host: www.example.com, subsets: [${subsets}]}`));
    return found.find(({ code }) => code === 'SP1009')!.message;
  };
  assert.match(message(1), /subset v0 of .* nothing that it says takes effect\. Route to it with/);
  assert.match(message(5), /subset v0, v1, v2, v3, v4 of .* nothing that they say/);
  assert.match(message(6), /subset v0, v1, v2, v3, v4 and 1 more of /);
  assert.match(message(7), /subset v0, v1, v2, v3, v4 and 2 more of /);
});
