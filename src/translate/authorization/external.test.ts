import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toJson } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { httpOf, listenerOf, SIDECAR, translated } from '../../../test/support/translated.ts';
import { originText } from '../../lib/origin.ts';
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import { typeRegistry } from '../../xds/type-registry.ts';

const SERVER: ProxyIdentity = { ...SIDECAR, name: 'web', labels: { app: 'web' }, addresses: ['10.244.1.20'] };

const MESH = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: default, labels: { app: web } }
spec: { containers: [{ name: app }] }
status: { phase: Running, podIP: 10.244.1.20, conditions: [{ type: Ready, status: 'True' }] }
---
apiVersion: v1
kind: Service
metadata: { name: web, namespace: default }
spec: { clusterIP: 10.96.1.20, selector: { app: web }, ports: [{ name: http, port: 80, targetPort: 8000 }, { name: tcp, port: 90, targetPort: 9000 }] }
---
apiVersion: v1
kind: Service
metadata: { name: authz, namespace: auth }
spec: { clusterIP: 10.96.1.21, selector: { app: authz }, ports: [{ name: http, port: 8000 }, { name: grpc, port: 9000 }] }
---
`;
const HOST = 'authz.auth.svc.cluster.local';

const policy = (provider: string, name = 'p', rules = '[{}]') => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: default }
spec: { action: CUSTOM, provider: { name: ${provider} }, rules: ${rules} }
---
`;

interface Rules {
  readonly action: string;
  readonly policies: Readonly<Record<string, object>>;
}

/** What the tests look at of RBAC and ext_authz filters. */
interface FilterJson {
  readonly rules: Rules;
  readonly shadowRules: Rules;
  readonly shadowRulesStatPrefix: string;
  readonly grpcService: object;
  readonly httpService: { readonly serverUri: { readonly cluster: string } };
  readonly filterEnabledMetadata: object;
}

interface Seen {
  readonly http: readonly (readonly [name: string, config: FilterJson])[];
  readonly tcp: Seen['http'];
  readonly findings: readonly string[];
}

/** The filters before those that every chain has. */
function seen(text: string, extensionProviders: readonly object[]): Seen {
  const result = translated(MESH + text, SERVER, { extensionProviders });
  const { filterChains } = listenerOf(result, 'virtualInbound');
  const chainAt = (port: number) => filterChains.find(({ filterChainMatch }) => filterChainMatch?.destinationPort === port)!;
  const read = (filter: { readonly name: string; readonly configType: { readonly value?: unknown } }) =>
    [filter.name, toJson(AnySchema, filter.configType.value as Any, { registry: typeRegistry }) as unknown as FilterJson] as const;
  return {
    http: httpOf(chainAt(8000)).httpFilters.slice(0, -3).map(read),
    tcp: chainAt(9000).filters.slice(0, -1).map(read),
    findings: result.findings.map(({ code, level, origin, message }) => `${code} ${level} ${originText(origin)}: ${message}`),
  };
}

const GRPC = { name: 'it', envoyExtAuthzGrpc: { service: HOST, port: 9000 } };
const HTTP = { name: 'it', envoyExtAuthzHttp: { service: `auth/${HOST}`, port: 8000 } };
const names = (list: Seen['http']) => list.map(([name]) => name.slice('envoy.filters.'.length));
const BAD = 'istio-ext-authz-it-ns[default]-policy[p]-rule[0]-deny-due-to-bad-CUSTOM-action';

test('an authorizer is asked about what its rules match, before tokens and other policies are looked at', () => {
  const more = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: r, namespace: default }
spec: { jwtRules: [{ issuer: i }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: d, namespace: default }
spec: { action: DENY, rules: [{ to: [{ operation: { ports: ["1"] } }] }] }
---
`;
  const { http, tcp, findings } = seen(policy('it') + more, [GRPC]);
  assert.deepEqual(findings, []);
  assert.deepEqual(names(http), ['http.rbac', 'http.ext_authz', 'http.jwt_authn', 'http.rbac']);
  assert.deepEqual(names(tcp), ['network.rbac', 'network.ext_authz', 'network.rbac']);
  const [[, noted], [, asks]] = http as [Seen['http'][number], Seen['http'][number]];
  assert.deepEqual(
    [noted.rules, noted.shadowRulesStatPrefix, Object.keys(noted.shadowRules.policies)],
    [undefined, 'istio_ext_authz_', ['istio-ext-authz-it-ns[default]-policy[p]-rule[0]']],
  );
  assert.deepEqual(asks.grpcService, { envoyGrpc: { clusterName: `outbound|9000||${HOST}`, authority: HOST }, timeout: '600s' });
  assert.deepEqual(asks.filterEnabledMetadata, {
    filter: 'envoy.filters.http.rbac',
    path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
    value: { stringMatch: { prefix: 'istio-ext-authz-it' } },
  });
});

test('an authorizer over HTTP is asked about requests; connections that it can’t be told of are closed', () => {
  const { http, tcp, findings } = seen(policy('it'), [HTTP]);
  assert.deepEqual([names(http), names(tcp), findings], [['http.rbac', 'http.ext_authz'], ['network.rbac'], []]);
  assert.equal(http[1]![1].httpService.serverUri.cluster, `outbound|8000||${HOST}`);
  assert.deepEqual(Object.keys(tcp[0]![1].rules.policies), [BAD]);
  assert.equal(tcp[0]![1].rules.action, 'DENY');
});

test('where nobody can be asked, what the rules match is denied, and said so', () => {
  const cases: readonly (readonly [providers: readonly object[], why: RegExp])[] = [
    [[], /have none of that name/],
    [[GRPC, HTTP], /have 2 of that name/],
    [[{ name: 'it', prometheus: {} }], /it is no authorizer/],
    [[{ name: 'it', envoyExtAuthzGrpc: { service: 'nobody.example.com', port: 9000 } }], /there is no service nobody\.example\.com/],
    [[{ name: 'it', envoyExtAuthzGrpc: { service: `other/${HOST}`, port: 9000 } }], /there is no service other\//],
    [[{ name: 'it', envoyExtAuthzGrpc: { service: HOST, port: 1 } }], /has no port 1/],
    [[{ name: 'it', envoyExtAuthzGrpc: { service: HOST, port: 9000, statusOnError: '999' } }], /statusOnError, 999/],
    [[{ name: 'it', envoyExtAuthzGrpc: { service: HOST, port: 9000, includeRequestBodyInCheck: {} } }], /no maxRequestBytes/],
    [[{ name: 'it', envoyExtAuthzHttp: { service: HOST, port: 8000, pathPrefix: 'x' } }], /does not begin with \//],
    [[{ name: 'it', envoyExtAuthzHttp: { service: HOST, port: 8000, headersToUpstreamOnAllow: ['*'] } }], /holds a star alone/],
  ];
  for (const [providers, why] of cases) {
    const { http, tcp, findings } = seen(policy('it'), providers);
    assert.deepEqual([names(http), names(tcp)], [['http.rbac'], ['network.rbac']]);
    for (const [, config] of [...http, ...tcp])
      assert.deepEqual([config.rules.action, Object.keys(config.rules.policies)], ['DENY', [BAD]]);
    assert.match(findings.join('\n'), /^SP1024 Error AuthorizationPolicy default\/p: .* is refused instead of running open\.$/);
    assert.match(findings.join('\n'), why);
  }
  const two = seen(policy('it') + policy('other', 'q'), [GRPC, { ...GRPC, name: 'other' }]);
  assert.deepEqual([names(two.http), two.findings.length], [['http.rbac', 'http.rbac'], 2]);
  assert.match(two.findings[0]!, /one of several \(it, other\)/);
});

test('an authorizer that the proxy does not see is not asked, and nothing passes', () => {
  const sidecar = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: default, namespace: default }
spec: { egress: [{ hosts: ['./*'] }] }
---
`;
  const { http, findings } = seen(policy('it') + sidecar, [
    { name: 'it', envoyExtAuthzGrpc: { ...GRPC.envoyExtAuthzGrpc, failOpen: true } },
  ]);
  assert.deepEqual(Object.keys(http[0]![1].rules.policies), [BAD]);
  assert.match(findings.join(), /does not see service/);
});
