/** For tests of the console in a cluster: a mesh of two teams, people with rights in it, and the console that a controller serves them. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { freePort, PROGRAM, Program } from '../integration/cli/program.ts';
import { labBinary } from '../support/lab.ts';
import { ApiServer } from './api-server.ts';

function pod(namespace: string, name: string, ip: string, labels = `{ app: ${name} }`): string {
  return `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: ${labels} }
spec: { serviceAccountName: ${name}, containers: [{ name: app, image: app }, { name: istio-proxy, image: proxy }] }
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }], conditions: [{ type: Ready, status: "True" }] }
`;
}

/** Of a team: what it calls by the gateway, what it alone may call, and a mistake. */
function team(namespace: string, own: string): string {
  return `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: own, namespace: ${namespace} }
spec: { hosts: [${own}], exportTo: ["."], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: mistaken, namespace: ${namespace} }
spec: { hosts: [${own}], gateways: [no-such-gateway], http: [{ route: [{ destination: { host: ${own} } }] }] }
---
apiVersion: v1
kind: Secret
metadata: { name: keys, namespace: ${namespace} }
stringData: { password: swordfish }
`;
}

/** Opens a host to all workloads. */
export const opening = (space: string, host: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: opened, namespace: ${space} }
spec: { hosts: [${host}], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }
`;

const namespace = (name: string) => `
apiVersion: v1
kind: Namespace
metadata: { name: ${name} }
`;

const MESH = `
apiVersion: v1
kind: ConfigMap
metadata: { name: istio, namespace: istio-system }
data: { mesh: "outboundTrafficPolicy: { mode: REGISTRY_ONLY }" }
---
apiVersion: v1
kind: Service
metadata: { name: istio-egressgateway, namespace: istio-system }
spec: { selector: { istio: egressgateway }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
${pod('istio-system', 'istio-egressgateway', '10.2.0.9', '{ istio: egressgateway }')}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: istio-egressgateway, namespace: istio-system, labels: { kubernetes.io/service-name: istio-egressgateway } }
addressType: IPv4
ports: [{ name: http, port: 8080, protocol: TCP }]
endpoints: [{ addresses: [10.2.0.9], conditions: { ready: true }, targetRef: { kind: Pod, namespace: istio-system, name: istio-egressgateway } }]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: www, namespace: istio-system }
spec: { hosts: [www.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }] }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: egress, namespace: istio-system }
spec: { selector: { istio: egressgateway }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: [www.example.com] }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: www, namespace: istio-system }
spec:
  hosts: [www.example.com]
  gateways: [mesh, egress]
  http:
  - match: [{ gateways: [mesh] }]
    route: [{ destination: { host: istio-egressgateway.istio-system.svc.cluster.local, port: { number: 80 } } }]
  - match: [{ gateways: [egress] }]
    route: [{ destination: { host: www.example.com, port: { number: 80 } } }]
---
${team('shop', 'api.partner.example')}
---
${team('payments', 'bank.example')}
---
${pod('shop', 'cart', '10.2.0.1')}
---
${pod('payments', 'ledger', '10.2.0.2')}
`;

/** By whom what may be seen: as Roles in namespaces. */
const TEAMS = { alice: ['shop'], bob: ['payments'], carol: ['shop', 'payments'] } as const;

const LOOKER = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: looker }
rules:
- { apiGroups: [networking.istio.io], resources: [virtualservices], verbs: [get, list] }
- { apiGroups: [""], resources: [pods], verbs: [get, list] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: half }
rules:
- { apiGroups: [networking.istio.io], resources: [virtualservices], verbs: [get, list] }
`;

const account = (name: string) => `
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: people }
`;

const bound = (name: string, where: string, role: string) => `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: ${name}, namespace: ${where} }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${role} }
subjects: [{ kind: ServiceAccount, name: ${name}, namespace: people }]
`;

/** What the chart lets a controller do. */
function chartAccess(): readonly string[] {
  const chart = join(import.meta.dirname, '../../deploy/chart');
  const args = ['template', 'sallyport', chart, '--namespace', 'istio-system', '--kube-version', '1.31.0', '--set', 'console.enabled=true'];
  const text = execFileSync(labBinary('helm') ?? 'helm', args, { encoding: 'utf8' });
  return text.split(/^---$/m).filter((one) => /^kind: (?:ServiceAccount|(?:Cluster)?Role(?:Binding)?)$/m.test(one));
}

const documents = (text: string) => text.split('---').filter((one) => one.trim() !== '');

export class ConsoleCluster {
  readonly server: ApiServer;
  readonly controller: Program;
  readonly port: number;

  private constructor(server: ApiServer, controller: Program, port: number) {
    this.server = server;
    this.controller = controller;
    this.port = port;
  }

  static async start(): Promise<ConsoleCluster> {
    const server = await ApiServer.start();
    try {
      await server.apply(...['istio-system', 'shop', 'payments', 'people'].map(namespace));
      await server.apply(...documents(MESH), ...documents(LOOKER));
      await server.apply(...[...Object.keys(TEAMS), 'nobody', 'half'].map(account), bound('half', 'shop', 'half'));
      await server.apply(...Object.entries(TEAMS).flatMap(([name, spaces]) => spaces.map((space) => bound(name, space, 'looker'))));
      await server.apply(...chartAccess());
      const port = await freePort();
      const controller = await startController(server, '--console', `127.0.0.1:${port}`);
      return new ConsoleCluster(server, controller, port);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async end(): Promise<void> {
    await this.controller.end();
    await this.server.stop();
  }

  /** As `kubectl create token` makes one. */
  async token(name: string): Promise<string> {
    const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
    return (await this.server.must('POST', `/api/v1/namespaces/people/serviceaccounts/${name}/token`, asked)).status.token;
  }

  /** One that ends after so many seconds: API servers make none for less than ten minutes. */
  async shortToken(name: string, seconds: number): Promise<string> {
    const { uid } = (await this.server.read('ServiceAccount', 'v1', name, 'people')).metadata;
    const now = Math.floor(Date.now() / 1000);
    const issuer = 'https://kubernetes.default.svc';
    const claims = {
      iss: issuer,
      aud: [issuer],
      sub: `system:serviceaccount:people:${name}`,
      'kubernetes.io': { namespace: 'people', serviceaccount: { name, uid } },
      iat: now - 3600,
      nbf: now - 3600,
      exp: now + seconds,
    };
    // Which of its keys has signed it, a server with one key need not be told.
    const parts = [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
    const key = createPrivateKey(readFileSync(join(this.server.folder, 'sa.key')));
    return [...parts, sign('sha256', Buffer.from(parts.join('.')), key).toString('base64url')].join('.');
  }

  open(path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port: this.port, path, method, agent: false, headers }, resolve);
      asked.on('error', reject);
      asked.end(body);
    });
  }

  async ask(
    path: string,
    asking: Asking = {},
  ): Promise<{ readonly status: number; readonly headers: IncomingMessage['headers']; readonly text: string }> {
    const answer = await this.open(path, asking);
    return { status: answer.statusCode!, headers: answer.headers, text: await textOf(answer) };
  }

  /** Sends a token as the form does. */
  enter(token: string, headers: OutgoingHttpHeaders = {}) {
    const body = new URLSearchParams({ token }).toString();
    const type = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) };
    return this.ask('/enter', { method: 'POST', headers: { ...type, ...headers }, body });
  }

  /** What somebody's requests have in their head. */
  async cookieOf(token: string): Promise<OutgoingHttpHeaders> {
    const { status, headers, text } = await this.enter(token);
    if (status !== 303) throw new Error(`not let in: ${status} ${text}`);
    return { cookie: headers['set-cookie']![0]!.split(';')[0]! };
  }

  async json(path: string, headers: OutgoingHttpHeaders): Promise<unknown> {
    const { status, text } = await this.ask(`/api/v1${path}`, { headers });
    if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
    return JSON.parse(text);
  }
}

/** As the service account of the chart. */
export async function startController(server: ApiServer, ...more: readonly string[]): Promise<Program> {
  const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } };
  const account = '/api/v1/namespaces/istio-system/serviceaccounts/sallyport-controller/token';
  const kubeconfig = server.kubeconfig({ token: (await server.must('POST', account, asked)).status.token });
  const args = ['controller', '--kube', '--kubeconfig', kubeconfig, '--xds', String(await freePort()), '--status-address', '0', ...more];
  const controller = new Program(args, [process.execPath, PROGRAM]);
  await controller.says(/: ready/);
  return controller;
}

interface Asking {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
}
