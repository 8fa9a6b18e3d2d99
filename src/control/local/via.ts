/** `--via`: the forward proxy that `up` and `run` leave through. */
import type { MeshConfig } from '../../api/index.ts';
import { THROUGH_DEFAULT, THROUGH_EXCEPT } from '../../api/through.ts';
import { SallyportError } from '../../lib/errors.ts';
import { plainHost } from '../../lib/hostname.ts';
import { isIp, parseRange } from '../../lib/ip.ts';
import { PROXY_ENVIRONMENT } from '../../lib/proxy-environment.ts';
import { readRegularText } from '../../lib/regular-file.ts';
import { type ForwardProxies, forwardProxyName, forwardProxyResources } from '../../policy/forward-proxy.ts';
import type { OwnWay } from '../own-way.ts';

export interface ViaOptions {
  readonly via: readonly string[];
  readonly viaExcept: readonly string[];
  readonly viaCredentials?: string;
  readonly viaCa?: string;
}

/** What is to be laid over the mesh. */
export interface Via {
  /** YAML documents. */
  readonly resources: string;
  /** The proxies themselves, which nothing may call. */
  readonly proxies: readonly { readonly host: string; readonly port: number }[];
  /** Whether credentials stand on the command line, where every process of the machine sees them. */
  readonly isTold: boolean;
  /** Beside the environment of this process: what proxies alone may read. */
  readonly environment: Readonly<Record<string, string>>;
  readonly adjust: (config: MeshConfig) => MeshConfig;
  /** The same way, for requests of this program's own. */
  readonly way: OwnWay;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Holds the credentials, for this process's proxies and nobody else. */
const VARIABLE = `${PROXY_ENVIRONMENT}AUTHORIZATION`;

/** Undefined without `--via`. @throws SallyportError `usage`, `path-not-found` */
export function viaOf({ via, viaExcept, viaCredentials, viaCa }: ViaOptions, environment: Environment): Via | undefined {
  if (via.length === 0) {
    if (viaExcept.length > 0 || viaCredentials !== undefined || viaCa !== undefined)
      throw new SallyportError('usage', '--via-except, --via-credentials and --via-ca need --via.');
    return undefined;
  }
  const named = via.includes('env') ? fromEnvironment(environment) : { urls: [], except: [] };
  const written = via.filter((each) => each !== 'env').map(proxyOf);
  const proxies = [...written, ...named.urls.map(proxyOf)];
  const [first] = proxies;
  if (proxies.some(({ secure }) => secure !== first!.secure))
    throw new SallyportError('usage', '--via: proxies that stand in for each other are all http:// or all https://.');
  const authorization = viaCredentials === undefined ? ofUrls(proxies) : readCredentials(viaCredentials);
  const except = [...viaExcept, ...named.except];
  const wrong = except.find((each) => !/^(?:\*?\.)?[a-z0-9_](?:[a-z0-9._-]*)$/i.test(each) && !parseRange(each));
  if (wrong !== undefined) throw new SallyportError('usage', `--via-except ${wrong}: it is a name, *.SUFFIX, an address or a CIDR range.`);
  const given: ForwardProxies = {
    proxies,
    tls: first!.secure ? { caCertificates: viaCa } : undefined,
    variable: authorization === undefined ? undefined : VARIABLE,
  };
  const { host, port } = forwardProxyName(given);
  return {
    way: { proxies, tls: given.tls, authorization, except: except.map((each) => each.trim().toLowerCase()) },
    resources: forwardProxyResources(given)
      .map((document) => JSON.stringify(document))
      .join('\n---\n'),
    proxies,
    isTold: written.some((each) => each.authorization !== undefined),
    environment: authorization === undefined ? {} : { [VARIABLE]: authorization },
    adjust: (config) => ({
      ...config,
      defaultConfig: {
        ...config.defaultConfig,
        proxyMetadata: { ...config.defaultConfig.proxyMetadata, [THROUGH_DEFAULT]: `${host}:${port}`, [THROUGH_EXCEPT]: except.join(',') },
      },
    }),
  };
}

/** One field's value for all of them: what is one proxy's to know is not shown to another. */
function ofUrls(proxies: readonly { readonly authorization: string | undefined }[]): string | undefined {
  const [first] = proxies;
  if (proxies.some(({ authorization }) => authorization !== first!.authorization))
    throw new SallyportError(
      'usage',
      '--via: proxies that stand in for each other have the same credentials. Write them for each, or once with --via-credentials.',
    );
  return first!.authorization;
}

const VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'] as const;

/** What the environment names and nobody follows: its variable, or undefined. */
export function unfollowed({ via }: Pick<ViaOptions, 'via'>, environment: Environment): string | undefined {
  return via.length === 0 ? VARIABLES.find((each) => environment[each]) : undefined;
}

function fromEnvironment(environment: Environment): { readonly urls: readonly string[]; readonly except: readonly string[] } {
  const name = VARIABLES.find((each) => environment[each]);
  if (!name) throw new SallyportError('usage', '--via env: neither HTTPS_PROXY, HTTP_PROXY nor ALL_PROXY is set.');
  const list = environment.NO_PROXY ?? environment.no_proxy ?? '';
  const except = list.split(',').flatMap((each) => {
    const entry = each.trim();
    if (entry === '*')
      throw new SallyportError('usage', '--via env: NO_PROXY is *, so no proxy is meant to be asked. Leave --via out, or change NO_PROXY.');
    return entry === '' ? [] : [entry];
  });
  return { urls: [environment[name]!], except };
}

function proxyOf(written: string): { host: string; port: number; secure: boolean; authorization: string | undefined } {
  // Its credentials are nobody's to read in a message.
  const shown = written.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, (_, scheme = '') => `${scheme}…@`);
  const url = URL.canParse(written) ? new URL(written) : undefined;
  const host = url && plainHost(url.hostname.replace(/^\[|\]$/g, ''));
  const hasPort = /:\d+\/?$/.test(written);
  if (
    !url ||
    !host ||
    (url.protocol !== 'http:' && url.protocol !== 'https:') ||
    url.pathname !== '/' ||
    url.search ||
    url.hash ||
    !hasPort
  )
    throw new SallyportError('usage', `--via ${shown}: write http://HOST:PORT or https://HOST:PORT.`);
  const port = Number(/:(\d+)\/?$/.exec(written)![1]);
  const secure = url.protocol === 'https:';
  if (secure && isIp(host))
    throw new SallyportError('usage', `--via ${shown}: the certificate of an https:// proxy is verified by its name. Write the name.`);
  return { host, port, secure, authorization: authorizationOf(url, shown) };
}

/** @param shown the URL without its credentials */
function authorizationOf({ username, password }: URL, shown: string): string | undefined {
  if (username === '' && password === '') return undefined;
  try {
    return basic(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
  } catch {
    throw new SallyportError('usage', `--via ${shown}: its user or password has a % that begins no escape. Write %25 for it.`);
  }
}

function readCredentials(file: string): string {
  const text = readRegularText(file).trim();
  if (/^[A-Za-z]+ \S+$/.test(text)) return text;
  if (!/^[^\s:][^\r\n:]*:[^\r\n]*$/.test(text))
    throw new SallyportError('usage', `--via-credentials ${file}: it holds neither USER:PASSWORD nor a scheme and its token.`);
  return basic(text);
}

function basic(credentials: string): string {
  return `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`;
}
