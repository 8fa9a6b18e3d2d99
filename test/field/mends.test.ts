/** The change that a finding's message names, made in the report that has the finding: it is gone, nothing worse has come, and the call does what was promised. */
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { checkMend, type Mend } from '../mends/mend.ts';

type ReportMend = Required<Pick<Mend, 'code' | 'change' | 'call' | 'ends'>> & Pick<Mend, 'beside'> & { readonly file: string };

const MENDS: readonly ReportMend[] = [
  {
    file: '02-origination-and-passthrough',
    code: 'SP1035',
    change: [
      [
        '  trafficPolicy:\n    portLevelSettings:\n      - port: { number: 443 }\n        tls: { mode: SIMPLE, sni: news.example.com }',
        '  subsets:\n    - name: originate\n      trafficPolicy:\n        portLevelSettings:\n          - port: { number: 443 }\n            tls: { mode: SIMPLE, sni: news.example.com }',
      ],
      [
        '  http:\n    - match:\n        - { gateways: [mesh], port: 80 }\n      route:\n        - destination: { host: istio-egressgateway.istio-system.svc.cluster.local, port: { number: 80 } }\n    - match:\n        - { gateways: [istio-system/out], port: 80 }\n      route:\n        - destination: { host: news.example.com, port',
        '  http:\n    - match:\n        - { gateways: [mesh], port: 80 }\n      route:\n        - destination: { host: istio-egressgateway.istio-system.svc.cluster.local, port: { number: 80 } }\n    - match:\n        - { gateways: [istio-system/out], port: 80 }\n      route:\n        - destination: { host: news.example.com, subset: originate, port',
      ],
    ],
    call: 'https://news.example.com/',
    ends: /reaches news\.example\.com:443 in TLS news\.example\.com$/,
  },
  {
    file: '03-grpc-tls-port-80',
    code: 'SP1036',
    change: [['protocol: GRPC }', 'protocol: GRPC, targetPort: 443 }']],
    call: 'http://rpc.example.com/',
    ends: /reaches rpc\.example\.com:443 in TLS rpc\.example\.com$/,
  },
  {
    file: '06-tcp-on-port-80',
    code: 'IST0134',
    change: [['protocol: TCP', 'protocol: HTTP']],
    call: 'http://site.example.com/',
    ends: /reaches site\.example\.com:80 in HTTP$/,
  },
  {
    file: '07-wildcard-none',
    code: 'SP1016',
    // What the message says of it: DYNAMIC_DNS has these two sides.
    beside: ['SP1020', 'SP1052'],
    change: [
      ['resolution: NONE', 'resolution: DYNAMIC_DNS'],
      ['name: https, protocol: HTTPS', 'name: tls, protocol: TLS'],
    ],
    call: 'https://www.shop.com/',
    ends: /egressgateway outbound\|443\|\|\*\.com > reaches www\.shop\.com:443 in TLS www\.shop\.com$/,
  },
  {
    file: '09-wildcard-virtual-service',
    code: 'IST0101',
    change: [
      ['hosts: ["*.apis.example.com"]', 'hosts: [queue.apis.example.com]'],
      ['sniHosts: ["*.apis.example.com"]', 'sniHosts: [queue.apis.example.com]'],
      ['host: "*.apis.example.com"', 'host: queue.apis.example.com'],
    ],
    call: 'https://queue.apis.example.com/',
    ends: /reaches queue\.apis\.example\.com:443/,
  },
  {
    file: '11-vip-host-is-ip',
    code: 'SP1001',
    change: [
      ['exportTo: ["."]', 'exportTo: [".", istio-system]'],
      ['hosts: ["192.0.2.192"]\n---', 'hosts: ["192.0.2.192", vm.example.test]\n---'],
      ['hosts: ["192.0.2.192"]\n  gateways', 'hosts: ["192.0.2.192", vm.example.test]\n  gateways'],
    ],
    call: 'http://vm.example.test/',
    ends: /istio-egressgateway outbound\|80\|\|vm\.example\.test > reaches 198\.51\.100\.14:80 in HTTP$/,
  },
  {
    file: '24-timeout-on-https',
    code: 'SP1039',
    change: [['number: 443, name: https, protocol: HTTPS', 'number: 80, name: http, protocol: HTTP']],
    call: 'http://api.example.com/',
    ends: /reaches api\.example\.com:80 in HTTP$/,
  },
  {
    file: '26-kubelet-cidr-https',
    code: 'SP1040',
    change: [['protocol: HTTPS', 'protocol: TCP']],
    call: 'https://172.31.36.5:10250/',
    ends: /outbound\|10250\|\|kubelet\.nodes\.test > reaches 172\.31\.36\.5:10250/,
  },
  {
    file: '27-gateway-port-8443',
    code: 'IST0101',
    change: [['svc.cluster.local, port: { number: 8443 }', 'svc.cluster.local, port: { number: 443 }']],
    call: 'https://kong.example.internal:8443/',
    ends: /istio-egressgateway outbound\|8443\|\|kong\.example\.internal > reaches kong\.example\.internal:8443/,
  },
  {
    file: '28-sidecar-dot-import',
    code: 'SP1041',
    // Its port 80 was not seen at all before.
    beside: ['SP1002'],
    change: [['"./ya.example.ru"', '"istio-system/ya.example.ru", "istio-system/istio-egressgateway.istio-system.svc.cluster.local"']],
    call: 'https://ya.example.ru/',
    ends: /istio-system\/egress outbound\|443\|\|ya\.example\.ru > reaches ya\.example\.ru:443/,
  },
  {
    file: '32-own-entry-hides-port',
    code: 'SP1042',
    change: [
      [
        '    - { number: 80, name: http, protocol: HTTP }',
        '    - { number: 80, name: http, protocol: HTTP }\n    - { number: 443, name: https, protocol: HTTPS }',
      ],
    ],
    call: 'https://search.example.com/',
    ends: /reaches search\.example\.com:443/,
  },
  {
    file: 'r01-smtp-declared-tls',
    code: 'SP1043',
    change: [
      ['name: tls, protocol: TLS', 'name: tcp, protocol: TCP'],
      ['resolution: DNS', 'resolution: DNS\n  addresses: [192.0.2.25]'],
      ['  tls:\n    - match: [{ port: 587, sniHosts: [smtp.mail.example.com] }]', '  tcp:\n    - match: [{ port: 587 }]'],
    ],
    call: 'tcp://smtp.mail.example.com:587',
    ends: /reaches smtp\.mail\.example\.com:587 in bytes$/,
  },
  {
    file: 'r02-http-rule-on-https-port-80',
    code: 'SP1039',
    change: [['name: https, protocol: HTTPS', 'name: http, protocol: HTTP']],
    call: 'http://www.python.example.org/',
    ends: /reaches echo\.example\.com:80 in HTTP$/,
  },
  {
    file: 'r05-route-of-the-gateway-to-itself',
    code: 'SP1015',
    // Of its port 443, which was a part of what SP1003 said.
    beside: ['SP1002'],
    change: [
      ['gateways: [out]', 'gateways: [mesh, out]'],
      ['    - match: [{ port: 80 }]', '    - match: [{ gateways: [mesh], port: 80 }]'],
      [
        'port: { number: 80 } } }]\n',
        'port: { number: 80 } } }]\n    - match: [{ gateways: [out], port: 80 }]\n      route: [{ destination: { host: dev.example.com, port: { number: 80 } } }]\n',
      ],
    ],
    call: 'http://dev.example.com/',
    ends: /istio-egressgateway outbound\|80\|\|dev\.example\.com > reaches dev\.example\.com:80 in HTTP$/,
  },
  {
    file: 'r05-route-of-the-gateway-to-itself',
    code: 'SP1003',
    // Of its port 443, which was a part of what SP1003 said.
    beside: ['SP1002'],
    change: [
      ['gateways: [out]', 'gateways: [mesh, out]'],
      ['    - match: [{ port: 80 }]', '    - match: [{ gateways: [mesh], port: 80 }]'],
      [
        'port: { number: 80 } } }]\n',
        'port: { number: 80 } } }]\n    - match: [{ gateways: [out], port: 80 }]\n      route: [{ destination: { host: dev.example.com, port: { number: 80 } } }]\n',
      ],
    ],
    call: 'http://dev.example.com/',
    ends: /istio-egressgateway outbound\|80\|\|dev\.example\.com > reaches dev\.example\.com:80 in HTTP$/,
  },
  {
    file: 'r09-gateway-without-the-port',
    code: 'IST0101',
    change: [['    - { port: 443, name: https', '    - { port: 8080, name: http-8080, targetPort: 8080 }\n    - { port: 443, name: https']],
    call: 'http://site.example.com:8080/',
    ends: /istio-egressgateway outbound\|8080\|\|site\.example\.com > reaches site\.example\.com:8080 in HTTP$/,
  },
  {
    file: 'r78-hostnames-of-a-mesh-route',
    code: 'SP1010',
    change: [['  hostnames: [www.books.example]\n', '']],
    call: 'http://back.default.svc.cluster.local/',
    ends: /reaches 10\.244\.0\.61:8080 in HTTP$/,
  },
  {
    file: 'r79-endpoints-without-the-name-of-the-port',
    code: 'SP1029',
    change: [['ports: [{ port: 9080 }]', 'ports: [{ name: http, port: 9080 }]']],
    call: 'http://product.default.svc.cluster.local:9080/',
    ends: /reaches 192\.0\.2\.71:9080 in HTTP$/,
  },
  {
    file: 'r80-port-of-a-workload-under-another-name',
    code: 'SP1010',
    change: [['rpc: 17070', 'grpc: 17070']],
    call: 'http://legacy.example.com:7070/',
    ends: /reaches 192\.0\.2\.72:17070 in HTTP$/,
  },
  {
    file: 'r81-client-certificate-with-simple',
    code: 'SP1010',
    change: [['mode: SIMPLE', 'mode: MUTUAL']],
    call: 'http://partner.example.com/',
    ends: /reaches partner\.example\.com:443 in TLS partner\.example\.com$/,
  },
];

for (const { file, ...mend } of MENDS) {
  const folder = /^r\d/.test(file) ? 'reports' : '../../../shared/field';
  const path = fileURLToPath(new URL(`${folder}/${file}.yaml`, import.meta.url));
  test(`${mend.code} of ${file}`, { skip: existsSync(path) ? false : 'the reports in ../shared are not here' }, () =>
    checkMend({ ...mend, text: readFileSync(path, 'utf8'), says: /./ }),
  );
}
