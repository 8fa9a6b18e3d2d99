/** What fields mean, in a sentence, for editors and in the JSON Schema. Fields whose names say all are not in it. */
import { table } from '../lib/table.ts';
import type { Kind } from './index.ts';
import type { PathStep } from './resource.ts';

type Texts = Readonly<Record<string, string>>;

/** The same texts, of fields under others. */
function under(path: string, texts: Texts): Texts {
  return Object.fromEntries(Object.entries(texts).map(([field, text]) => [field ? `${path}.${field}` : path, text]));
}

const EXPORT_TO = 'Namespaces that see it: names, `.` for its own, `*` for all. Without it all, unless MeshConfig says otherwise.';

const DESTINATION: Texts = {
  '': 'Where calls go: a host of the registry, which a Service or a ServiceEntry declares.',
  host: 'A host of the registry. A name without dots is a Service of the object’s own namespace.',
  subset: 'A subset that a DestinationRule of the host defines.',
  'port.number': 'The port of the host. Needed where the host has several and the call’s own is not meant.',
};

const CLIENT_TLS: Texts = {
  '': 'The TLS that the proxy originates to the host.',
  mode: 'DISABLE: plain text. SIMPLE: TLS. MUTUAL: TLS with a client certificate. ISTIO_MUTUAL: with the mesh’s own certificates.',
  caCertificates: 'The file with the roots by which the server is verified; `system` for those of the operating system.',
  credentialName: 'The Secret with the roots and, for MUTUAL, the client certificate.',
  subjectAltNames: 'Names of which the server’s certificate has to have one.',
  sni: 'The server name that is sent.',
  insecureSkipVerify: 'Does not verify the server: whoever is on the way can be the server.',
};

const TRAFFIC_POLICY: Texts = {
  loadBalancer: 'How the endpoint is chosen.',
  connectionPool: 'Limits on connections and requests.',
  outlierDetection: 'Takes endpoints that fail out for a while.',
  ...under('tls', CLIENT_TLS),
  portLevelSettings: 'Settings of single ports. Such a port takes nothing from the settings beside it.',
  'portLevelSettings[].port.number': 'The port that the settings are for.',
  ...under('portLevelSettings[].tls', CLIENT_TLS),
};

const TEXTS: Readonly<Partial<Record<Kind, Texts>>> = table<Texts>({
  ServiceEntry: {
    'spec.hosts': 'Names under which the services are called: full names, or `*.suffix`.',
    'spec.addresses': 'Virtual addresses of the hosts, IP or CIDR. A TCP port without them takes its port for every address.',
    'spec.ports': 'Ports of the service, with their protocols.',
    'spec.ports[].protocol': 'HTTP, HTTPS, HTTP2, GRPC, TLS, TCP and others: what the proxy takes the traffic for.',
    'spec.ports[].targetPort': 'The port at the endpoints, where it is another.',
    'spec.location': 'MESH_EXTERNAL: outside the mesh. MESH_INTERNAL: part of it.',
    'spec.resolution':
      'How endpoints are found. NONE: the address that the caller connects to. STATIC: those in `endpoints`. DNS: the names in `endpoints`, or the hosts, are looked up by the proxy.',
    'spec.endpoints': 'Where the service is: addresses or names.',
    'spec.workloadSelector': 'Takes Pods and WorkloadEntries of the namespace as endpoints, by labels; in place of `endpoints`.',
    'spec.exportTo': EXPORT_TO,
    'spec.subjectAltNames': 'Names of which the server’s certificate has to have one, where TLS is originated.',
  },
  VirtualService: {
    'spec.hosts': 'The hosts whose traffic is routed, as callers name them: full names, `*.suffix`, or a Service by its short name.',
    'spec.gateways': 'Where the routes hold: Gateways by name or `namespace/name`, and `mesh` for sidecars. Without it: `mesh` alone.',
    'spec.http': 'Routes of HTTP, the first that matches counts.',
    'spec.http[].match': 'When the route counts: any of these. Without it: always.',
    'spec.http[].match[].gateways': 'Where this match holds, in place of the VirtualService’s list.',
    'spec.http[].match[].authority': 'The Host header.',
    'spec.http[].match[].uri': 'The path with the query left out.',
    'spec.http[].match[].headers': 'Headers by their names in lower case.',
    'spec.http[].match[].sourceLabels': 'Labels of the calling workload.',
    'spec.http[].route': 'Where calls go, shared by weight.',
    ...under('spec.http[].route[].destination', DESTINATION),
    'spec.http[].route[].weight': 'The share of the calls; a single destination gets all of them.',
    'spec.http[].redirect': 'Answers with a redirect in place of routing.',
    'spec.http[].directResponse': 'Answers itself in place of routing.',
    'spec.http[].delegate': 'Goes on in the routes of another VirtualService.',
    'spec.http[].rewrite': 'Changes the path or the authority before the call is sent on.',
    'spec.http[].timeout': 'How long an answer may take. Without it there is no limit.',
    'spec.http[].retries': 'When and how often a failed call is tried again.',
    'spec.http[].fault': 'Delays or fails a share of the calls on purpose.',
    ...under('spec.http[].mirror', DESTINATION),
    'spec.http[].mirror': 'A destination that gets a copy of the calls; its answers are dropped.',
    'spec.http[].headers': 'Headers that are set, added or removed.',
    'spec.tls': 'Routes of TLS that is passed through, told by the server name.',
    'spec.tls[].match[].sniHosts': 'Server names that the route is for; each has to be covered by `hosts`.',
    ...under('spec.tls[].route[].destination', DESTINATION),
    'spec.tcp': 'Routes of other TCP traffic.',
    ...under('spec.tcp[].route[].destination', DESTINATION),
    'spec.exportTo': EXPORT_TO,
  },
  DestinationRule: {
    'spec.host': 'The host whose traffic follows the rule, after routing: a name without dots is a Service of the rule’s namespace.',
    'spec.trafficPolicy': 'How connections to the host are made.',
    ...under('spec.trafficPolicy', TRAFFIC_POLICY),
    'spec.subsets': 'Named parts of the host’s endpoints, chosen by labels.',
    'spec.subsets[].name': 'How routes name the subset.',
    'spec.subsets[].labels': 'Labels of the endpoints that belong to it.',
    'spec.subsets[].trafficPolicy': 'What differs for this subset.',
    ...under('spec.subsets[].trafficPolicy', TRAFFIC_POLICY),
    'spec.exportTo': EXPORT_TO,
    'spec.workloadSelector': 'The calling workloads that follow the rule, of its own namespace. Without it: all.',
  },
  Gateway: {
    'spec.selector': 'Labels of the proxies that open these ports.',
    'spec.servers': 'Ports that are opened, and for which hosts.',
    'spec.servers[].hosts': 'Hosts that are served there: `host` or `namespace/host`, where the namespace is that of the VirtualService.',
    'spec.servers[].bind': 'The address that the port is opened at.',
    'spec.servers[].tls': 'How TLS is terminated or passed on.',
    'spec.servers[].tls.mode':
      'PASSTHROUGH: routed by the server name, not decrypted. SIMPLE: terminated. MUTUAL: terminated, clients show a certificate. ISTIO_MUTUAL: with the mesh’s own certificates.',
    'spec.servers[].tls.credentialName': 'The Secret with the certificate, in the namespace of the gateway’s workload.',
    'spec.servers[].tls.httpsRedirect': 'Answers plain HTTP with a redirect to HTTPS.',
  },
  Sidecar: {
    'spec.workloadSelector': 'Workloads of the namespace that it is for. Without it: all of them.',
    'spec.egress': 'What the sidecar knows of the mesh, by port.',
    'spec.egress[].hosts':
      'Hosts that can be called: `namespace/host`, where the namespace may be `.` for its own, `*` for any, `~` for none.',
    'spec.ingress': 'Ports of the workload, in place of those that its Services name.',
    'spec.outboundTrafficPolicy.mode':
      'What becomes of calls to hosts that nothing declares. REGISTRY_ONLY: refused. ALLOW_ANY: sent on as they are.',
  },
  EgressPolicy: {
    'spec.from': 'Who calls: any of these. Without it: every workload of the policy’s namespace.',
    'spec.from[].namespace': 'The caller’s namespace. Without it: the policy’s own.',
    'spec.from[].labels': 'Labels that the caller has.',
    'spec.from[].serviceAccounts': 'The identity that a sidecar shows, which a gateway alone can judge.',
    'spec.to': 'What may be called.',
    'spec.to[].hosts': 'Names, `*.suffix`, or addresses.',
    'spec.to[].ports': 'Without: 80 for HTTP and 443 for TLS.',
    'spec.to[].methods': 'Of plain HTTP. Without: all.',
    'spec.to[].paths': 'Of plain HTTP, as they are or with `*` at their end. Without: all.',
    'spec.to[].credentials':
      'What the egress gateway puts into these requests, and the workload never has; needs `through: gateway` and `tls.originate`.',
    'spec.to[].credentials[].header': 'The value as a header of this name.',
    'spec.to[].credentials[].bearer': 'The value as `authorization: Bearer`.',
    'spec.to[].credentials[].basic': 'The value as password of this user, in `authorization: Basic`.',
    'spec.to[].credentials[].query': 'The value as a parameter of the URL.',
    'spec.to[].credentials[].sigv4': 'The request is signed for this region and service of AWS, by the keys of the Secret.',
    'spec.to[].credentials[].from.secret': 'A Secret in the policy’s own namespace, and what of it is the value.',
    'spec.to[].credentials[].from.secret.key': 'Where the value stands.',
    'spec.to[].credentials[].from.secret.keys':
      'Of `sigv4`: accessKeyId, secretAccessKey and maybe sessionToken. Of `oauth2`: clientId and clientSecret.',
    'spec.to[].credentials[].from.oauth2':
      'The value is an access token (OAuth 2.0, client credentials) for which the gateway asks with the client of the Secret.',
    'spec.to[].credentials[].from.oauth2.tokenEndpoint': 'An https URL at a destination of this policy.',
    'spec.to[].credentials[].placeholder': 'What the client may send in its place; with another value a request stays as it is.',
    'spec.through': 'The way out. Without: through the mesh’s forward proxy, if it has one, else directly.',
    'spec.proxy': '`HOST:PORT` of the ServiceEntry that is the forward proxy.',
    'spec.bind': 'What becomes of a call whose name, SNI, Host and address disagree. Without: `enforce`.',
    'spec.tls.originate': 'The application speaks plain HTTP, and TLS leaves.',
    'spec.tls.port': 'Which port TLS goes to.',
    'spec.tls.clientCertificate':
      'What the egress gateway shows to servers that ask for a certificate: a Secret of type kubernetes.io/tls.',
    'spec.starts': 'A moment (RFC 3339) before which it allows nothing.',
    'spec.expires': 'A moment (RFC 3339), or a day, in UTC, which is the last one.',
    'spec.reason': 'Why it is allowed.',
    'spec.owner': 'Who answers for it.',
  },
  AuthorizationPolicy: {
    'spec.action':
      'ALLOW: only what a rule matches passes. DENY: what a rule matches is refused. CUSTOM: an authorizer is asked. AUDIT: it is logged.',
    'spec.rules': 'What is matched. ALLOW without rules refuses everything.',
    'spec.rules[].from': 'Who calls: any of these.',
    'spec.rules[].to': 'What is called: any of these.',
    'spec.rules[].when': 'Conditions, all of which have to hold.',
    'spec.selector': 'Workloads that it is for. Without it: all of the namespace, in the root namespace all of the mesh.',
  },
  PeerAuthentication: {
    'spec.mtls.mode': 'STRICT: mutual TLS alone. PERMISSIVE: plain text too. DISABLE: plain text alone.',
    'spec.portLevelMtls': 'The same of single ports of the workload.',
  },
});

/** Of the field at a path of an object; undefined where there is nothing to say. */
export function fieldText(kind: Kind, path: readonly PathStep[]): string | undefined {
  const written = path.map((step) => (typeof step === 'number' ? '[]' : `.${step}`)).join('');
  return TEXTS[kind]?.[written.slice(1)];
}

/** Every path that has a text, with its kind. */
export function textedFields(): (readonly [kind: Kind, path: readonly PathStep[]])[] {
  const steps = (path: string) => path.split('.').flatMap((name): PathStep[] => (name.endsWith('[]') ? [name.slice(0, -2), 0] : [name]));
  return Object.entries(TEXTS).flatMap(([kind, texts]) => Object.keys(texts).map((path) => [kind as Kind, steps(path)] as const));
}
