/**
 * Loaded into a proxy's process and each of its threads (`--import`): puts it into a pod of the loopback network. What the process binds, dials and sees of
 * addresses is the lab's, what the kernel sees is loopback; the redirect rules of a pod are a listener that knows the original destination.
 * The product itself runs unchanged.
 */
import fs from 'node:fs';
import module from 'node:module';
import net from 'node:net';
import { openByNodeSockets } from '../../support/node-sockets.ts';
import { type Address, AddressMap, CAPTURE_PORT, podNumber } from './addresses.ts';
import { ORIGINAL_DESTINATION } from './original-dst.ts';
import { BLACKHOLE_IP, PODS, podsOf, SERVICES } from './topology.ts';

interface Settings {
  readonly pod: string;
  readonly octet: number;
  /** Paths as the product names them, and what they are really. */
  readonly files: Readonly<Record<string, string>>;
}

const settings: Settings = JSON.parse(process.env.LOOPBACK_POD!);
const pod = PODS.find((each) => each.name === settings.pod)!;
const self = podNumber(pod.ip);
const map = new AddressMap(settings.octet);
/** The local address of a redirected connection: what the rule made of the original destination. */
const REDIRECTED_TO = Symbol('loopback.redirectedTo');

interface Patched extends net.Socket {
  readonly _handle: { [ORIGINAL_DESTINATION]?: Address; [REDIRECTED_TO]?: Address };
}

interface Seen {
  address?: string;
  port?: number;
}

/** What Node has a TCP connection in, with or without a socket around it. */
interface Handle {
  [REDIRECTED_TO]?: Address;
  getsockname(seen: Seen): number;
  getpeername(seen: Seen): number;
}

/** What a Service's address stands for: its first pod, as kube-proxy would choose in a lab with one pod each. */
function throughService({ ip, port }: Address): Address | 'refused' {
  const service = SERVICES.find((each) => each.clusterIp === ip);
  if (service === undefined) return { ip, port };
  const found = service.ports.find((each) => each.port === port);
  return found === undefined ? 'refused' : { ip: podsOf(service)[0]!.ip, port: found.targetPort };
}

// --- what the process dials ---

openByNodeSockets();
const connect = net.Socket.prototype.connect as (this: net.Socket, ...args: unknown[]) => net.Socket;
net.Socket.prototype.connect = function patched(this: net.Socket, ...args: unknown[]) {
  const [options, callback] = (
    net as unknown as { _normalizeArgs(args: unknown[]): [Record<string, unknown>, (() => void) | null] }
  )._normalizeArgs(Array.isArray(args[0]) ? (args[0] as unknown[]) : args);
  const dialled = { ip: String(options.host ?? '127.0.0.1'), port: Number(options.port) };
  if (options.path !== undefined || net.isIP(dialled.ip) !== 4) return connect.call(this, options, callback);
  if (dialled.ip === BLACKHOLE_IP) {
    Object.assign(this, { connecting: true });
    return this;
  }
  const target = throughService(dialled);
  const toItself = target !== 'refused' && target.ip === pod.ip;
  // From the pod to itself: what comes from 127.0.0.6 is for the application, all else for the pod's own inbound side.
  const forApplication = (toItself && options.localAddress === '127.0.0.6') || dialled.ip === '127.0.0.1';
  const real = target === 'refused' ? undefined : map.real(forApplication ? { ip: '127.0.0.1', port: target.port } : target, self);
  const source = map.real({ ip: (options.localAddress as string | undefined) ?? (forApplication ? '127.0.0.1' : pod.ip), port: 0 }, self);
  // An address that is not there refuses: port 1 of this network's own loopback.
  const { ip, port } = real ?? { ip: `127.${settings.octet}.0.1`, port: 1 };
  return connect.call(this, { ...options, host: ip, port, ...(source === undefined ? {} : { localAddress: source.ip }) }, callback);
} as typeof net.Socket.prototype.connect;

// --- what it sees of addresses ---

process.noDeprecation = true;
const { TCP } = (process as unknown as { binding(name: string): { TCP: { prototype: Handle } } }).binding('tcp_wrap');
for (const method of ['getsockname', 'getpeername'] as const) {
  const original = TCP.prototype[method];
  TCP.prototype[method] = function patched(this: Handle, seen: Seen): number {
    const failed = original.call(this, seen);
    if (failed !== 0 || seen.address === undefined) return failed;
    const redirected = method === 'getsockname' ? this[REDIRECTED_TO] : undefined;
    const lab = redirected ?? map.lab({ ip: seen.address, port: seen.port! });
    if (lab !== undefined) Object.assign(seen, { address: lab.ip, port: lab.port });
    return failed;
  };
}

// --- what it binds ---

const listen = net.Server.prototype.listen as (this: net.Server, ...args: unknown[]) => net.Server;
net.Server.prototype.listen = function patched(this: net.Server, ...args: unknown[]) {
  const [options, callback] = (
    net as unknown as { _normalizeArgs(args: unknown[]): [Record<string, unknown>, (() => void) | null] }
  )._normalizeArgs(args);
  if (options.port === undefined || options.fd !== undefined) return listen.apply(this, args);
  const wanted = { ip: String(options.host ?? '0.0.0.0'), port: Number(options.port) };
  const everywhere = wanted.ip === '0.0.0.0' || wanted.ip === '::';
  const real = map.real(everywhere ? { ip: pod.ip, port: wanted.port } : wanted, self);
  if (real === undefined) return listen.apply(this, args);
  if (pod.kind === 'sidecar' && everywhere && (wanted.port === 15_001 || wanted.port === 15_006)) redirectTo(this, wanted.port, options);
  return listen.call(this, { ...options, host: real.ip, port: real.port, ipv6Only: false }, callback);
} as typeof net.Server.prototype.listen;

/** The pod's redirect rules: what reaches the ports that a rule would redirect is handed to the product's own server. */
function redirectTo(server: net.Server, port: number, options: Record<string, unknown>): void {
  const redirects = port === 15_001 ? [CAPTURE_PORT] : pod.appPorts;
  for (const each of redirects) {
    const { allowHalfOpen, pauseOnConnect, noDelay } = server as unknown as Record<string, boolean>;
    const front = net.createServer({ allowHalfOpen, noDelay, pauseOnConnect: pauseOnConnect && port === 15_006 }, (socket) => {
      if (port === 15_006) hand(socket, { ip: pod.ip, port: each });
      else askDestination(socket, pauseOnConnect === true);
    });
    const real = map.real({ ip: pod.ip, port: each }, self)!;
    listen.call(front, { host: real.ip, port: real.port, reusePort: options.reusePort });
    front.on('error', (error) => {
      throw error;
    });
    server.on('close', () => front.close());
  }

  function hand(socket: net.Socket, destination: Address): void {
    // On the handle: it outlives the socket where the product wraps it anew.
    const { _handle } = socket as Patched;
    _handle[ORIGINAL_DESTINATION] = destination;
    _handle[REDIRECTED_TO] = { ip: pod.ip, port };
    server.emit('connection', socket);
  }

  function askDestination(socket: net.Socket, stayPaused: boolean): void {
    socket.on('error', () => {});
    socket.once('data', (line: Buffer) => {
      socket.pause();
      socket.removeAllListeners('error');
      // The client waits for this byte before it sends anything of its own.
      socket.write('.', () => {
        if (!stayPaused) (socket as unknown as { _readableState: { flowing: boolean | null } })._readableState.flowing = null;
        hand(socket, JSON.parse(line.toString()) as Address);
      });
    });
  }
}

// SO_ORIGINAL_DST is the kernel's word on a redirect; here the redirect is ours.
const substitute = new URL('original-dst.ts', import.meta.url).href;
// Its source is replaced, not its address: the product resolves its own modules by itself.
module.registerHooks({
  load(url, context, next) {
    if (!url.endsWith('/src/proxy/listener/original-dst.ts')) return next(url, context);
    return { format: 'module', source: `export * from ${JSON.stringify(substitute)};`, shortCircuit: true };
  },
});

// --- the files of the pod ---

const overlay = (path: unknown) => (typeof path === 'string' ? (settings.files[path] ?? path) : path);
type AnyFunction = (...args: unknown[]) => unknown;
function overlayFirst(target: object, names: readonly string[]): void {
  const functions = target as Record<string, AnyFunction>;
  for (const name of names) {
    const original = functions[name]!;
    functions[name] = function patched(this: unknown, path: unknown, ...rest: unknown[]) {
      return original.call(this, overlay(path), ...rest);
    };
  }
}
overlayFirst(fs, ['readFileSync', 'readFile', 'statSync', 'stat', 'existsSync', 'openSync', 'open', 'watch', 'watchFile', 'accessSync']);
overlayFirst(fs.promises, ['readFile', 'stat', 'open', 'access']);
module.syncBuiltinESMExports();
