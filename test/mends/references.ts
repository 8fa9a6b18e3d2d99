/** Names that lead nowhere, or further than is needed. */
import {
  APP_ONE,
  CALL,
  core,
  direct,
  EGRESS,
  EGRESS_POD,
  EGRESS_SERVICE,
  entry,
  GATEWAY_HOST,
  gateway,
  HOST,
  HTTP,
  HTTP_ALT,
  HTTP_OUT,
  HTTP_SERVER,
  HTTP_TO_GATEWAY,
  istio,
  NOT_THROUGH,
  namespace,
  object,
  pod,
  REGISTRY_ONLY,
  routes,
  STANDARD,
  secret,
  security,
  sidecar,
  staticEntry,
  THROUGH,
  to,
} from './documents.ts';
import type { Mend } from './mend.ts';

const DIRECT = /^default\/\S+ outbound\|80\|\|www\.example\.com > reaches www\.example\.com:80 in HTTP$/;
const SUBSET = (labels = '{}') => istio('DestinationRule', `host: ${HOST}\nsubsets: [{name: v1, labels: ${labels}}]`);
const WILDCARD = 'resolution: STATIC\nendpoints: [{address: 192.0.2.1}]';
const SELECTING = 'resolution: STATIC\nworkloadSelector: {labels: {app: cart}}';

/** Calls that an egress gateway puts a credential into. */
const paid = (credentials: string, tls = '') =>
  REGISTRY_ONLY +
  object(
    'sallyport.dev/v1alpha1',
    'EgressPolicy',
    `spec: {through: gateway, tls: {originate: true${tls}}, to: [{hosts: [${HOST}], protocol: HTTP${credentials}}]}`,
    { name: 'paid' },
  );
const KEYED = ', credentials: [{bearer: true, from: {secret: {name: api, key: token}}}]';
const SIGNED =
  ', credentials: [{sigv4: {region: eu-west-1, service: s3}, from: {secret: {name: api, keys: {accessKeyId: id, secretAccessKey: key}}}}]';
const LACKED = / > istio-system\/\S+ none > answered 503$/;
const PAID = / > istio-system\/\S+ outbound\|80\|(?:client_certificate)?\|www\.example\.com > reaches www\.example\.com:443 in /;

export const REFERENCE_MENDS: readonly Mend[] = [
  {
    code: 'IST0101',
    of: 'a gateway',
    text: STANDARD.replace('[mesh, istio-system/out]', '[mesh, istio-system/outt]'),
    says: /Did you mean istio-system\/out\?/,
    change: [['istio-system/outt', 'istio-system/out']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'IST0101',
    of: 'a gateway of another namespace',
    text: STANDARD.replaceAll('istio-system/out', 'out'),
    says: /Write istio-system\/out: that Gateway exists/,
    change: [
      ['[mesh, out]', '[mesh, istio-system/out]'],
      ['gateways: [out]', 'gateways: [istio-system/out]'],
    ],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'IST0101',
    of: 'a Gateway of the Kubernetes Gateway API',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      object(
        'gateway.networking.k8s.io/v1',
        'Gateway',
        `spec: {gatewayClassName: istio, addresses: [{type: Hostname, value: ${GATEWAY_HOST}}], listeners: [{name: http, port: 80, protocol: HTTP, hostname: ${HOST}, allowedRoutes: {namespaces: {from: All}}}]}`,
        { name: 'out', namespace: 'istio-system' },
      ) +
      routes(`gateways: [mesh]\nhttp:\n- ${to(`{host: ${GATEWAY_HOST}, port: {number: 80}}`)}`) +
      routes(`gateways: [istio-system/out]\nhttp:\n- ${to()}`, { name: 'out' }),
    says: /write an HTTPRoute or TLSRoute with parentRefs: \[\{name: out, namespace: istio-system\}\]/,
    change: [[routes(`gateways: [istio-system/out]\nhttp:\n- ${to()}`, { name: 'out' }), '']],
    add: object(
      'gateway.networking.k8s.io/v1',
      'HTTPRoute',
      `spec: {hostnames: [${HOST}], parentRefs: [{name: out, namespace: istio-system}], rules: [{backendRefs: [{group: networking.istio.io, kind: Hostname, name: ${HOST}, port: 80}]}]}`,
    ),
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'IST0101',
    of: 'a host',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- ${to('{host: ww.example.com, port: {number: 80}}')}`),
    says: /Did you mean www\.example\.com\?/,
    change: [['{host: ww.example.com', `{host: ${HOST}`]],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'IST0101',
    of: 'a host that nothing declares',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- ${to('{host: other.example.net, port: {number: 80}}')}`),
    says: /Declare it with a ServiceEntry/,
    add: entry(HTTP, '', { name: 'other' }, 'other.example.net'),
    call: CALL,
    was: NOT_THROUGH,
    ends: /reaches other\.example\.net:80 in HTTP$/,
  },
  {
    code: 'IST0101',
    of: 'a host that is hidden',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      entry(HTTP, 'exportTo: ["."]', { name: 'other', namespace: 'shop' }, 'other.example.net') +
      direct(`- ${to('{host: other.example.net, port: {number: 80}}')}`),
    says: /add default \(or '\*'\) to its exportTo/,
    change: [['exportTo: ["."]', 'exportTo: [".", default]']],
    call: CALL,
    was: NOT_THROUGH,
    ends: /reaches other\.example\.net:80 in HTTP$/,
  },
  {
    code: 'IST0101',
    of: 'a subset',
    text: REGISTRY_ONLY + entry(HTTP) + SUBSET() + direct(`- ${to(`{host: ${HOST}, subset: v2, port: {number: 80}}`)}`),
    says: /Did you mean subset v1\?/,
    change: [['subset: v2', 'subset: v1']],
    call: CALL,
    was: NOT_THROUGH,
    ends: /outbound\|80\|v1\|www\.example\.com > reaches/,
  },
  {
    code: 'IST0101',
    of: 'a subset that nothing defines',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- ${to(`{host: ${HOST}, subset: v1, port: {number: 80}}`)}`),
    says: /Define the subset in a DestinationRule for the host/,
    add: SUBSET(),
    call: CALL,
    was: NOT_THROUGH,
    ends: /outbound\|80\|v1\|www\.example\.com > reaches/,
  },
  {
    code: 'IST0101',
    of: 'a port',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- ${to(`{host: ${HOST}, port: {number: 8080}}`)}`),
    says: /Use one of its ports/,
    change: [['{number: 8080}', '{number: 80}']],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'IST0101',
    of: 'a port that is declared',
    text: REGISTRY_ONLY + entry(HTTP) + direct(`- ${to(`{host: ${HOST}, port: {number: 8080}}`)}`),
    says: /or declare port 8080 there/,
    change: [[HTTP, `${HTTP}, ${HTTP_ALT}`]],
    call: CALL,
    was: NOT_THROUGH,
    ends: /reaches www\.example\.com:8080 in HTTP$/,
  },
  {
    code: 'IST0101',
    of: 'the selector of a Gateway',
    text: STANDARD + pod('web') + EGRESS_POD.replace('egressgateway', 'egress') + EGRESS_SERVICE,
    says: /Deploy the gateway with these labels/,
    change: [['labels: {istio: egress}', 'labels: {istio: egressgateway}']],
    call: `${CALL} --from default/web`,
    ends: THROUGH,
    // It is in use then.
    beside: ['SP1023'],
  },
  {
    code: 'IST0101',
    of: 'a credentialName',
    text:
      REGISTRY_ONLY +
      gateway(`- {port: {number: 443, name: https, protocol: HTTPS}, hosts: [${HOST}], tls: {mode: SIMPLE, credentialName: cert}}`),
    says: /Create it with kubectl -n istio-system create secret tls cert/,
    add: secret('cert', 'istio-system'),
  },
  {
    code: 'IST0101',
    of: 'a Secret of another namespace',
    text:
      REGISTRY_ONLY +
      secret('cert', 'default') +
      gateway(`- {port: {number: 443, name: https, protocol: HTTPS}, hosts: [${HOST}], tls: {mode: SIMPLE, credentialName: cert}}`),
    says: /create it in istio-system/,
    change: [['{name: cert, namespace: default}', '{name: cert, namespace: istio-system}']],
  },
  {
    code: 'IST0101',
    of: 'a Secret of a credential',
    text: paid(KEYED),
    says: /Create it with kubectl -n default create secret generic api --from-file=token/,
    add: core('Secret', 'stringData: {token: s3cret}', { name: 'api' }),
    call: CALL,
    was: LACKED,
    ends: PAID,
  },
  {
    code: 'IST0101',
    of: 'a key of a Secret of a credential',
    text: paid(SIGNED) + core('Secret', 'stringData: {id: AKID, secret: s3cret}', { name: 'api' }),
    says: /Secret default\/api has no key key: .*create secret generic api --from-file=id --from-file=key/,
    change: [['secret: s3cret', 'key: s3cret']],
    call: CALL,
    was: LACKED,
    ends: PAID,
  },
  {
    code: 'IST0101',
    of: 'a Secret of a client certificate',
    text: paid('', ', clientCertificate: {secret: {name: own}}'),
    says: /Create it with kubectl -n default create secret tls own/,
    add: secret('own', 'default'),
    call: CALL,
    was: / UH > answered 503$/,
    ends: PAID,
  },
  {
    code: 'IST0101',
    of: 'the selector of a Sidecar',
    text: pod('one') + sidecar('s', APP_ONE.replace('one', 'onee')),
    says: /Correct the labels/,
    change: [['{app: onee}', '{app: one}']],
  },
  {
    code: 'IST0101',
    of: 'a namespace',
    text:
      namespace('default', '{istio-injection: enabled}') +
      pod('web') +
      security('AuthorizationPolicy', 'rules: [{from: [{source: {namespaces: [defualt]}}]}]', { name: 'p' }),
    says: /Correct the name/,
    change: [['[defualt]', '[default]']],
  },
  {
    code: 'IST0112',
    text: REGISTRY_ONLY + entry(`${HTTP}, ${HTTP_ALT}`) + direct(`- ${to(`{host: ${HOST}}`)}`),
    says: /Add port: \{number: …\}/,
    change: [[`{host: ${HOST}}`, `{host: ${HOST}, port: {number: 8080}}`]],
    call: CALL,
    was: DIRECT,
    ends: /reaches www\.example\.com:8080 in HTTP$/,
  },
  {
    code: 'IST0132',
    text: STANDARD.replace(HTTP_SERVER, HTTP_SERVER.replace(HOST, 'ww.example.com')),
    says: /Did you mean www\.example\.com there\?/,
    change: [['hosts: [ww.example.com]', `hosts: [${HOST}]`]],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'IST0132',
    of: 'another host',
    text: STANDARD.replace(HTTP_SERVER, HTTP_SERVER.replace(HOST, 'api.example.net')),
    says: /Add the host to a server of the Gateway/,
    change: [['hosts: [api.example.net]', `hosts: [${HOST}]`]],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'IST0140',
    text:
      STANDARD.replace(
        HTTP_TO_GATEWAY,
        `- {match: [{gateways: [mesh], port: 80}], ${to(`{host: ${HOST}, subset: v1, port: {number: 80}}`)}}`,
      ).replace(HTTP_OUT, '') +
      SUBSET() +
      routes(`gateways: [istio-system/out]\nhttp:\n- ${to()}`, { name: 'out' }),
    says: /Name the subset here/,
    change: [[`  - ${to()}\n`, `  - ${to(`{host: ${HOST}, subset: v1, port: {number: 80}}`)}\n`]],
    call: CALL,
    ends: /outbound\|80\|v1\|www\.example\.com > reaches/,
  },
  {
    code: 'IST0173',
    text:
      REGISTRY_ONLY +
      staticEntry('endpoints: [{address: 192.0.2.1, labels: {version: v1}}]') +
      SUBSET('{version: v2}') +
      direct(`- ${to(`{host: ${HOST}, subset: v1, port: {number: 80}}`)}`),
    says: /Use labels that the host's pods or endpoints have/,
    change: [['{version: v2}', '{version: v1}']],
    call: CALL,
    was: NOT_THROUGH,
    ends: /outbound\|80\|v1\|www\.example\.com > reaches 192\.0\.2\.1:80/,
  },
  {
    code: 'IST0174',
    text:
      REGISTRY_ONLY +
      entry('{number: 80, name: http, protocol: HTTP, targetPort: 443}') +
      istio(
        'DestinationRule',
        `host: ww.example.com\ntrafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: system}}`,
      ),
    says: /Did you mean www\.example\.com\?/,
    change: [['host: ww.example.com', `host: ${HOST}`]],
    call: CALL,
    was: /in HTTP/,
    ends: /reaches www\.example\.com:443 in TLS/,
  },
  {
    code: 'IST0174',
    of: 'a service that is declared',
    text: istio('DestinationRule', 'host: db.example.org\ntrafficPolicy: {connectionPool: {tcp: {maxConnections: 9}}}'),
    says: /Declare the service/,
    add: entry(HTTP, '', { name: 'db' }, 'db.example.org'),
    call: 'http://db.example.org/',
    ends: /reaches db\.example\.org:80/,
  },
  {
    code: 'SP1009',
    text: REGISTRY_ONLY + entry(HTTP) + SUBSET(),
    says: /Route to it with a VirtualService \(destination\.subset: v1\)/,
    add: direct(`- ${to(`{host: ${HOST}, subset: v1, port: {number: 80}}`)}`),
    call: CALL,
    ends: /outbound\|80\|v1\|www\.example\.com > reaches/,
  },
  {
    code: 'SP1019',
    text: REGISTRY_ONLY + entry(HTTP, 'resolution: DYNAMIC_DNS', {}, '*.example.com') + EGRESS,
    says: /Declare those names in place of the wildcard, with resolution DNS/,
    change: [
      ['"*.example.com"', `"${HOST}"`],
      ['resolution: DYNAMIC_DNS', 'resolution: DNS'],
    ],
    call: CALL,
    ends: THROUGH,
  },
  {
    code: 'SP1020',
    text: REGISTRY_ONLY + entry(HTTP, 'resolution: DYNAMIC_DNS', {}, '*.example.com'),
    says: /Name the hosts that are needed, with resolution DNS/,
    change: [
      ['"*.example.com"', `"${HOST}"`],
      ['resolution: DYNAMIC_DNS', 'resolution: DNS'],
    ],
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'SP1041',
    text:
      REGISTRY_ONLY +
      pod('web') +
      entry(HTTP, '', { namespace: 'outside' }) +
      istio('Sidecar', `egress: [{hosts: [./${HOST}]}]`, { name: 's' }),
    says: /Write outside\/www\.example\.com/,
    change: [[`[./${HOST}]`, `[outside/${HOST}]`]],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1041',
    of: 'a listener of another port',
    text:
      REGISTRY_ONLY +
      pod('web') +
      entry(HTTP) +
      istio('Sidecar', 'egress: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["./*"]}]', { name: 's' }),
    says: /Write the port that is called/,
    change: [['{number: 8080, name: http', '{number: 80, name: http']],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'SP1041',
    of: 'a listener that needs no port',
    text:
      REGISTRY_ONLY +
      pod('web') +
      entry(HTTP) +
      istio('Sidecar', 'egress: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["./*"]}]', { name: 's' }),
    says: /or leave port out/,
    change: [['port: {number: 8080, name: http, protocol: HTTP}, ', '']],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'IST0101',
    of: 'a host that a wildcard alone declares',
    text: REGISTRY_ONLY + entry(HTTP, WILDCARD, {}, '*.example.com') + direct(`- ${to()}`),
    says: /Declare www\.example\.com with a ServiceEntry of its own/,
    add: entry(HTTP, '', { name: 'own' }),
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'IST0101',
    of: 'the endpoints of a wildcard',
    text: REGISTRY_ONLY + entry(HTTP, WILDCARD, {}, '*.example.com') + direct(`- ${to()}`),
    says: /or lead to \*\.example\.com, whose endpoints then take the calls/,
    change: [[to(), to('{host: "*.example.com", port: {number: 80}}')]],
    call: CALL,
    was: NOT_THROUGH,
    ends: /reaches 192\.0\.2\.1:80 in HTTP$/,
  },
  {
    code: 'SP1029',
    of: 'names that nobody looks up',
    text:
      REGISTRY_ONLY +
      entry(HTTP, 'resolution: STATIC\nworkloadSelector: {labels: {app: vm}}') +
      istio('WorkloadEntry', 'address: vm.example.net\nlabels: {app: vm}', { name: 'vm' }),
    says: /Use resolution DNS, or write addresses there/,
    change: [['resolution: STATIC', 'resolution: DNS']],
    call: CALL,
    was: /answered 503$/,
    ends: /reaches vm\.example\.net:80 in HTTP$/,
  },
  {
    code: 'SP1029',
    of: 'a selector whose pods are elsewhere',
    text: REGISTRY_ONLY + pod('web') + pod('cart', 'shop', '{app: cart}', '10.0.0.2') + entry(HTTP, SELECTING),
    says: /Move the ServiceEntry to shop/,
    change: [[entry(HTTP, SELECTING), entry(HTTP, SELECTING, { namespace: 'shop' })]],
    call: `${CALL} --from default/web`,
    was: NOT_THROUGH,
    ends: /reaches 10\.0\.0\.2:80 in HTTP$/,
  },
  {
    code: 'IST0106',
    text: REGISTRY_ONLY + entry(HTTP).replace('resolution: DNS', 'resolution: DNSS'),
    says: /did you mean DNS\?/i,
    change: [['DNSS', 'DNS']],
    call: CALL,
    was: NOT_THROUGH,
    ends: DIRECT,
  },
  {
    code: 'IST0106',
    of: 'all hosts through a gateway',
    text:
      REGISTRY_ONLY +
      entry(HTTP, 'resolution: DYNAMIC_DNS', {}, '*') +
      gateway(HTTP_SERVER.replace(HOST, '"*"')) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT.replace(HOST, '"*"')}`, {}, '*'),
    says: /Write the suffixes that are needed \("\*\.com", "\*\.org"\) with resolution DYNAMIC_DNS; to lead them through a gateway, write the same in its hosts/,
    change: Array(4).fill(['"*"', '"*.com"']),
    call: CALL,
    was: NOT_THROUGH,
    ends: / > istio-system\/(?:istio-)?egress\S* outbound\|80\|\|\*\.com > reaches www\.example\.com/,
    // Whoever has a name under it decides where it leads.
    beside: ['SP1020'],
  },
  {
    code: 'IST0133',
    text: STANDARD.replace('selector: {istio: egressgateway}', 'selector: {}'),
    says: /Write the labels of the gateway that is meant, e\.g\. istio: egressgateway/,
    change: [['selector: {}', 'selector: {istio: egressgateway}']],
    call: CALL,
    was: NOT_THROUGH,
    ends: THROUGH,
  },
  {
    code: 'IST0133',
    of: 'an EnvoyFilter',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      object(
        'networking.istio.io/v1alpha3',
        'EnvoyFilter',
        'spec: {configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {timeout: 1s}}}}]}',
        { name: 'timeout' },
      ),
    says: /Say the same with VirtualService/,
    change: [
      [
        object(
          'networking.istio.io/v1alpha3',
          'EnvoyFilter',
          'spec: {configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {timeout: 1s}}}}]}',
          { name: 'timeout' },
        ),
        '',
      ],
    ],
    add: direct(`- {timeout: 1s, ${to()}}`),
    call: CALL,
    ends: DIRECT,
  },
];
