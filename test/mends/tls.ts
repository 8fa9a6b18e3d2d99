/** TLS that is originated, passed on or matched wrongly. */
import {
  CALL,
  DIRECT,
  EGRESS,
  entry,
  gateway,
  HOST,
  HTTP,
  HTTP_OUT,
  HTTP_SERVER,
  HTTP_TO_GATEWAY,
  istio,
  pod,
  REGISTRY_ONLY,
  routes,
  STANDARD,
  secret,
  TLS,
  TLS_CALL,
  TLS_OUT,
  TLS_SERVER,
  TLS_THROUGH,
  TLS_TO_GATEWAY,
} from './documents.ts';
import type { Mend } from './mend.ts';

const SIMPLE = `{mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: system}`;
const rule = (policy: string, namespace = 'default') => istio('DestinationRule', `host: ${HOST}\n${policy}`, { namespace });
const direct = (kind: string, match: string, destination = `{host: ${HOST}, port: {number: 443}}`, more = '') =>
  routes(`gateways: [mesh]\n${kind}:\n- {match: [{${match}}], route: [{destination: ${destination}}]${more}}`);
const IN_TLS = /reaches www\.example\.com:443 in TLS www\.example\.com$/;
const TO_443 = '{number: 80, name: http, protocol: HTTP, targetPort: 443}';
const FORWARD_PROXY = istio(
  'ServiceEntry',
  'hosts: [proxy.corp.example]\naddresses: [240.241.255.254]\nresolution: DNS\nlocation: MESH_EXTERNAL\nports: [{number: 3128, name: tcp, protocol: TCP}]',
  { name: 'proxy', annotations: '{sallyport.dev/through: direct}' },
);
const HTTP_OUT_443 = HTTP_OUT.replace('number: 80', 'number: 443');

export const TLS_MENDS: readonly Mend[] = [
  {
    code: 'SP1007',
    text: REGISTRY_ONLY + entry(TLS) + direct('tls', 'sniHosts: [api.example.com]'),
    says: /Use one of the hosts/,
    change: [['sniHosts: [api.example.com]', `sniHosts: [${HOST}]`]],
    call: TLS_CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1007',
    of: 'a host that is added',
    // The rule leads it to the first host.
    beside: ['SP1054'],
    text: REGISTRY_ONLY + entry(TLS) + entry(TLS, '', { name: 'api' }, 'api.example.com') + direct('tls', 'sniHosts: [api.example.com]'),
    says: /or add api\.example\.com to hosts/,
    change: [[`hosts: ["${HOST}"]\n  gateways`, `hosts: ["${HOST}", api.example.com]\n  gateways`]],
    call: 'https://api.example.com/',
    ends: /outbound\|443\|\|www\.example\.com > reaches/,
  },
  {
    code: 'SP1007',
    of: 'a port of plain HTTP',
    text: REGISTRY_ONLY + entry('{number: 443, name: https, protocol: HTTP}') + direct('tls', `sniHosts: [${HOST}]`),
    says: /Declare the port as TLS/,
    change: [['protocol: HTTP}', 'protocol: TLS}']],
    call: TLS_CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1010',
    of: 'TLS settings without a mode',
    text: REGISTRY_ONLY + entry(TO_443) + rule(`trafficPolicy: {tls: {sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: system}}`),
    says: /Write mode: SIMPLE/,
    change: [['tls: {sni', 'tls: {mode: SIMPLE, sni']],
    call: CALL,
    was: /reaches www\.example\.com:443 in HTTP/,
    ends: IN_TLS,
  },
  {
    code: 'SP1010',
    of: 'settings for a port that is not there',
    text: REGISTRY_ONLY + entry(TO_443) + rule(`trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: ${SIMPLE}}]}`),
    says: /Write one of its ports/,
    change: [['{port: {number: 443}, tls', '{port: {number: 80}, tls']],
    call: CALL,
    was: /reaches www\.example\.com:443 in HTTP/,
    ends: IN_TLS,
  },
  {
    code: 'SP1010',
    of: 'endpoints beside resolution NONE',
    text: REGISTRY_ONLY + entry(HTTP, 'resolution: NONE\nendpoints: [{address: 192.0.2.9}]'),
    says: /Use resolution STATIC or DNS/,
    change: [['resolution: NONE', 'resolution: STATIC']],
    call: CALL,
    ends: /reaches 192\.0\.2\.9:80 in HTTP$/,
  },
  {
    code: 'SP1010',
    of: 'a port beside resolution NONE',
    text:
      REGISTRY_ONLY +
      entry(`${HTTP}, ${TLS}`, 'resolution: NONE') +
      routes(`http:\n- {match: [{port: 80}], route: [{destination: {host: ${HOST}, port: {number: 443}}}]}`) +
      rule(`trafficPolicy: {tls: ${SIMPLE}}`),
    says: /which is 80 here, and not 443\. Use resolution DNS or STATIC/,
    change: [['resolution: NONE', 'resolution: DNS']],
    call: CALL,
    was: /:80 in TLS/,
    ends: IN_TLS,
  },
  {
    code: 'SP1010',
    of: 'a tunnel for requests',
    text:
      REGISTRY_ONLY +
      entry(HTTP, 'addresses: [192.0.2.4]') +
      entry('{number: 3128, name: tcp, protocol: TCP}', 'addresses: [192.0.2.3]', { name: 'proxy' }, 'proxy.example.com') +
      istio('DestinationRule', `host: proxy.example.com\ntrafficPolicy: {tunnel: {targetHost: ${HOST}, targetPort: 80}}`, {
        name: 'proxy',
      }) +
      routes('http:\n- route: [{destination: {host: proxy.example.com, port: {number: 3128}}}]'),
    says: /Lead connections there, by a tls or tcp rule/,
    change: [
      ['name: http, protocol: HTTP', 'name: tcp, protocol: TCP'],
      ['http:\n', 'tcp:\n'],
    ],
    call: CALL,
    was: /proxy\.example\.com:3128 in HTTP$/,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1010',
    of: 'a source beside gateways',
    text:
      REGISTRY_ONLY +
      entry(HTTP) +
      EGRESS.replace('[{gateways: [mesh], port: 80}]', '[{gateways: [mesh], port: 80, sourceLabels: {app: shop}}]'),
    says: /Write it in a VirtualService that is bound to mesh alone/,
    change: [
      ['gateways: [mesh, istio-system/out]', 'gateways: [mesh]'],
      ['gateways: [mesh], port: 80, source', 'port: 80, source'],
      [HTTP_OUT, HTTP_TO_GATEWAY.replace('gateways: [mesh], ', '')],
    ],
    add: routes(`gateways: [istio-system/out]\nhttp:\n${HTTP_OUT}`, { name: 'out' }),
    call: CALL,
    ends: /egress\S* outbound\|80\|\|www\.example\.com > reaches/,
  },
  {
    code: 'SP1013',
    text:
      REGISTRY_ONLY +
      entry(TO_443) +
      rule(`trafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], insecureSkipVerify: true}}`),
    says: /Remove it, and set caCertificates/,
    change: [['insecureSkipVerify: true', 'caCertificates: system']],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1013',
    of: 'a server name beside which no name is verified',
    text: REGISTRY_ONLY + entry(TO_443) + rule(`trafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, caCertificates: system}}`),
    says: /Add subjectAltNames: \[www\.example\.com\]/,
    change: [[`sni: ${HOST}`, `sni: ${HOST}, subjectAltNames: [${HOST}]`]],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1062',
    text:
      REGISTRY_ONLY +
      entry(TO_443) +
      entry(HTTP, '', { name: 'api' }, 'api.example.com') +
      rule('trafficPolicy: {tls: {mode: SIMPLE, caCertificates: system}}') +
      routes(`hosts: [api.example.com]\nhttp:\n- route: [{destination: {host: ${HOST}, port: {number: 80}}}]`),
    says: /write rewrite: \{authority: www\.example\.com\}/,
    change: [['- route:', `- rewrite: {authority: ${HOST}}\n    route:`]],
    call: 'http://api.example.com/',
    was: /in TLS api\.example\.com$/,
    ends: IN_TLS,
  },
  {
    code: 'SP1062',
    of: 'names of the ServiceEntry beside the called one',
    text:
      REGISTRY_ONLY +
      entry(TO_443, 'subjectAltNames: [api.example.com]') +
      rule('trafficPolicy: {tls: {mode: SIMPLE, caCertificates: system}}'),
    says: /known as api\.example\.com, write sni and subjectAltNames here/,
    change: [['caCertificates: system', 'caCertificates: system, sni: api.example.com, subjectAltNames: [api.example.com]']],
    call: CALL,
    was: /in TLS www\.example\.com$/,
    ends: /in TLS api\.example\.com$/,
  },
  {
    code: 'SP1014',
    text: REGISTRY_ONLY + entry(TO_443) + rule('trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}'),
    says: /Use SIMPLE/,
    change: [['{mode: ISTIO_MUTUAL}', SIMPLE]],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'IST0128',
    text: REGISTRY_ONLY + entry(TO_443) + rule(`trafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}]}}`),
    says: /Set caCertificates \(the system's bundle is \/etc\/ssl\/certs\/ca-certificates\.crt\)/,
    change: [[`sni: ${HOST}`, `sni: ${HOST}, caCertificates: /etc/ssl/certs/ca-certificates.crt`]],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'IST0128',
    of: 'credentialName',
    text: REGISTRY_ONLY + entry(TO_443) + rule(`trafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}]}}`),
    says: /or, for gateways or beside a workloadSelector, credentialName/,
    change: [
      [`sni: ${HOST}`, `sni: ${HOST}, credentialName: ca`],
      [rule('').split('spec')[0]!, rule('', 'istio-system').split('spec')[0]!],
    ],
    add: EGRESS + secret('ca', 'istio-system'),
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'IST0129',
    text:
      REGISTRY_ONLY +
      entry(TO_443) +
      rule(`trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}]}}]}`),
    says: /Set caCertificates/,
    change: [[`sni: ${HOST}`, `sni: ${HOST}, caCertificates: system`]],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1031',
    text: REGISTRY_ONLY + entry(TO_443) + EGRESS + rule(`exportTo: ["."]\ntrafficPolicy: {tls: ${SIMPLE}}`),
    says: /or export it there from default/,
    change: [['exportTo: ["."]\n', 'exportTo: [".", istio-system]\n']],
    call: CALL,
    was: /reaches www\.example\.com:443 in HTTP/,
    ends: IN_TLS,
  },
  {
    code: 'SP1031',
    of: 'a rule that is moved',
    text: REGISTRY_ONLY + entry(TO_443) + EGRESS + rule(`exportTo: ["."]\ntrafficPolicy: {tls: ${SIMPLE}}`),
    says: /Move it to istio-system/,
    change: [[rule('').split('spec')[0]!, rule('', 'istio-system').split('spec')[0]!]],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1035',
    text:
      REGISTRY_ONLY +
      entry(`${HTTP}, ${TLS}`) +
      gateway(`${HTTP_SERVER}\n${TLS_SERVER}`) +
      routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT_443}\ntls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`) +
      rule(`trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: ${SIMPLE}}]}`, 'istio-system'),
    says: /Put these settings into a subset/,
    change: [
      [
        `trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: ${SIMPLE}}]}`,
        `subsets: [{name: tls, trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: ${SIMPLE}}]}}]`,
      ],
      [HTTP_OUT_443, HTTP_OUT_443.replace(`host: ${HOST}`, `host: ${HOST}, subset: tls`)],
    ],
    call: TLS_CALL,
    was: /fails/,
    ends: TLS_THROUGH,
  },
  {
    code: 'SP1035',
    of: 'a port of its own',
    text: REGISTRY_ONLY + entry(`${TLS}, ${TO_443}`) + rule(`trafficPolicy: {tls: ${SIMPLE}}`),
    says: /or on a port/,
    change: [[`trafficPolicy: {tls: ${SIMPLE}}`, `trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: ${SIMPLE}}]}`]],
    call: TLS_CALL,
    was: /fails/,
    ends: IN_TLS,
  },
  {
    code: 'SP1035',
    of: 'plain HTTP in place of TLS',
    text: REGISTRY_ONLY + entry(TLS) + rule(`trafficPolicy: {tls: ${SIMPLE}}`),
    says: /or route plain HTTP here/,
    change: [[TLS, TO_443]],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1036',
    text: REGISTRY_ONLY + entry(HTTP) + rule(`trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: ${SIMPLE}}]}`),
    says: /Write targetPort: 443 at the port/,
    change: [[HTTP, TO_443]],
    call: CALL,
    was: /fails/,
    ends: IN_TLS,
  },
  {
    code: 'SP1036',
    of: 'TLS settings that are taken out',
    text: REGISTRY_ONLY + entry(HTTP) + rule(`trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: ${SIMPLE}}]}`),
    says: /or take the TLS settings out/,
    change: [[`trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: ${SIMPLE}}]}`, '']],
    call: CALL,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1036',
    of: 'plain HTTP to port 443',
    text: REGISTRY_ONLY + entry(TO_443),
    says: /Originate TLS with a DestinationRule for www\.example\.com that the workloads in default see/,
    add: rule(`trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: ${SIMPLE}}]}`),
    call: CALL,
    was: /fails/,
    ends: IN_TLS,
  },
  {
    code: 'SP1037',
    text: REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + gateway(HTTP_SERVER) + routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT_443}`),
    says: /that the gateway in istio-system sees \(trafficPolicy\.portLevelSettings: \[\{port: \{number: 443\}, tls: \{mode: SIMPLE, sni: www\.example\.com, subjectAltNames: \[www\.example\.com\]\}\}\]\)/,
    add: rule(`trafficPolicy: {portLevelSettings: [{port: {number: 443}, tls: ${SIMPLE}}]}`, 'istio-system'),
    call: CALL,
    was: /fails/,
    ends: IN_TLS,
  },
  {
    code: 'SP1037',
    of: 'another port',
    text: REGISTRY_ONLY + entry(`${HTTP}, ${TLS}`) + gateway(HTTP_SERVER) + routes(`http:\n${HTTP_TO_GATEWAY}\n${HTTP_OUT_443}`),
    says: /or lead to a port of plain HTTP, and take this one out of the declaration/,
    change: [
      [HTTP_OUT_443, HTTP_OUT],
      [`, ${TLS}`, ''],
    ],
    call: CALL,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1037',
    of: 'a port of the gateway that passes TLS',
    text:
      REGISTRY_ONLY +
      entry(`${HTTP}, ${TLS}`) +
      gateway(TLS_SERVER) +
      routes(`http:\n${HTTP_TO_GATEWAY.replace('number: 80', 'number: 443')}\ntls:\n${TLS_TO_GATEWAY}\n${TLS_OUT}`),
    says: /Lead them to a port with a server of protocol HTTP, and originate TLS to the outside at the gateway/,
    change: [
      [TLS_SERVER, `${TLS_SERVER}\n  ${HTTP_SERVER}`],
      [HTTP_TO_GATEWAY.replace('number: 80', 'number: 443'), `${HTTP_TO_GATEWAY}\n  ${HTTP_OUT}`],
    ],
    call: CALL,
    was: /fails|closed|answered 503/,
    ends: /reaches www\.example\.com:80 in HTTP$/,
  },
  {
    code: 'SP1038',
    text:
      REGISTRY_ONLY +
      pod('web') +
      secret('ca', 'default') +
      entry(TO_443) +
      rule(`trafficPolicy: {tls: {mode: SIMPLE, credentialName: ca, sni: ${HOST}, subjectAltNames: [${HOST}]}}`),
    says: /Add a workloadSelector/,
    change: [['trafficPolicy: {tls', 'workloadSelector: {matchLabels: {app: web}}\n  trafficPolicy: {tls']],
    call: CALL,
    was: /answered 503|fails/,
    ends: IN_TLS,
  },
  {
    code: 'SP1038',
    of: 'an egress gateway',
    text:
      REGISTRY_ONLY +
      entry(TO_443) +
      rule(`trafficPolicy: {tls: {mode: SIMPLE, credentialName: ca, sni: ${HOST}, subjectAltNames: [${HOST}]}}`),
    says: /lead the calls to an egress gateway/,
    add: EGRESS + secret('ca', 'istio-system'),
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1038',
    of: 'files',
    text:
      REGISTRY_ONLY +
      entry(TO_443) +
      rule(`trafficPolicy: {tls: {mode: SIMPLE, credentialName: ca, sni: ${HOST}, subjectAltNames: [${HOST}]}}`),
    says: /or name files in the sidecar in place of credentialName/,
    change: [['credentialName: ca', 'caCertificates: /etc/certs/ca.pem']],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1069',
    text:
      REGISTRY_ONLY +
      entry('{number: 80, name: http, protocol: HTTP, targetPort: 8443}') +
      istio('DestinationRule', `host: ${HOST}\ntrafficPolicy: {loadBalancer: {simple: RANDOM}}`) +
      istio(
        'DestinationRule',
        `host: ${HOST}\ntrafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: /ca.crt}}`,
        { name: 'tls' },
      ),
    says: /calls go out without the TLS that is asked for here\. Write both in one DestinationRule/,
    change: [
      [
        '{loadBalancer: {simple: RANDOM}}',
        `{loadBalancer: {simple: RANDOM}, tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: /ca.crt}}`,
      ],
      [`\n  trafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: /ca.crt}}`, ''],
    ],
    call: CALL,
    was: /8443 in HTTP$/,
    ends: /8443 in TLS www\.example\.com$/,
  },
  {
    code: 'SP1069',
    of: 'a wider host',
    text:
      REGISTRY_ONLY +
      entry('{number: 80, name: http, protocol: HTTP, targetPort: 8443}') +
      istio('DestinationRule', `host: "*.example.com"\ntrafficPolicy: {tls: {mode: SIMPLE, caCertificates: /ca.crt}}`, { name: 'all' }) +
      istio('DestinationRule', `host: ${HOST}\ntrafficPolicy: {loadBalancer: {simple: RANDOM}}`),
    says: /Write its tls here, too/,
    change: [['{loadBalancer: {simple: RANDOM}}', '{loadBalancer: {simple: RANDOM}, tls: {mode: SIMPLE, caCertificates: /ca.crt}}']],
    call: CALL,
    was: /8443 in HTTP$/,
    ends: /8443 in TLS www\.example\.com$/,
  },
  {
    code: 'SP1039',
    text: REGISTRY_ONLY + entry(TLS) + direct('http', 'port: 443', undefined, ', timeout: 10s'),
    says: /write a tls rule/,
    change: [
      ['http:\n', 'tls:\n'],
      ['{port: 443}', `{port: 443, sniHosts: [${HOST}]}`],
      [', timeout: 10s', ''],
    ],
    call: TLS_CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1039',
    of: 'plain HTTP',
    text: REGISTRY_ONLY + entry(TLS) + direct('http', 'port: 443', undefined, ', timeout: 10s'),
    says: /Let the application call plain HTTP \(a port of protocol HTTP\) and originate TLS with a DestinationRule/,
    change: [
      [TLS, TO_443],
      ['{port: 443}', '{port: 80}'],
      ['port: {number: 443}', 'port: {number: 80}'],
    ],
    add: rule(`trafficPolicy: {tls: ${SIMPLE}}`),
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1043',
    text: REGISTRY_ONLY + entry('{number: 587, name: smtp, protocol: TLS}'),
    says: /Declare protocol: TCP, with addresses/,
    change: [['protocol: TLS}]', 'protocol: TCP}]\n  addresses: [192.0.2.25]']],
    call: `tcp://${HOST}:587`,
    ends: /reaches www\.example\.com:587 in bytes$/,
  },
  {
    code: 'SP1051',
    text:
      REGISTRY_ONLY +
      entry(TLS) +
      entry(TLS, '', { name: 'api' }, 'api.example.com') +
      direct('tls', `sniHosts: [${HOST}]`) +
      istio(
        'VirtualService',
        `hosts: [${HOST}, api.example.com]\ntls:\n- {match: [{sniHosts: [${HOST}, api.example.com]}], route: [{destination: {host: api.example.com}}]}`,
        { name: 'young' },
      ),
    says: /Name each server name in one match/,
    change: [
      [`[{sniHosts: [${HOST}, api`, '[{sniHosts: [api'],
      [`hosts: [${HOST}, api`, 'hosts: [api'],
    ],
    call: 'https://api.example.com/',
    ends: /outbound\|443\|\|api\.example\.com > reaches/,
  },
  {
    code: 'SP1052',
    text:
      REGISTRY_ONLY +
      entry(TLS, 'resolution: DYNAMIC_DNS', {}, '*.example.com') +
      direct('tls', `sniHosts: [${HOST}]`, '{host: "*.example.com", port: {number: 443}}'),
    says: /Name the hosts that are needed in ServiceEntries with resolution DNS/,
    change: [
      ['resolution: DYNAMIC_DNS', 'resolution: DNS'],
      ['hosts: ["*.example.com"]', `hosts: ["${HOST}"]`],
      ['{host: "*.example.com"', `{host: ${HOST}`],
    ],
    call: TLS_CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1052',
    of: 'plain HTTP',
    text:
      REGISTRY_ONLY +
      entry(`${TLS}, ${TO_443}`, 'resolution: DYNAMIC_DNS', {}, '*.example.com') +
      direct('tls', `sniHosts: [${HOST}]`, '{host: "*.example.com", port: {number: 443}}') +
      istio(
        'DestinationRule',
        `host: "*.example.com"\ntrafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, caCertificates: system}}]}`,
      ),
    says: /or let the application call plain HTTP, with an http rule/,
    change: [
      ['tls:\n', 'http:\n'],
      [`{sniHosts: [${HOST}]}`, '{port: 80}'],
      ['"*.example.com", port: {number: 443}', '"*.example.com", port: {number: 80}'],
    ],
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1021',
    text: STANDARD,
    says: /Originate TLS at the gateway with a DestinationRule \(tls mode SIMPLE\) and targetPort: 443/,
    change: [[HTTP, TO_443]],
    add: rule(`trafficPolicy: {tls: ${SIMPLE}}`, 'istio-system'),
    call: CALL,
    ends: IN_TLS,
  },
  {
    code: 'SP1060',
    text:
      REGISTRY_ONLY +
      entry(TO_443, 'resolution: DNS', {
        annotations: `{sallyport.dev/bind: enforce, sallyport.dev/credentials: '[{"name":"c","ports":[80],"header":"x-key"}]'}`,
      }),
    says: /Add a DestinationRule with tls\.mode SIMPLE, sni and subjectAltNames www\.example\.com/,
    add: rule(`trafficPolicy: {tls: {mode: SIMPLE, sni: ${HOST}, subjectAltNames: [${HOST}], caCertificates: system}}`),
    call: CALL,
    was: /undecided$/,
    ends: IN_TLS,
  },
  {
    code: 'SP1059',
    text:
      REGISTRY_ONLY +
      FORWARD_PROXY +
      entry(HTTP, 'resolution: DNS', { annotations: '{sallyport.dev/through: "http://proxy.corp.example:3128"}' }),
    says: /not written as HOST:PORT of a ServiceEntry/,
    change: [['http://proxy', 'proxy']],
    call: CALL,
    was: /answered 503/,
    ends: DIRECT,
  },
  {
    code: 'SP1059',
    of: 'a proxy that nothing declares',
    text: REGISTRY_ONLY + entry(HTTP, 'resolution: DNS', { annotations: '{sallyport.dev/through: "proxy.corp.example:3128"}' }),
    says: /add a ServiceEntry for it with port 3128/,
    add: FORWARD_PROXY,
    call: CALL,
    ends: DIRECT,
  },
  {
    code: 'SP1059',
    of: 'a port for which an older object counts',
    text:
      REGISTRY_ONLY +
      FORWARD_PROXY +
      entry(HTTP, 'resolution: DNS') +
      entry(HTTP, 'resolution: DNS', { name: 'second', annotations: '{sallyport.dev/through: "proxy.corp.example:3128"}' }),
    says: /Declare the port in one object/,
    change: [[entry(HTTP, 'resolution: DNS'), '']],
    call: CALL,
    was: DIRECT,
    ends: DIRECT,
  },
];
