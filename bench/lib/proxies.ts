/** The proxies that are compared: how each is started, and at which ports it does what. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findTool } from '../../test/integration/tools.ts';
import { bootstrap } from './bootstrap.ts';
import { BURDENS } from './burdens.ts';
import { haproxyProxy, nginxProxy, nginxUpstream } from './others.ts';
import { LOAD_CORE, listening, PROXY_CORE, type Running, start } from './processes.ts';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..');

export interface Ports {
  readonly http: number;
  readonly tls: number;
  /** 0 where the proxy has none. */
  readonly tcp: number;
  readonly admin: number;
  /** To an upstream of HTTP/2; 0 where the proxy has none. */
  readonly http2: number;
  /** HTTP over TLS in; 0 where the proxy has none. */
  readonly termination: number;
  /** The same without sessions to resume. */
  readonly handshakes: number;
}

/** What a proxy passes requests on to, by port. */
export interface Upstream {
  readonly http: number;
  readonly tls?: number;
  readonly http2?: number;
  /** Listeners with something more to do, from this port on, in the order of `BURDENS`. */
  readonly burdensFrom?: number;
}

export interface Contestant {
  readonly name: string;
  readonly ports: Ports;
  /** True if it is also measured as sidecar and gateway in a row. */
  readonly pairs: boolean;
  /** `role` distinguishes the processes of one contestant: their files and ports. */
  start(ports: Ports, upstream: Upstream, role: string): Running;
}

export const UPSTREAM = { http: 19_000, tls: 19_001, http2: 19_002 };

/** The package as a user has it: built from a working copy, in a folder of this name in the benchmark's own. Returns the program. */
export function buildPackage(folder: string, root = ROOT, name = 'package'): string {
  const target = join(folder, name);
  cpSync(join(root, 'bin'), join(target, 'bin'), { recursive: true });
  cpSync(join(root, 'package.json'), join(target, 'package.json'));
  if (!existsSync(join(target, 'node_modules'))) symlinkSync(join(root, 'node_modules'), join(target, 'node_modules'));
  // What it needs has to be there: it is run for the manual.
  execFileSync(process.execPath, [join(root, 'scripts/build.mjs'), join(target, 'dist')], { stdio: 'inherit' });
  return join(target, 'bin/sallyport.js');
}

/** nginx answers; it and the certificate are made in `folder`. */
export async function startUpstream(folder: string): Promise<Running> {
  const subject = ['-subj', '/CN=upstream.test', '-addext', 'subjectAltName=DNS:upstream.test'];
  const files = ['-keyout', join(folder, 'upstream.key'), '-out', join(folder, 'upstream.crt')];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', ...subject, ...files],
    {
      stdio: 'ignore',
    },
  );
  writeFileSync(
    join(folder, 'upstream.pem'),
    [readFileSync(join(folder, 'upstream.crt')), readFileSync(join(folder, 'upstream.key'))].join('\n'),
  );
  execFileSync('truncate', ['-s', '2G', join(folder, 'big')]);
  execFileSync('truncate', ['-s', '10G', join(folder, 'huge')]);
  writeFileSync(join(folder, 'upstream.conf'), nginxUpstream(folder, UPSTREAM.http, UPSTREAM.tls, UPSTREAM.http2));
  const log = join(folder, 'upstream.log');
  const running = start('upstream', LOAD_CORE, findTool('nginx')!, ['-c', join(folder, 'upstream.conf')], log);
  await listening(UPSTREAM.http, 'the upstream', log);
  return running;
}

function writeBootstrap(folder: string, name: string, ports: Ports, upstream: Upstream): string {
  const path = join(folder, `${name}.json`);
  const tls =
    upstream.tls === undefined
      ? {}
      : { tlsOriginationPort: ports.tls, upstreamTlsPort: upstream.tls, upstreamCa: join(folder, 'upstream.crt') };
  const text = bootstrap({
    httpPort: ports.http,
    ...(ports.tcp > 0 ? { tcpPort: ports.tcp } : {}),
    ...tls,
    ...(ports.termination > 0
      ? {
          termination: {
            port: ports.termination,
            handshakes: ports.handshakes,
            certificate: join(folder, 'upstream.crt'),
            key: join(folder, 'upstream.key'),
          },
        }
      : {}),
    burdens: upstream.burdensFrom === undefined ? [] : BURDENS.map((burden, i) => ({ port: upstream.burdensFrom! + i, burden })),
    ...(upstream.http2 === undefined ? {} : { http2Port: ports.http2, upstreamHttp2Port: upstream.http2 }),
    upstreamPort: upstream.http,
    adminPort: ports.admin,
    accessLog: join(folder, `${name}.access.log`),
  });
  writeFileSync(path, text);
  return path;
}

const portsFrom = (base: number): Ports => ({
  http: base,
  tls: base + 1,
  tcp: base + 2,
  admin: base + 3,
  http2: base + 4,
  termination: base + 5,
  handshakes: base + 6,
});

/** `nodeArgs` go to Node, before the program; `name` distinguishes builds of it; `more` are options of `proxy`. */
export function sallyport(
  folder: string,
  program: string,
  nodeArgs: readonly string[] = [],
  name: 'sallyport' | 'before' = 'sallyport',
  more: readonly string[] = [],
): Contestant {
  return {
    name,
    ports: portsFrom(name === 'sallyport' ? 18_000 : 18_400),
    pairs: true,
    start(ports, upstream, role) {
      const config = writeBootstrap(folder, `${name}-${role}`, ports, upstream);
      return start(
        name,
        PROXY_CORE,
        process.execPath,
        [...nodeArgs, program, 'proxy', '-c', config, '--concurrency', '1', '--status-address', '0', ...more],
        join(folder, `${name}-${role}.log`),
      );
    },
  };
}

export function envoy(folder: string, binary: string): Contestant {
  return {
    name: 'envoy',
    ports: portsFrom(18_100),
    pairs: true,
    start(ports, upstream, role) {
      const config = writeBootstrap(folder, `envoy-${role}`, ports, upstream);
      const args = ['-c', config, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning'];
      return start('envoy', PROXY_CORE, binary, args, join(folder, `envoy-${role}.log`));
    },
  };
}

export function nginx(folder: string, binary: string): Contestant {
  const ports = { ...portsFrom(18_200), tcp: 0, http2: 0 };
  return {
    name: 'nginx',
    ports,
    pairs: false,
    start(_ports, _upstream, role) {
      writeFileSync(join(folder, 'nginx.conf'), nginxProxy(folder, ports, UPSTREAM));
      return start('nginx', PROXY_CORE, binary, ['-c', join(folder, 'nginx.conf')], join(folder, `nginx-${role}.log`));
    },
  };
}

export function haproxy(folder: string, binary: string): Contestant {
  const ports = { ...portsFrom(18_300), http2: 0 };
  return {
    name: 'haproxy',
    ports,
    pairs: false,
    start(_ports, _upstream, role) {
      writeFileSync(join(folder, 'haproxy.cfg'), haproxyProxy(folder, ports, UPSTREAM));
      return start('haproxy', PROXY_CORE, binary, ['-db', '-f', join(folder, 'haproxy.cfg')], join(folder, `haproxy-${role}.log`));
    },
  };
}
