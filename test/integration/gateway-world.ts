/** A controller over a file with EgressPolicies, and their egress gateway: an embedded one that proves who it is, in a world where `*.localhost` is this machine. */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { requestCertificate } from '../../src/agent/ca-client.ts';
import { newKey } from '../../src/ca/certificates.ts';
import { createLocalToken } from '../../src/ca/local-tokens.ts';
import { freePort, PROGRAM, Program } from './cli/program.ts';
import { needs } from './tools.ts';

export const skip = needs('openssl', 'unshare', 'root');

const POD = `
apiVersion: v1
kind: Pod
metadata: { name: egress, namespace: istio-system, labels: { istio: egressgateway } }
spec: { serviceAccountName: egress, containers: [{ name: istio-proxy, image: proxy }] }
status: { phase: Running, podIP: 10.244.0.10, conditions: [{ type: Ready, status: "True" }] }
---`;
const NAMES = ['api.localhost', 'auth.localhost'];

export interface GatewayCall {
  readonly host?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface GatewayAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

export interface GatewayWorld {
  /** Of hosts, as EgressPolicies have it. */
  readonly port: number;
  readonly controller: Program;
  readonly gateway: Program;
  /** Replaces what the file holds beside the gateway's pod. */
  write(mesh: string): void;
  /** As the sidecar of `shop/web` sends it. */
  call(path: string, call?: GatewayCall): Promise<GatewayAnswer>;
  /** All that somebody might look at. */
  looked(): Promise<string>;
}

/**
 * @param roots PEM, in place of the system's
 * @param meshOf the file beside the gateway's pod. @param port of hosts, as EgressPolicies have it
 */
export async function gatewayWorld(t: TestContext, roots: string, meshOf: (port: number) => string): Promise<GatewayWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-gateway-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = (name: string) => join(folder, name);
  const [xds, admin, gatewayPort, status] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const write = (mesh: string) => {
    writeFileSync(at('mesh.new'), POD + mesh);
    renameSync(at('mesh.new'), at('mesh.yaml'));
  };
  write(meshOf(gatewayPort - 20_000));
  const run = (args: readonly string[], within: readonly string[] = []) => {
    const program = new Program(args, [...within, process.execPath, PROGRAM] as unknown as [string, ...string[]]);
    t.after(() => program.end());
    return program;
  };
  const ports = ['--xds', '0', '--xds-tls', `127.0.0.1:${xds}`, '--status-address', `127.0.0.1:${status}`];
  const controller = run(['controller', at('mesh.yaml'), '--ca', at('ca'), ...ports]);
  await controller.says(/: ready/);
  const tokenOf = (serviceAccount: string, namespace: string) =>
    createLocalToken({ ca: at('ca'), namespace, serviceAccount, audience: 'istio-ca', lifeMs: 3_600_000 }, Date.now());
  writeFileSync(at('token'), tokenOf('egress', 'istio-system'));
  writeFileSync(at('roots.pem'), roots);
  writeFileSync(at('hosts'), `127.0.0.1 localhost ${NAMES.join(' ')}\n`);
  const mounts = `mount --bind ${at('roots.pem')} /etc/ssl/certs/ca-certificates.crt && mount --bind ${at('hosts')} /etc/hosts && exec "$@"`;
  const mesh = at('ca/root-cert.pem');
  const who = ['--role', 'router', '--workload', 'istio-system/egress', '--service-account', 'egress', '--label', 'istio=egressgateway'];
  const from = ['--xds', `127.0.0.1:${xds}`, '--xds-ca', mesh, '--xds-token-file', at('token'), '--keep', at('kept')];
  const gateway = run(
    ['proxy', ...from, ...who, '--admin-address', `127.0.0.1:${admin}`, '--concurrency', '1'],
    ['unshare', '-m', 'sh', '-c', mounts, 'sh'],
  );
  await gateway.says(/: ready/);
  const key = newKey();
  const target = { address: '127.0.0.1', port: xds };
  const proof = { token: tokenOf('web', 'shop') };
  const { chain, roots: ca } = await requestCertificate({ target, roots: readFileSync(mesh, 'utf8'), proof, key, lifeMs: 3_600_000 });
  const own = { cert: chain, key: key.export({ type: 'pkcs8', format: 'pem' }), ca };
  const call: GatewayWorld['call'] = (path, { host = NAMES[0]!, method = 'GET', headers = {}, body } = {}) =>
    new Promise((resolve, reject) => {
      const to = {
        host: '127.0.0.1',
        port: gatewayPort,
        path,
        method,
        servername: host,
        checkServerIdentity: () => undefined,
        agent: false,
      };
      request({ ...to, ...own, headers: { host, ...headers } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode!, text, headers: response.headers }));
        response.on('error', reject);
      })
        .on('error', reject)
        .end(body);
    });
  const looked = async () => {
    const pages = ['config_dump', 'config_dump?include_eds', 'clusters', 'certs', 'stats', 'listeners'];
    const urls = [...pages.map((page) => `http://127.0.0.1:${admin}/${page}`), `http://127.0.0.1:${status}/status`];
    const texts = await Promise.all(urls.map(async (url) => (await fetch(url)).text()));
    const kept = readdirSync(at('kept'), { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
    const files = kept.map(({ parentPath, name }) => decodedIn(readFileSync(join(parentPath, name), 'utf8')));
    return [...texts, ...files, ...[controller, gateway].flatMap(({ output, errors }) => [output, errors])].join('\n');
  };
  return { port: gatewayPort - 20_000, controller, gateway, write, call, looked };
}

/** The text, and what of it is base64. */
export function decodedIn(text: string): string {
  const parts = text.match(/[A-Za-z0-9+/]{24,}={0,2}/g) ?? [];
  return [text, ...parts.map((part) => Buffer.from(part, 'base64').toString('latin1'))].join('\n');
}
