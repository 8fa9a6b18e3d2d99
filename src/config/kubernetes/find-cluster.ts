/** Which cluster is meant, and the access to it: a kubeconfig's context, or the cluster that this process runs in. */
import { join } from 'node:path';
import { messageOf, SallyportError } from '../../lib/errors.ts';
import { readRegularText } from '../../lib/regular-file.ts';
import { isLoopbackAddress } from '../../lib/socket-address.ts';
import type { ClientCertificate, ClusterAccess, Credentials, ServerTls } from './access.ts';
import { ExecCredentials, type ExecEnvironment } from './exec-credentials.ts';
import { type Kubeconfig, pick, readKubeconfig, type Section } from './kubeconfig.ts';
import { basic, bearer, FileToken, fixedCredentials, redactedText } from './static-credentials.ts';

export interface FindClusterOptions extends ExecEnvironment {
  /** A file, in place of those that `KUBECONFIG` lists and of the one in the home folder. */
  readonly kubeconfig?: string | undefined;
  /** In place of the current one. */
  readonly context?: string | undefined;
  readonly home: string;
  /** Where Kubernetes mounts a pod's service account. */
  readonly serviceAccountFolder?: string;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * As kubectl: the file that is named, those of `KUBECONFIG`, `~/.kube/config`; where there is none of them, the cluster around this process.
 * @throws SallyportError `no-cluster` where nothing says which; `kubeconfig-invalid`, `path-not-found`
 */
export function findCluster(options: FindClusterOptions): ClusterAccess {
  const { kubeconfig, environment, home, context } = options;
  const listed = (environment.KUBECONFIG ?? '').split(':').filter(Boolean);
  const files = kubeconfig !== undefined ? [kubeconfig] : listed.length > 0 ? listed : [join(home, '.kube/config')];
  const config = readKubeconfig(files, kubeconfig !== undefined);
  if (config) return accessOf(config, context, options);
  if (kubeconfig === undefined && context === undefined && environment.KUBERNETES_SERVICE_HOST) return inCluster(options);
  throw new SallyportError(
    'no-cluster',
    `there is no cluster to read: ${files.join(', ')} ${files.length === 1 ? 'names' : 'name'} none. Say --kubeconfig FILE, or set KUBECONFIG`,
  );
}

function accessOf(config: Kubeconfig, wanted: string | undefined, host: FindClusterOptions): ClusterAccess {
  const name = wanted ?? config.currentContext;
  if (name === undefined) {
    const there = [...config.contexts.keys()].join(', ');
    throw new SallyportError('no-cluster', `${config.files.join(', ')}: there is no current context: say --context with one of ${there}`);
  }
  const context = pick(config.contexts, 'context', name, config);
  const cluster = pick(config.clusters, 'cluster', context.text('cluster') ?? '', config);
  const userName = context.text('user');
  const user = userName === undefined ? undefined : pick(config.users, 'user', userName, config);
  const server = serverOf(cluster);
  if (cluster.has('proxy-url'))
    throw cluster.invalid('proxy-url is not supported: reach the API server directly, or through kubectl proxy');
  const tls = serverTls(cluster);
  const info = {
    server: server.href,
    'insecure-skip-tls-verify': tls.insecure,
    ...(tls.serverName !== undefined && { 'tls-server-name': tls.serverName }),
    ...(tls.ca !== undefined && { 'certificate-authority-data': Buffer.from(tls.ca).toString('base64') }),
  };
  const credentials = user ? credentialsOf(user, info, host) : fixedCredentials({});
  if (server.protocol === 'http:' && user && !isLocal(server))
    throw cluster.invalid(`server ${server.href} would get the credentials unencrypted: use https`);
  return {
    name,
    server,
    namespace: context.text('namespace'),
    tls,
    credentials,
    headers: user ? impersonation(user) : [],
  };
}

function serverOf(cluster: Section): URL {
  const text = cluster.text('server');
  if (text === undefined) throw cluster.invalid('names no server');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw cluster.invalid(`server ${text} is no https:// address`);
  return url;
}

function isLocal({ hostname }: URL): boolean {
  return hostname === 'localhost' || isLoopbackAddress(hostname.replaceAll(/[[\]]/g, ''));
}

function serverTls(cluster: Section): ServerTls {
  const ca = cluster.pem('certificate-authority');
  const insecure = cluster.flag('insecure-skip-tls-verify');
  if (insecure && ca !== undefined) throw cluster.invalid('has a certificate-authority beside insecure-skip-tls-verify: remove one');
  return { ca, serverName: cluster.text('tls-server-name'), insecure };
}

function credentialsOf(user: Section, cluster: Readonly<Record<string, unknown>>, host: FindClusterOptions): Credentials {
  if (user.has('auth-provider'))
    throw user.invalid('auth-provider is no longer supported by Kubernetes: use exec, as the provider of the cluster says');
  const exec = user.section('exec');
  if (exec) return new ExecCredentials(exec, cluster, host);
  const certificate = certificateOf(user);
  const file = user.path('tokenFile');
  if (file !== undefined) return new FileToken(() => user.read('tokenFile', file), certificate, host.now);
  const token = user.text('token');
  const name = user.text('username');
  const authorization = token !== undefined ? bearer(token) : name !== undefined ? basic(name, user.text('password') ?? '') : undefined;
  return fixedCredentials({ authorization, certificate });
}

function certificateOf(user: Section): ClientCertificate | undefined {
  const certificate = user.pem('client-certificate');
  const key = user.pem('client-key');
  if ((certificate === undefined) !== (key === undefined)) throw user.invalid('client-certificate and client-key need each other');
  return certificate === undefined || key === undefined ? undefined : { certificate, key: redactedText(key) };
}

/** Kubernetes' headers for requests on behalf of others. */
function impersonation(user: Section): [string, string][] {
  const as = user.text('as');
  const uid = user.text('as-uid');
  const groups = user.texts('as-groups');
  const extra = user.section('as-user-extra');
  const headers: [string, string][] = [
    ...(as !== undefined ? [['Impersonate-User', as] as [string, string]] : []),
    ...(uid !== undefined ? [['Impersonate-Uid', uid] as [string, string]] : []),
    ...groups.map((group): [string, string] => ['Impersonate-Group', group]),
    ...(extra?.entries() ?? []).flatMap(([key]) =>
      extra!.texts(key).map((value): [string, string] => [`Impersonate-Extra-${encodeURIComponent(key)}`, value]),
    ),
  ];
  if (headers.length > 0 && as === undefined) throw user.invalid('as-uid, as-groups and as-user-extra need as');
  return headers;
}

function inCluster({ environment, serviceAccountFolder = SERVICE_ACCOUNT, now }: FindClusterOptions): ClusterAccess {
  const read = (name: string) => {
    try {
      return readRegularText(join(serviceAccountFolder, name));
    } catch (cause) {
      throw new SallyportError(
        'no-cluster',
        `the service account of this pod can't be read: ${messageOf(cause)}. Has it automountServiceAccountToken: false?`,
        { cause },
      );
    }
  };
  const host = environment.KUBERNETES_SERVICE_HOST!;
  const port = environment.KUBERNETES_SERVICE_PORT ?? '443';
  const token = new FileToken(() => read('token'), undefined, now);
  return {
    name: 'in-cluster',
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    namespace: read('namespace').trim(),
    tls: { ca: read('ca.crt'), serverName: undefined, insecure: false },
    credentials: token,
    headers: [],
  };
}
