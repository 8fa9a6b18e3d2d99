import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocuments } from '../documents.ts';
import { KINDS, type Kind } from '../index.ts';

/** What the rules report of a spec: `path: message`, warnings marked. Findings of the schema would be a mistake of the test. */
function report(kind: Kind, spec: string, metadata = '{name: a, namespace: ns}'): string[] {
  const { group, versions } = KINDS[kind];
  const body = spec.replaceAll(/^/gm, '  ');
  const text = `apiVersion: ${group ? `${group}/` : ''}${versions[0]}\nkind: ${kind}\nmetadata: ${metadata}\nspec:\n${body}\n`;
  const { findings, resources } = decodeDocuments(text, 'a.yaml');
  assert.equal(resources.length, 1, text);
  assert.equal(
    resources[0]?.valid,
    findings.every(({ level }) => level !== 'Error'),
  );
  return findings.map(({ code, level, message }) => {
    assert.equal(code, level === 'Error' ? 'IST0106' : 'IST0133', message);
    return level === 'Error' ? message : `${level}: ${message}`;
  });
}

type Row = readonly [spec: string, ...expected: (string | RegExp)[]];

/** Each row is a spec and the beginnings of what is reported of it. */
function table(kind: Kind, rows: readonly Row[], metadata?: string): void {
  for (const [spec, ...expected] of rows) {
    const found = report(kind, spec, metadata);
    assert.equal(found.length, expected.length, `${spec}\n${found.join('\n')}`);
    expected.forEach((want, index) => {
      const line = found[index]!;
      if (typeof want === 'string') assert.ok(line.startsWith(want), `${spec}\nwanted: ${want}\nfound:  ${line}`);
      else assert.match(line, want);
    });
  }
}

test('VirtualService: hosts, gateways and that there is a route', () => {
  const route = 'http: [{route: [{destination: {host: b}}]}]';
  table('VirtualService', [
    [`hosts: [a, "*.b.com", 10.0.0.1]\n${route}`],
    [`hosts: [a]`, 'spec: has no route'],
    [`hosts: [""]\n${route}`, 'spec.hosts[0]: must not be empty'],
    [`hosts: [a_b.com]\n${route}`, 'spec.hosts[0]: "a_b.com" is no host name: "a_b" is no label'],
    [`hosts: [a.*.com]\n${route}`, 'spec.hosts[0]: "a.*.com" is no host name: "*" is no label'],
    [`hosts: ["a.b.1"]\n${route}`, 'spec.hosts[0]: "a.b.1" is no host name: its last label'],
    [`hosts: [a..b]\n${route}`, 'spec.hosts[0]: "a..b" is no host name: "" is no label'],
    [`hosts: [a.com.]\n${route}`],
    [`hosts: [${'a'.repeat(64)}.com]\n${route}`, 'spec.hosts[0]: '],
    [`hosts: [${'a.'.repeat(130)}com]\n${route}`, 'spec.hosts[0]: is no host name: it has more than 255'],
    [`hosts: ["*"]\n${route}`, 'spec.hosts[0]: the host "*" is possible at gateways only'],
    [`hosts: ["*"]\ngateways: [g]\n${route}`],
    [`hosts: [a.com, "*.com"]\n${route}`, 'spec.hosts[1]: "*.com" and "a.com" overlap'],
    [
      `hosts: [a]\ngateways: [ns/g, mesh, g.ns]\n${route}`,
      'Warning: spec.gateways[2]: "g.ns" is the old form of a Gateway\'s name: write ns/g',
    ],
    [
      `hosts: [a]\ngateways: [N_S/g, ns/G_, g_]\n${route}`,
      'spec.gateways[0]: "N_S" is no namespace',
      'spec.gateways[1]: "G_" is no name',
      'spec.gateways[2]: "g_" is no name',
    ],
    [
      `hosts: [a]\nexportTo: [".", ns, "*", x_, "~"]\n${route}`,
      /exportTo\[1\]: "ns" stands twice/,
      /exportTo\[3\]: "x_" is neither/,
      /exportTo\[4\]: "~" is possible for ServiceEntries/,
      /exportTo: "\*" must stand alone/,
      /exportTo: "~" must stand alone/,
    ],
    [`hosts: [a]\nexportTo: [ns, "."]\n${route}`, /exportTo\[1\]: "." stands twice: "." is the namespace ns/],
  ]);
});

test('VirtualService: delegates', () => {
  const route = 'route: [{destination: {host: b}}]';
  table('VirtualService', [
    [`http: [{match: [{uri: {prefix: /a}}], ${route}}]`],
    [
      `gateways: [g]\ntcp: [{${route}}]\ntls: [{match: [{sniHosts: ["x"]}], ${route}}]`,
      'spec.gateways: stands in',
      'spec.tls: stands in',
      'spec.tcp: stands in',
    ],
    [`http: [{delegate: {name: x}, ${route}}]`, 'spec.http[0].delegate: a delegate cannot delegate again'],
    [`http: [{match: [{uri: {regex: a}, headers: {b: {regex: c}}}], ${route}}]`],
    [`hosts: [a]\nhttp: [{delegate: {name: x}}]`],
    [
      `hosts: [a]\nhttp: [{delegate: {name: x}, redirect: {uri: /}, directResponse: {status: 200}, ${route}}]`,
      'spec.http[0].redirect: must not stand beside delegate',
      'spec.http[0].directResponse: must not',
      'spec.http[0].route: must not',
    ],
  ]);
});

test('VirtualService: matches', () => {
  const match = (text: string, gateways = '[mesh]') =>
    `hosts: [a]\ngateways: ${gateways}\nhttp: [{match: [${text}], route: [{destination: {host: b}}]}]`;
  const at = 'spec.http[0].match[0].';
  table('VirtualService', [
    [
      match(
        '{uri: {regex: "^/a(b|c)*$"}, method: {exact: GET}, scheme: {exact: http}, authority: {prefix: a}, headers: {x-a: {}}, port: 80}',
      ),
    ],
    [match('{uri: {regex: ""}}'), `${at}uri.regex: must not be empty`],
    [match('{uri: {regex: "(?=a)"}}'), `${at}uri.regex: is no regular expression of RE2`],
    [match(`{uri: {regex: "${'a'.repeat(1025)}"}}`), `${at}uri.regex: has 1025 characters`],
    [match('{uri: {prefix: ""}}')],
    [match('{method: {prefix: ""}}'), `${at}method.prefix: must not be empty`],
    [match('{headers: {x.a: {exact: x}, ":authority": {exact: x}}, withoutHeaders: {x-b: {regex: "*"}}}')],
    [match('{headers: {x-b: {regex: "*"}}}'), `${at}headers.x-b.regex: is no regular expression`],
    [match('{headers: {"a b": {exact: x}}}'), `${at}headers["a b"]: "a b" is no name of a header`],
    [match('{headers: {"@request.auth.claims.sub": {exact: x}}}'), `${at}headers["@request.auth.claims.sub"]: claims`],
    [match('{withoutHeaders: {"[@request.auth.claims][sub]": {exact: x}}}', '[g]')],
    [match('{port: 65536}'), `${at}port: must be a port`],
    [match('{sourceNamespace: "a.b"}'), `${at}sourceNamespace: "a.b" is no namespace`],
    [
      match('{sourceLabels: {"a b": c, d: "e f"}}'),
      `${at}sourceLabels["a b"]: "a b" is no label key`,
      `${at}sourceLabels.d: "e f" is no label value`,
    ],
    [match('{gateways: [g_]}'), `${at}gateways[0]: "g_" is no name`],
  ]);
});

test('VirtualService: what a route does', () => {
  const http = (text: string) => `hosts: [a]\nhttp: [{${text}}]`;
  const route = 'route: [{destination: {host: b}}]';
  const at = 'spec.http[0]';
  table('VirtualService', [
    [http('timeout: 1s'), `${at}: needs a route, a redirect or a directResponse`],
    [
      http(`redirect: {uri: /}, directResponse: {status: 200}, rewrite: {uri: /}, fault: {abort: {httpStatus: 500}}, ${route}`),
      `${at}.directResponse: must not stand beside redirect`,
      `${at}.route: must not stand beside redirect`,
      `${at}.fault: must`,
      `${at}.rewrite: must`,
    ],
    [http(`directResponse: {status: 200}, ${route}`), `${at}.route: must not stand beside directResponse`],
    [http('redirect: {redirectCode: 302}'), `${at}.redirect: needs one of`],
    [
      http('redirect: {uri: /, redirectCode: 400, scheme: ftp, port: 70000}'),
      `${at}.redirect.redirectCode`,
      `${at}.redirect.scheme`,
      `${at}.redirect.port`,
    ],
    [http('directResponse: {status: 100}'), `${at}.directResponse.status: must be from 200 to 599`],
    [
      http(`directResponse: {status: 200, body: {string: "${'a'.repeat(101 * 1024)}"}}`),
      `Warning: ${at}.directResponse.body: is larger than 100 KiB`,
    ],
    [http(`directResponse: {status: 200, body: {bytes: "${'a'.repeat(1_500_000)}"}}`), `${at}.directResponse.body: is larger than 1 MiB`],
    [http(`rewrite: {}, ${route}`), `${at}.rewrite: needs one of`],
    [
      http(`rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}, ${route}`),
      `${at}.rewrite.uriRegexRewrite: must not stand beside uri`,
    ],
    [http(`rewrite: {uriRegexRewrite: {match: a}}, ${route}`), `${at}.rewrite.uriRegexRewrite: needs both`],
    [http(`rewrite: {uriRegexRewrite: {match: "(", rewrite: b}}, ${route}`), `${at}.rewrite.uriRegexRewrite.match: is no regular`],
    [http(`retries: {attempts: -1}, ${route}`), `${at}.retries.attempts: must not be negative`],
    [http(`retries: {perTryTimeout: 1s}, ${route}`), `${at}.retries: attempts is 0`],
    [http(`retries: {attempts: 1, retryOn: "5xx,503,sometimes"}, ${route}`), `${at}.retries.retryOn: "sometimes" is neither`],
    [http(`fault: {}, ${route}`), `${at}.fault: needs a delay or an abort`],
    [
      http(
        `fault: {abort: {percentage: {value: 101}, grpcStatus: NONE}, delay: {exponentialDelay: 1s, percentage: {value: 0.00001}}}, ${route}`,
      ),
      `${at}.fault.abort.percentage.value`,
      `${at}.fault.abort.grpcStatus: "NONE" is none`,
      `${at}.fault.delay.percentage.value`,
      `${at}.fault.delay.exponentialDelay: is not supported`,
    ],
    [http(`fault: {abort: {httpStatus: 700}}, ${route}`), `${at}.fault.abort.httpStatus: must be`],
    [http(`fault: {abort: {http2Error: x}}, ${route}`), `${at}.fault.abort.http2Error: is not supported`],
    [http(`fault: {abort: {}}, ${route}`), `Warning: ${at}.fault.abort: says no status`],
    [
      http(
        `corsPolicy: {allowOrigins: [{}, {regex: "("}], allowMethods: [get], allowHeaders: ["*", "a b"], exposeHeaders: [""], maxAge: 1.5s}, ${route}`,
      ),
      `${at}.corsPolicy.allowOrigins[0]: needs one`,
      `${at}.corsPolicy.allowOrigins[1].regex: is no regular`,
      `${at}.corsPolicy.allowMethods[0]: "get"`,
      `${at}.corsPolicy.allowHeaders[1]: "a b"`,
      `${at}.corsPolicy.exposeHeaders[0]: ""`,
      `${at}.corsPolicy.maxAge: must be whole seconds`,
    ],
    [
      http(`mirror: {host: "*"}, mirrors: [{destination: {host: c}, percentage: {value: -1}}], mirrorPercentage: {value: 101}, ${route}`),
      `${at}.mirrorPercentage.value: must be from 0 to 100`,
      `${at}.mirror.host: a route needs one host`,
      `${at}.mirrors: must not stand beside mirror`,
      `${at}.mirrors[0].percentage.value`,
    ],
  ]);
});

test('VirtualService: headers', () => {
  const http = (text: string) => `hosts: [a]\nhttp: [{headers: ${text}, route: [{destination: {host: b}}]}]`;
  const at = 'spec.http[0].headers';
  table('VirtualService', [
    [http('{request: {set: {":authority": x, a: "100%%", b: "%REQ(X-A?Y):10%-%START_TIME%"}, remove: [x-b]}, response: {add: {c: d}}}')],
    [
      http('{request: {set: {":path": x, "": y}, remove: [host]}, response: {set: {Host: z}}}'),
      `${at}.request.set[":path"]: ":path": headers that begin`,
      `${at}.request.set[""]: the name of a header`,
      `${at}.request.remove[0]: Host can be`,
      `${at}.response.set.Host: Host can be`,
    ],
    [
      http('{request: {add: {a: "50%", b: "x\\ny"}}}'),
      `${at}.request.add.a: holds a percent sign`,
      `${at}.request.add.b: holds a control character`,
    ],
    [
      http('{request: {set: {host: x}, add: {":authority": y}}}'),
      `${at}.request.add[":authority"]: the authority is rewritten in another place`,
    ],
    [
      'hosts: [a]\nhttp: [{rewrite: {authority: x}, headers: {request: {set: {Host: y}}}, route: [{destination: {host: b}, headers: {response: {remove: [":status"]}}}]}]',
      `${at}.request.set.Host: the authority`,
      'spec.http[0].route[0].headers.response.remove[0]: ":status"',
    ],
  ]);
});

test('VirtualService: destinations and weights', () => {
  table('VirtualService', [
    ['hosts: [a]\nhttp: [{route: [{destination: {host: "*"}}]}]', 'spec.http[0].route[0].destination.host: a route needs one host'],
    [
      'hosts: [a]\nhttp: [{route: [{destination: {host: a_, subset: "v_1", port: {number: 0}}}]}]',
      /destination\.host: /,
      /destination\.subset: /,
      /destination\.port\.number: /,
    ],
    [
      'hosts: [a]\nhttp: [{route: [{destination: {host: a}, weight: -1}, {destination: {host: b}, weight: 2}]}]',
      'spec.http[0].route[0].weight: must not be negative',
    ],
    ['hosts: [a]\nhttp: [{route: [{destination: {host: a}}, {destination: {host: b}}]}]', 'spec.http[0].route: the weights of several'],
  ]);
});

test('VirtualService: tls and tcp', () => {
  const route = 'route: [{destination: {host: b}}]';
  table('VirtualService', [
    [`hosts: ["*.a.com"]\ntls: [{match: [{sniHosts: [x.a.com, "*.b.a.com"], port: 443}], ${route}}]`],
    [`hosts: [a.com]\ntls: [{match: [], route: []}]`, 'spec.tls[0].match: needs at least one match', 'spec.tls[0]: needs a route'],
    [
      `hosts: [a.com]\ntls: [{match: [{sniHosts: []}, {sniHosts: [10.0.0.1]}, {sniHosts: ["a_"]}], ${route}}]`,
      /match\[0\]\.sniHosts: needs at least one/,
      /^Warning: .*match\[1\]\.sniHosts\[0\]: .*no address as SNI/,
      /match\[2\]\.sniHosts\[0\]: "a_" is no host name/,
    ],
    [
      `hosts: [a.com]\ntcp: [{match: [{destinationSubnets: [10.0.0.0/33, 10.0.0.0/8, "::1"], port: 70000, sourceSubnet: x, sourceLabels: {"": a}}], route: []}]`,
      /destinationSubnets\[0\]: "10.0.0.0\/33" is neither/,
      /port: must be/,
      /sourceLabels\[""\]: /,
      /sourceSubnet: "x" is neither/,
      'spec.tcp[0]: needs a route',
    ],
  ]);
});

test('Gateway', () => {
  const server = (port: string, more = '') => `servers: [{port: {number: 80, name: http, ${port}}, hosts: ["*"]${more}}]`;
  const https = (tls: string) => server('protocol: HTTPS', `, tls: ${tls}`);
  const at = 'spec.servers[0]';
  table('Gateway', [
    [server('protocol: http', ', bind: 10.0.0.1, tls: {httpsRedirect: true}')],
    [https('{mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_2, cipherSuites: [AES128-SHA]}')],
    ['selector: {a: b}', 'spec.servers: needs at least one server'],
    [
      'servers: [{port: {number: 80, name: "", protocol: HTTPX}, hosts: []}]',
      `${at}.hosts: needs at least one host`,
      `${at}.port.protocol: "HTTPX" is no protocol`,
      `${at}.port.name: must not be empty`,
    ],
    [
      'servers: [{port: {number: 0, name: a, protocol: TCP, targetPort: 1}, hosts: [a/b/c, /a, x_/a, ./a.com, "~/a"]}]',
      `${at}.hosts[0]: "b/c" is no host name`,
      `${at}.hosts[1]: "/a": neither`,
      `${at}.hosts[2]: "x_" is no namespace`,
      `${at}.hosts[4]: "~" is no namespace`,
      `${at}.port.number: must be a port`,
      `${at}.port.targetPort: has no effect`,
    ],
    [
      'servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [10.0.0.1, ./*, a, "*a.com"]}]',
      `${at}.hosts[2]: "a" is a short name`,
      `${at}.hosts[3]: "*a.com": a wildcard must`,
    ],
    [
      'servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: [a.com]}, {port: {number: 81, name: a, protocol: HTTP}, hosts: [a.com]}]',
      'spec.servers[1].port.name: "a" names another',
    ],
    [server('protocol: HTTP', ', bind: localhost'), `${at}.bind: "localhost" is neither`],
    [server('protocol: HTTP', ', bind: "unix:///a/"'), `${at}.bind: "/a/" is no absolute path`, `${at}.port.number: must be 0`],
    ['servers: [{port: {number: 0, name: a, protocol: HTTP}, hosts: [a.com], bind: "unix://@a"}]'],
    ['servers: [{port: {number: 0, name: a, protocol: HTTP}, hosts: [a.com], bind: "unix://"}]', `${at}.bind: a unix address needs a path`],
    [server('protocol: HTTPS'), `${at}: an HTTPS port needs tls`],
    [
      server('protocol: TCP', ', tls: {httpsRedirect: true}'),
      `Warning: ${at}.tls.httpsRedirect: has an effect on HTTP`,
      `${at}.tls: a TCP port takes no tls:`,
    ],
    [server('protocol: HTTP', ', tls: {mode: SIMPLE, credentialName: a}'), `${at}.tls: a HTTP port takes no tls but httpsRedirect`],
    [
      https('{mode: SIMPLE}'),
      `${at}.tls: mode SIMPLE needs a credentialName, or serverCertificate and privateKey; serverCertificate is missing`,
      `${at}.tls: mode SIMPLE`,
    ],
    [https('{mode: MUTUAL, serverCertificate: a, privateKey: b}'), `${at}.tls: mode MUTUAL needs caCertificates`],
    [https('{mode: OPTIONAL_MUTUAL, serverCertificate: a, privateKey: b, caCertificates: c}')],
    [https('{mode: SIMPLE, serverCertificate: a, privateKey: b, caCrl: c}'), `${at}.tls.caCrl: has no effect with mode SIMPLE`],
    [https('{mode: SIMPLE, credentialName: a, caCrl: c}'), `Warning: ${at}.tls.caCrl: has no effect beside credentialName`],
    [
      https('{mode: PASSTHROUGH, credentialName: a, caCrl: c}'),
      `${at}.tls.caCrl: must not stand beside credentialName`,
      /^Warning: .*credentialName: has no effect/,
      /^Warning: .*caCrl: has no effect/,
    ],
    [
      https('{mode: SIMPLE, serverCertificate: a, privateKey: b, credentialName: c}'),
      `${at}.tls.credentialName: must not stand beside serverCertificate`,
    ],
    [https('{mode: SIMPLE, credentialName: a, credentialNames: [b]}'), `${at}.tls.credentialNames: must not stand beside credentialName`],
    [https('{mode: SIMPLE, tlsCertificates: [{serverCertificate: a}]}'), `${at}.tls.tlsCertificates[0]: needs privateKey`],
    [
      https('{mode: ISTIO_MUTUAL, serverCertificate: a, privateKey: b, caCertificates: c, credentialName: d, tlsCertificates: [{}]}'),
      /serverCertificate: must not/,
      /privateKey: must not/,
      /caCertificates: must not/,
      /credentialName: must not/,
      /tlsCertificates: must not/,
    ],
    [https('{credentialName: d}'), `Warning: ${at}.tls.credentialName: has no effect with mode PASSTHROUGH`],
    [
      https('{mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_0, cipherSuites: []}'),
      `Warning: ${at}.tls.minProtocolVersion: needs cipherSuites`,
    ],
    [
      https('{mode: SIMPLE, credentialName: a, cipherSuites: [X, AES128-SHA, AES128-SHA]}'),
      `Warning: ${at}.tls.cipherSuites[0]: "X" is no`,
      `Warning: ${at}.tls.cipherSuites[2]: "AES128-SHA" stands twice`,
    ],
  ]);
  table('Gateway', [[server('protocol: HTTP'), 'metadata.name: "a.b" is no name of a Gateway']], '{name: a.b}');
});

test('ServiceEntry', () => {
  const entry = (text: string, ports = '[{number: 80, name: http, protocol: HTTP}]') => `hosts: [a.com]\nports: ${ports}\n${text}`;
  table('ServiceEntry', [
    [
      entry(
        'resolution: STATIC\nendpoints: [{address: 10.0.0.1, ports: {http: 81}, labels: {a: b}}]\naddresses: [10.0.0.0/8]\nexportTo: ["~"]',
      ),
    ],
    ['hosts: ["*"]\nports: [{number: 80, name: a}]', 'spec.hosts[0]: a ServiceEntry needs hosts'],
    ['hosts: ["a_"]\nports: [{number: 80, name: a}]', 'spec.hosts[0]: "a_" is no host name'],
    [entry('addresses: [a]'), 'spec.addresses[0]: "a" is neither'],
    [entry('resolution: DNS\naddresses: [10.0.0.0/8]'), 'spec.addresses[0]: a CIDR range needs resolution NONE or STATIC'],
    [
      entry('workloadSelector: {labels: {"": a, b: "*"}}\nresolution: STATIC\nendpoints: [{address: 10.0.0.1}]'),
      'spec.workloadSelector[""]: the key',
      'spec.workloadSelector.b: a selector takes no wildcard',
      'spec.endpoints: must not stand beside workloadSelector',
    ],
    [
      entry('workloadSelector: {}'),
      'Warning: spec.workloadSelector: the selector has no labels',
      'Warning: spec.workloadSelector: has no effect with resolution NONE',
    ],
    [entry('resolution: NONE\nendpoints: [{address: 10.0.0.1}]'), 'spec.endpoints: must not stand beside resolution NONE'],
    [
      entry('', '[{number: 80, name: a_, protocol: X, targetPort: 81}, {number: 80, name: b}, {number: 81, name: b}]'),
      'spec.ports[0].name: "a_" is no name',
      'spec.ports[0].protocol: "X"',
      'spec.ports[1].number: port 80 is listed',
      'spec.ports[2].name: "b" names another',
    ],
    [
      entry('resolution: DNS_ROUND_ROBIN\nendpoints: [{address: a.com}, {address: b.com}]\nworkloadSelector: {labels: {a: b}}'),
      'spec.endpoints: must',
      'spec.endpoints[1]: resolution DNS_ROUND_ROBIN takes one',
    ],
    [
      entry('resolution: STATIC\nendpoints: [{address: a.com, ports: {x: 1, "y_": 2}}, {}, {network: n}]'),
      'spec.endpoints[0].address: "a.com" is no IP',
      'spec.endpoints[0].ports.y_: "y_" is no name',
      'spec.endpoints[0].ports.x: the ServiceEntry has no port x; it has http',
      'spec.endpoints[0].ports.y_: the ServiceEntry has no port',
      'spec.endpoints[1]: needs an address',
      'Warning: spec.endpoints[2]: has no address',
    ],
    [
      entry('resolution: DNS\nendpoints: [{address: "a_"}, {address: "unix:///a"}]'),
      'spec.endpoints[0].address: "a_" is neither',
      'spec.endpoints[1].address: a unix address needs resolution STATIC',
    ],
    [
      entry(
        'resolution: STATIC\nendpoints: [{address: "unix://a", ports: {http: 1}}]',
        '[{number: 80, name: http}, {number: 81, name: b}]',
      ),
      'spec.endpoints[0].address: "a" is no absolute path',
      'spec.endpoints[0].ports: must not stand beside a unix',
      'spec.endpoints[0].address: a unix address serves exactly one',
    ],
    [
      'hosts: [a.com, b.com]\nresolution: DNS\nports: [{number: 80, name: h, protocol: HTTP}, {number: 81, name: t, protocol: TCP}]',
      'spec.ports[1]: several hosts on a port',
    ],
    [
      'hosts: [a.com]\nresolution: DYNAMIC_DNS\nports: [{number: 80, name: h, protocol: TCP}]\nworkloadSelector: {labels: {a: b}}',
      'spec.hosts[0]: "a.com" is no wildcard',
      'spec.workloadSelector: must not stand beside resolution DYNAMIC_DNS',
      'spec.ports[0].protocol: resolution DYNAMIC_DNS needs',
    ],
    ['hosts: ["*.a.com"]\nresolution: DYNAMIC_DNS\nports: [{number: 443, name: t, protocol: TLS}]'],
    ['hosts: ["*.a.com"]\nresolution: DYNAMIC_DNS\nports: [{number: 443, name: t, protocol: HTTPS}]', /protocol: .*: write TLS$/],
  ]);
});

test('the ranges of the annotation for private addresses', () => {
  const spec = 'hosts: ["*.a.com"]\nresolution: DYNAMIC_DNS\nports: [{number: 443, name: t, protocol: TLS}]';
  const metadata = (ranges: string) => `{name: a, namespace: ns, annotations: {sallyport.dev/private-addresses: "${ranges}"}}`;
  table('ServiceEntry', [[spec]], metadata('10.0.0.0/8, fd00::/8,127.0.0.1'));
  table(
    'ServiceEntry',
    [[spec, 'metadata.annotations["sallyport.dev/private-addresses"]: "10.0.0.0/33" is neither']],
    metadata('10.0.0.0/33'),
  );
});

test('WorkloadEntry and WorkloadGroup', () => {
  table('WorkloadEntry', [['address: 10.0.0.1'], ['address: vm.example.com'], ['address: ""', 'spec: needs an address']]);
  table('WorkloadGroup', [
    ['template: {serviceAccount: a}\nmetadata: {labels: {a: b}}\nprobe: {httpGet: {port: 80}}'],
    ['template: {address: "unix://a", ports: {a: 1}}', 'spec.template.address: "a" is no', 'spec.template.ports: must not'],
    ['template: {}\nmetadata: {labels: {"a b": c}}\nprobe: {}', 'spec.metadata.labels["a b"]', 'spec.probe: needs one of'],
    ['template: {}\nprobe: {exec: {command: []}}', 'spec.probe.exec.command: must not be empty'],
  ]);
});

test('DestinationRule', () => {
  const policy = (text: string) => `host: a\ntrafficPolicy: ${text}`;
  const at = 'spec.trafficPolicy';
  table('DestinationRule', [
    [
      'host: "*.a.com"\nsubsets: [{name: v1, labels: {version: v1}}]\ntrafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE}}]}',
    ],
    ['host: a_', 'spec.host: '],
    [
      'host: a\nsubsets: [{name: a_, labels: {"": x}}, {name: a_, trafficPolicy: {}}]',
      'spec.subsets[0].name: "a_" is no',
      'spec.subsets[0].labels[""]',
      'spec.subsets[1].name: "a_" is no',
      'spec.subsets[1].name: "a_" names another',
      'spec.subsets[1].trafficPolicy: must set',
    ],
    ['host: a\nworkloadSelector: {matchLabels: {a: b}}\nexportTo: [other]', 'spec.exportTo: a rule with a workloadSelector'],
    ['host: a\nworkloadSelector: {matchLabels: {a: b}}\nexportTo: ["."]'],
    [policy('{}'), `${at}: must set at least one field`],
    [policy('{connectionPool: {http: {http2KeepAlive: {interval: 1s}}}}'), `${at}.connectionPool.http.http2KeepAlive: needs timeout`],
    [
      policy(
        '{outlierDetection: {}, loadBalancer: {localityLbSetting: {enabled: true}, zoneAwareLbSetting: {failover: [{from: a, to: a}], failoverPriority: [topology.kubernetes.io/zone, rack]}}}',
      ),
      `${at}.loadBalancer.zoneAwareLbSetting: must not stand beside localityLbSetting`,
      `${at}.loadBalancer.zoneAwareLbSetting.failover[0]: fails over from "a" to itself`,
      `${at}.loadBalancer.zoneAwareLbSetting.failoverPriority[0]: must not name`,
    ],
    [
      policy('{tunnel: {targetHost: a_, targetPort: 0, protocol: GET}, proxyProtocol: {}}'),
      `${at}.proxyProtocol: must not`,
      `${at}.tunnel.protocol`,
      `${at}.tunnel.targetHost`,
      `${at}.tunnel.targetPort`,
    ],
    [policy('{tunnel: {targetHost: 10.0.0.1, targetPort: 80}}')],
    [policy('{portLevelSettings: [{}]}'), `${at}.portLevelSettings[0]: needs a port`, `${at}.portLevelSettings[0]: must set`],
    [
      policy('{outlierDetection: {consecutiveLocalOriginFailures: 1, maxEjectionPercent: 101, minHealthPercent: -1}}'),
      `${at}.outlierDetection.consecutiveLocalOriginFailures`,
      `${at}.outlierDetection.maxEjectionPercent`,
      `${at}.outlierDetection.minHealthPercent`,
    ],
    [policy('{connectionPool: {}}'), `${at}.connectionPool: needs http or tcp`],
    [
      policy('{connectionPool: {tcp: {maxConnections: -1}, http: {maxRetries: -1, h2UpgradePolicy: UPGRADE, useClientProtocol: true}}}'),
      `${at}.connectionPool.http.maxRetries`,
      `${at}.connectionPool.tcp.maxConnections`,
      `${at}.connectionPool.http.useClientProtocol`,
    ],
    [
      policy('{loadBalancer: {consistentHash: {httpCookie: {name: ""}, maglev: {tableSize: 8}}}}'),
      /httpCookie\.name/,
      /maglev\.tableSize: must be a prime/,
    ],
    [
      policy('{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}}'),
      /maglev\.tableSize: must be a prime number below 5000011, not 0/,
    ],
    [policy('{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}}')],
    [
      policy(
        '{loadBalancer: {localityLbSetting: {distribute: [{from: a, to: {b: 0, c: 99}}], failover: [{from: a, to: a}, {from: a/b, to: "*"}]}}}',
      ),
      /distribute: must not stand beside/,
      /to\.b: must not be 0/,
      /distribute\[0\]\.to: the weights must add up to 100, not 99/,
      /^Warning: .*failover needs outlierDetection/,
      /failover\[0\]: fails over/,
      /failover\[1\]\.from/,
      /failover\[1\]\.to/,
    ],
    [policy('{tls: {mode: MUTUAL}}'), `${at}.tls: mode MUTUAL needs a credentialName`, `${at}.tls: mode MUTUAL`],
    [
      policy('{tls: {mode: SIMPLE, credentialName: a, caCertificates: b}}'),
      `${at}.tls.caCertificates: must not stand beside credentialName`,
    ],
    [
      policy('{tls: {mode: SIMPLE, insecureSkipVerify: true, caCertificates: b, subjectAltNames: [c]}}'),
      /caCertificates: .*insecureSkipVerify/,
      /subjectAltNames: .*insecureSkipVerify/,
    ],
    [policy('{tls: {mode: SIMPLE, insecureSkipVerify: true, credentialName: b}}'), /credentialName: .*insecureSkipVerify/],
  ]);
});

test('Sidecar', () => {
  const ingress = (text: string) => `ingress: [{port: {number: 80, protocol: HTTP, name: h}, ${text}}]`;
  const at = 'spec.ingress[0]';
  table('Sidecar', [
    ['egress: [{port: {number: 80, protocol: HTTP}, hosts: ["./*", "~/a.com", "~shop/a.com"]}, {hosts: ["*/*"]}]'],
    [
      'egress: [{hosts: ["./a", "*/*a.com"]}]',
      'spec.egress[0].hosts[0]: "a" is a short name',
      'spec.egress[0].hosts[1]: "*a.com": a wildcard must',
    ],
    ['workloadSelector: {labels: {a: b}}', 'spec: is empty'],
    [
      'ingress: [{port: {number: 80, protocol: X, name: "a_", targetPort: 1}, bind: a}, {port: {number: 80}}, {port: {}}]',
      `${at}.port.name`,
      `${at}.port.protocol`,
      `${at}.port.targetPort`,
      `${at}.bind: "a" is no IP`,
      'spec.ingress[1].port.number: port 80 has a listener',
      'spec.ingress[2].port.number: must be a port',
    ],
    [ingress('defaultEndpoint: 127.0.0.1:8080')],
    [ingress('defaultEndpoint: "unix:///a"')],
    [ingress('defaultEndpoint: 10.0.0.1:80'), `${at}.defaultEndpoint: "10.0.0.1:80" must be`],
    [ingress('defaultEndpoint: 127.0.0.1:0'), `${at}.defaultEndpoint: must be a port`],
    [ingress('defaultEndpoint: "unix://a"'), `${at}.defaultEndpoint: "a" is no absolute`],
    [
      ingress('tls: {mode: ISTIO_MUTUAL, subjectAltNames: [a], httpsRedirect: true, credentialName: b}'),
      `${at}.tls.subjectAltNames`,
      `${at}.tls.httpsRedirect`,
      `${at}.tls.credentialName`,
      `${at}.tls.mode: ISTIO_MUTUAL`,
    ],
    [ingress('tls: {mode: SIMPLE}'), `${at}.tls: mode SIMPLE`, `${at}.tls: mode SIMPLE`],
    [
      'ingress: [{port: {number: 80, protocol: TCP}, connectionPool: {http: {maxRetries: 1}}}]',
      `Warning: ${at}.connectionPool.http: has no effect`,
    ],
    ['egress: [{hosts: ["*/*"]}, {hosts: []}]', 'spec.egress[0]: a listener without a port', 'spec.egress[1].hosts: needs at least one'],
    [
      'egress: [{port: {number: 80}, bind: a, hosts: [a]}, {port: {number: 80}, hosts: ["x_/a"]}, {port: {number: 70000}, hosts: ["*/*"]}]',
      'spec.egress[0].bind: "a" is no IP',
      'spec.egress[0].hosts[0]: "a" must have the form namespace/host',
      'spec.egress[1].port.number: port 80 has',
      'spec.egress[1].hosts[0]: "x_" is no namespace',
      'spec.egress[2].port.number: must be a port',
    ],
    [
      'egress: [{port: {number: 0}, bind: 10.0.0.1, captureMode: IPTABLES, hosts: ["*/*"]}, {port: {number: 0}, bind: "unix:///a", hosts: ["*/*"]}, {port: {number: 0}, bind: "unix:///a", hosts: ["*/*"]}]',
      'spec.egress[0].bind: port 0 needs',
      'spec.egress[0].captureMode: must be',
      'spec.egress[2].bind: "unix:///a" has a listener',
    ],
    [
      'egress: [{hosts: ["ns/*", "./a.com", "*/*"]}]',
      'Warning: spec.egress[0].hosts[1]: "./a.com" is covered',
      'Warning: spec.egress[0].hosts: "*/*" selects everything',
    ],
    [
      'outboundTrafficPolicy: {egressProxy: {host: a.com}}',
      'spec.outboundTrafficPolicy.egressProxy: needs mode ALLOW_ANY',
      'spec.outboundTrafficPolicy.egressProxy: needs a port',
    ],
    [
      'outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: "*.com", port: {number: 80}}}',
      'spec.outboundTrafficPolicy.egressProxy.host',
    ],
    [
      'outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a.com, subset: "a_", port: {number: 80}}}',
      'spec.outboundTrafficPolicy.egressProxy.subset',
    ],
  ]);
});

test('AuthorizationPolicy', () => {
  table('AuthorizationPolicy', [
    [
      'rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}], to: [{operation: {paths: ["/a/{*}/b/{**}"], ports: ["80"]}}], when: [{key: "request.headers[a]", values: [b]}]}]',
    ],
    ['action: DENY', 'spec: action DENY without rules'],
    ['action: CUSTOM\nrules: [{}]', 'spec.provider: action CUSTOM needs'],
    ['provider: {name: a}', 'spec.provider: must not stand beside action ALLOW'],
    ['rules: [{from: [{}], to: [{}]}]', 'spec.rules[0].from[0]: needs a source', 'spec.rules[0].to[0]: needs an operation'],
    [
      'rules: [{from: [{source: {}}], to: [{operation: {hosts: [""]}}]}]',
      'spec.rules[0].from[0].source: must not be empty',
      'spec.rules[0].to[0].operation.hosts[0]: must not be empty',
    ],
    [
      'rules: [{from: [{source: {ipBlocks: [a], serviceAccounts: [b], principals: [c]}}]}]',
      /ipBlocks\[0\]: "a" is neither/,
      /principals: must not stand beside serviceAccounts/,
    ],
    [
      'rules: [{to: [{operation: {ports: ["0", a], notPaths: ["/{a}", "/{**}/x/{**}"]}}]}]',
      /ports\[0\]: "0" is no port/,
      /ports\[1\]: "a" is no port/,
      /notPaths\[0\]: .*"{a}" must be/,
      /notPaths\[1\]: .*twice/,
    ],
    [
      'rules: [{when: [{key: ""}, {key: a, values: [b]}, {key: source.ip, values: [x]}, {key: destination.port, notValues: [y]}]}]',
      /when\[0\]\.key: must not be empty/,
      /when\[0\]: needs values/,
      /when\[1\]\.key: "a" is no attribute/,
      /when\[2\]\.values\[0\]: "x" is neither/,
      /when\[3\]\.notValues\[0\]: "y" is no port/,
    ],
    [
      'action: CUSTOM\nprovider: {name: p}\nrules: [{from: [{source: {namespaces: [a]}}], when: [{key: source.principal, values: [b]}]}]',
      /source\.namespaces: is not supported/,
      /when\[0\]\.key: source.principal is not supported/,
    ],
    ['action: DENY\nrules: [{to: [{operation: {paths: [/a]}}]}]', 'Warning: spec.rules[0]: denies everything on TCP ports'],
    ['action: DENY\nrules: [{from: [{source: {requestPrincipals: [a]}}]}]', 'Warning: spec.rules[0]: denies everything on TCP ports'],
    [
      'selector: {matchLabels: {a: b}}\ntargetRef: {kind: Pod, name: x, namespace: y}',
      'spec.targetRef: must not stand beside selector',
      'spec.targetRef.namespace: must stay empty',
      "spec.targetRef.kind: a policy can't be attached to /Pod",
    ],
    ['targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: x}, {group: core, kind: Service, name: y}]'],
  ]);
  const dryRun = (value: string) => `{name: a, annotations: {istio.io/dry-run: "${value}"}}`;
  table('AuthorizationPolicy', [['rules: [{}]']], dryRun('true'));
  table('AuthorizationPolicy', [['rules: [{}]', /dry-run"\]: "maybe" is neither/]], dryRun('maybe'));
  table('AuthorizationPolicy', [['action: AUDIT\nrules: [{}]', /action AUDIT has no dry run/]], dryRun('true'));
});

test('PeerAuthentication, RequestAuthentication and Telemetry', () => {
  table('PeerAuthentication', [
    ['selector: {matchLabels: {a: b}}\nportLevelMtls: {80: {mode: STRICT}}'],
    ['portLevelMtls: {"0": {}, "80": {}}', 'spec.portLevelMtls: needs a selector', 'spec.portLevelMtls["0"]: "0" is no port'],
  ]);
  table('RequestAuthentication', [
    ['jwtRules: [{issuer: a, jwks_uri: "https://a/b"}]'],
    [
      'jwtRules: [{jwksUri: "https://", jwks: "{}"}]',
      'spec.jwtRules[0].jwks: must not stand beside jwksUri',
      'spec.jwtRules[0].jwksUri: "https://" is no URL',
      'spec.jwtRules[0].jwks: is no JSON Web Key Set',
    ],
    ['jwtRules: [{jwksUri: "https://a/b"}]'],
    ['jwtRules: [{}]', 'spec.jwtRules[0]: needs an issuer or a jwksUri'],
    [`jwtRules: [{issuer: a, jwks: '{"keys":[{"kty":"RSA"}]}'}, {issuer: b, jwks: x}]`, 'spec.jwtRules[1].jwks: is no JSON'],
  ]);
  table('Telemetry', [
    [
      'tracing: [{providers: [{name: a}, {name: b}], customTags: {"": {literal: {value: x}}}}, {}]',
      'Warning: spec.tracing[1]',
      'Warning: spec.tracing[0].providers[1]',
      'spec.tracing[0].customTags[""]',
    ],
    ['accessLogging: [{filter: {expression: "response.code >= 400"}}, {filter: {}}]', 'spec.accessLogging[1].filter: needs an expression'],
    [
      'metrics: [{overrides: [{tagOverrides: {a: {operation: UPSERT}, b: {operation: REMOVE, value: x}, c: {operation: REMOVE}}}]}]',
      /tagOverrides\.a: operation UPSERT needs/,
      /tagOverrides\.b\.value: must not/,
    ],
  ]);
});

test('ProxyConfig, EnvoyFilter and Service', () => {
  const subFilter = (applyTo: string, filter: string) =>
    `configPatches: [{applyTo: ${applyTo}, match: {listener: {filterChain: {filter: ${filter}}}}, patch: {operation: REMOVE}}]`;
  table('ProxyConfig', [['selector: {matchLabels: {a: "*"}}', 'spec.selector.a: a selector takes no wildcard']]);
  table('EnvoyFilter', [
    [
      'configPatches: [{applyTo: HTTP_FILTER, match: {context: ANY, listener: {filterChain: {filter: {name: x}}}}, patch: {operation: ADD, value: {name: y}}}]',
    ],
    [
      'workloadSelector: {labels: {a: b}}\ntargetRefs: [{kind: Service, name: a}]',
      'spec.targetRefs: must not stand beside workloadSelector',
    ],
    ['configPatches: [{}]', 'spec.configPatches[0].applyTo: is missing', 'spec.configPatches[0]: needs a patch'],
    [
      'configPatches: [{applyTo: CLUSTER, match: {waypoint: {}}, patch: {}}]',
      'spec.configPatches[0].patch.operation: is missing',
      'spec.configPatches[0].patch: operation INVALID needs a value',
      'spec.configPatches[0].match.waypoint: needs context WAYPOINT',
    ],
    [
      'configPatches: [{applyTo: CLUSTER, match: {listener: {filterChain: {filter: {}}}}, patch: {operation: REMOVE}}]',
      /match\.listener: applyTo CLUSTER matches by cluster/,
      /filterChain\.filter: needs a name/,
    ],
    [subFilter('HTTP_FILTER', '{name: envoy.filters.network.http_connection_manager, subFilter: {name: x}}')],
    [subFilter('NETWORK_FILTER', '{name: x, subFilter: {name: y}}'), /filter\.subFilter: matches for HTTP_FILTER only/],
    [subFilter('HTTP_FILTER', '{name: x, subFilter: {name: y}}'), /filter\.name: must be envoy.filters.network.http_connection_manager/],
    [subFilter('HTTP_FILTER', '{name: envoy.http_connection_manager, subFilter: {}}'), /filter\.subFilter: needs a name/],
  ]);
  table('Service', [
    ['clusterIP: None'],
    ['type: ExternalName', 'spec: type ExternalName needs externalName'],
    ['type: ClusterIP', 'spec: needs at least one port'],
    [
      'ports: [{port: 80}, {port: 80, name: a}, {port: 80, name: a, protocol: UDP}]',
      'spec.ports[0]: needs a name',
      'spec.ports[1].port: port 80 is listed',
      'spec.ports[2].name: "a" names',
    ],
  ]);
});
