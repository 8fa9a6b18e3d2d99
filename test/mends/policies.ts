/** Policies, telemetry, and the authorizers that they name. */
import {
  CALL,
  core,
  EGRESS_POD,
  EGRESS_SERVICE,
  entry,
  GATEWAY_HOST,
  HOST,
  HTTP,
  HTTP_SERVER,
  istio,
  namespace,
  object,
  pod,
  REGISTRY_ONLY,
  STANDARD,
  security,
  THROUGH,
} from './documents.ts';
import type { Mend } from './mend.ts';

const telemetry = (spec: string, name = 't') => object('telemetry.istio.io/v1', 'Telemetry', `spec: ${spec}`, { name });
const policy = (spec: string, where = 'default') => security('AuthorizationPolicy', spec, { name: 'p', namespace: where });
const SELECTED = '{selector: {matchLabels: {app: one}}}';
const AT_EGRESS = 'selector: {matchLabels: {istio: egressgateway}}\n';
const MESH = (more: string) =>
  core('ConfigMap', `data:\n  mesh: |\n    outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n    ${more}`, {
    name: 'istio',
    namespace: 'istio-system',
  });
const PROVIDERS = (list: string) => MESH(`extensionProviders: [${list}]`);
const AUTHZ_HOST = 'authz.auth.svc.cluster.local';
const HTTP_AUTHZ = `{name: authz, envoyExtAuthzHttp: {service: ${AUTHZ_HOST}, port: 8000}}`;
const GRPC_AUTHZ = `{name: authz, envoyExtAuthzGrpc: {service: ${AUTHZ_HOST}, port: 9000}}`;
const AUTHZ = core('Service', 'spec: {selector: {app: authz}, ports: [{name: http, port: 8000}, {name: grpc, port: 9000}]}', {
  name: 'authz',
  namespace: 'auth',
});
const WEB =
  pod('web') +
  core(
    'Service',
    'spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8000}, {name: tcp, port: 90, targetPort: 9000}]}',
    { name: 'web' },
  );
const WEB_RULE = (tls: string) => istio('DestinationRule', `host: web\ntrafficPolicy: {tls: ${tls}}`, { name: 'web' });
const CUSTOM = (rules = '[{}]') => policy(`action: CUSTOM\nprovider: {name: authz}\nselector: {matchLabels: {app: web}}\nrules: ${rules}`);
const BY_TOKEN = '{from: [{source: {requestPrincipals: ["https://idp.example.com/*"]}}]}';
const tokens = (labels: string, where: string) =>
  security(
    'RequestAuthentication',
    `selector: {matchLabels: {${labels}}}\njwtRules: [{issuer: "https://idp.example.com", jwks: '{"keys":[]}'}]`,
    { name: 'tokens', namespace: where },
  );
const MUTUAL_SERVER = `- {port: {number: 443, name: https, protocol: HTTPS}, hosts: [${HOST}], tls: {mode: ISTIO_MUTUAL}}`;

export const POLICY_MENDS: readonly Mend[] = [
  {
    code: 'IST0127',
    text: pod('one') + policy('selector: {matchLabels: {app: on-e}}'),
    says: /Correct the selector/,
    change: [['app: on-e', 'app: one']],
  },
  {
    code: 'IST0127',
    of: 'workloads without a sidecar',
    text:
      namespace('default', '{istio-injection: disabled}') +
      pod('one').replace(', {name: istio-proxy}', '') +
      policy('selector: {matchLabels: {app: one}}'),
    says: /Have them injected/,
    change: [
      ['istio-injection: disabled', 'istio-injection: enabled'],
      ['[{name: app}]', '[{name: app}, {name: istio-proxy}]'],
    ],
  },
  {
    code: 'IST0157',
    text:
      MESH('extensionProviders: [{name: logs, envoyFileAccessLog: {path: /dev/stdout}}]') +
      telemetry('{accessLogging: [{disabled: false}]}'),
    says: /Name one, e\.g\. envoy/,
    change: [['{disabled: false}', '{providers: [{name: envoy}]}']],
  },
  {
    code: 'SP1010',
    of: 'tracing',
    text:
      PROVIDERS(`{name: spans, zipkin: {service: ${AUTHZ_HOST}, port: 8000}}`) +
      AUTHZ +
      telemetry('{tracing: [{providers: [{name: spans}]}]}'),
    says: /Use an extensionProvider of type opentelemetry/,
    change: [['zipkin:', 'opentelemetry:']],
  },
  {
    code: 'SP1010',
    of: 'a filter beside no provider',
    text: telemetry('{accessLogging: [{providers: [{name: envoy}]}, {filter: {expression: "response.code >= 400"}}]}'),
    says: /Name them beside it \(providers: \[\{name: envoy\}\]\)/,
    change: [['[{name: envoy}]}, {filter', '[{name: envoy}], filter']],
  },
  {
    code: 'SP1068',
    text: pod('one') + policy('action: DENY\nrules: [{to: [{operation: {methods: [delete], paths: [/v1/*/keys]}}]}]'),
    says: /As it stands it denies nothing, and what it is to refuse passes/,
    change: [
      ['methods: [delete]', 'methods: [DELETE]'],
      ['paths: [/v1/*/keys]', 'paths: ["/v1/{*}/keys"]'],
    ],
  },
  {
    code: 'SP1070',
    of: 'plain calls to workloads that take mutual TLS alone',
    text: WEB + security('PeerAuthentication', 'mtls: {mode: STRICT}') + WEB_RULE('{mode: DISABLE}'),
    says: /come without TLS, and its workloads take mutual TLS alone \(PeerAuthentication default\/www\).*Write mode: ISTIO_MUTUAL/,
    change: [['mode: DISABLE', 'mode: ISTIO_MUTUAL']],
    call: 'http://web.default.svc.cluster.local/',
    was: /fails with 503$/,
    ends: /reaches 10\.0\.0\.1:8000 in HTTP$/,
  },
  {
    code: 'SP1070',
    of: 'mutual TLS to a port that takes none',
    text:
      WEB +
      security('PeerAuthentication', 'selector: {matchLabels: {app: web}}\nportLevelMtls: {8000: {mode: DISABLE}}') +
      WEB_RULE('{mode: ISTIO_MUTUAL}'),
    says: /come in mutual TLS, and its workloads take no mutual TLS .*Take tls out/,
    change: [['\n  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}', '']],
    call: 'http://web.default.svc.cluster.local/',
    was: /fails with 503$/,
    ends: /reaches 10\.0\.0\.1:8000 in HTTP$/,
  },
  {
    code: 'SP1068',
    of: 'tokens that nobody reads',
    text: pod('one') + tokens('istio: ingressgateway', 'istio-system') + policy(`rules: [${BY_TOKEN}]`),
    says: /^No RequestAuthentication with jwtRules holds for the workloads.*As it stands it allows nothing\. Add one that selects them/,
    add: tokens('app: one', 'default'),
  },
  {
    code: 'SP1068',
    of: 'tokens of another issuer',
    text: pod('one') + tokens('app: one', 'default') + policy(`action: DENY\nrules: [${BY_TOKEN.replace('/idp', '/other')}]`),
    says: /Write https:\/\/idp\.example\.com\/\*, or/,
    change: [['https://other.example.com/*', 'https://idp.example.com/*']],
  },
  {
    code: 'SP1064',
    text:
      entry('{number: 443, name: tls, protocol: TLS}') +
      telemetry('{accessLogging: [{providers: [{name: envoy}], filter: {expression: "response.code >= 400"}}]}'),
    says: /write \(response\.code >= 400\) \|\| !has\(request\.method\)/,
    change: [['"response.code >= 400"', '"(response.code >= 400) || !has(request.method)"']],
  },
  {
    code: 'IST0159',
    text: pod('one') + pod('two') + telemetry(SELECTED, 'a') + telemetry(SELECTED, 'b'),
    says: /Make the selectors disjoint/,
    change: [[telemetry(SELECTED, 'b'), telemetry(SELECTED.replace('one', 'two'), 'b')]],
  },
  {
    code: 'IST0160',
    text: telemetry('{}', 'a') + telemetry('{}', 'b'),
    says: /Keep one/,
    change: [[telemetry('{}', 'b'), '']],
  },
  {
    code: 'IST0166',
    text: security(
      'RequestAuthentication',
      'selector: {matchLabels: {"gateway.networking.k8s.io/gateway-name": g}}\njwtRules: [{issuer: a}]',
    ),
    says: /Use targetRefs: \[\{group: gateway\.networking\.k8s\.io, kind: Gateway, name: g\}\]/,
    change: [
      [
        'selector: {matchLabels: {"gateway.networking.k8s.io/gateway-name": g}}',
        'targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}]',
      ],
    ],
  },
  {
    code: 'IST0167',
    text: STANDARD + pod('web') + EGRESS_POD + EGRESS_SERVICE + policy(`action: DENY\nrules: [{to: [{operation: {hosts: [${HOST}]}}]}]`),
    says: /lead them through an egress gateway and select its pods/,
    change: [
      [
        policy(`action: DENY\nrules: [{to: [{operation: {hosts: [${HOST}]}}]}]`),
        policy(`${AT_EGRESS}action: DENY\nrules: [{to: [{operation: {hosts: [${HOST}], ports: ["8080"]}}]}]`, 'istio-system'),
      ],
    ],
    call: CALL,
    was: THROUGH,
    ends: /answered 403$/,
  },
  {
    code: 'IST0167',
    of: 'exportTo',
    text:
      REGISTRY_ONLY +
      pod('web') +
      pod('cart', 'shop', '{app: cart}', '10.0.0.2') +
      entry(HTTP) +
      policy(`action: DENY\nrules: [{to: [{operation: {hosts: [${HOST}]}}]}]`, 'shop'),
    says: /or do not show the ServiceEntry to those who may not call \(exportTo, Sidecar, with REGISTRY_ONLY\)/,
    change: [
      [policy(`action: DENY\nrules: [{to: [{operation: {hosts: [${HOST}]}}]}]`, 'shop'), ''],
      [`ports: [${HTTP}]`, `ports: [${HTTP}]\n  exportTo: ["."]`],
    ],
    call: `${CALL} --from shop/cart`,
    was: /reaches/,
    ends: /closed$/,
  },
  {
    code: 'SP1045',
    of: 'a policy of a waypoint',
    text:
      STANDARD +
      pod('web') +
      EGRESS_POD +
      EGRESS_SERVICE +
      policy(`targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: www}]\naction: DENY\nrules: [{}]`),
    says: /or a selector of its pods\)/,
    change: [
      [
        policy(`targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: www}]\naction: DENY\nrules: [{}]`),
        policy(`${AT_EGRESS}action: DENY\nrules: [{}]`, 'istio-system'),
      ],
    ],
    call: CALL,
    was: THROUGH,
    ends: /answered 403$/,
  },
  {
    code: 'SP1047',
    text:
      STANDARD +
      pod('web') +
      EGRESS_POD +
      EGRESS_SERVICE +
      policy(
        `${AT_EGRESS}action: ALLOW\nrules: [{from: [{source: {principals: ["cluster.local/ns/default/sa/default"]}}]}]`,
        'istio-system',
      ),
    says: /Give the servers tls mode ISTIO_MUTUAL \(protocol HTTPS\), and the way to them \(a DestinationRule for the gateway's Service\) as well/,
    change: [
      [HTTP_SERVER, MUTUAL_SERVER],
      [`{host: ${GATEWAY_HOST}, port: {number: 80}}`, `{host: ${GATEWAY_HOST}, port: {number: 443}}`],
      ['[istio-system/out], port: 80', '[istio-system/out], port: 443'],
    ],
    add: istio(
      'DestinationRule',
      `host: ${GATEWAY_HOST}\ntrafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: {mode: ISTIO_MUTUAL, sni: ${HOST}}}]}`,
      {
        namespace: 'istio-system',
      },
    ),
    call: CALL,
    was: /answered 403$/,
    ends: THROUGH,
  },
  {
    code: 'SP1048',
    text: PROVIDERS(GRPC_AUTHZ) + AUTHZ + WEB + CUSTOM().replace('{name: authz}', '{name: autz}'),
    says: /Correct the provider's name/,
    change: [['{name: autz}', '{name: authz}']],
  },
  {
    code: 'SP1048',
    of: 'an authorizer that is added',
    text: REGISTRY_ONLY + WEB + CUSTOM(),
    says: /or add the authorizer to extensionProviders of MeshConfig and its service to the mesh/,
    change: [[REGISTRY_ONLY, PROVIDERS(GRPC_AUTHZ)]],
    add: AUTHZ,
  },
  {
    code: 'SP1049',
    text: PROVIDERS(HTTP_AUTHZ) + AUTHZ + WEB + CUSTOM(),
    says: /Name the HTTP ports in the rule \(to, operation, ports\)/,
    change: [['rules: [{}]', 'rules: [{to: [{operation: {ports: ["8000"]}}]}]']],
  },
  {
    code: 'SP1049',
    of: 'gRPC',
    text: PROVIDERS(HTTP_AUTHZ) + AUTHZ + WEB + CUSTOM(),
    says: /or use an authorizer over gRPC \(envoyExtAuthzGrpc\)/,
    change: [[HTTP_AUTHZ, GRPC_AUTHZ]],
  },
];
