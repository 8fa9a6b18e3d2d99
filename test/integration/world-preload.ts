/**
 * Loaded into `sallyport up` by world.ts: names and addresses of the outside lead to servers of the test, and what the product binds on 127.0.0.1
 * gets a loopback address of its own, so that several meshes can stand on one machine. The product itself runs unchanged.
 */
import fs from 'node:fs';
import module from 'node:module';
import net from 'node:net';
import { openByNodeSockets } from '../support/node-sockets.ts';

interface World {
  /** In place of 127.0.0.1. */
  readonly loopback: string;
  /** Path of the file in place of /etc/hosts. */
  readonly hosts: string;
  /** `address:port` and the port of 127.0.0.1 where its server really is. */
  readonly servers: Readonly<Record<string, number>>;
}

const world: World = JSON.parse(process.env.SALLYPORT_TEST_WORLD!);

type AnyFunction = (this: unknown, ...args: unknown[]) => unknown;
type Options = Record<string, unknown>;
const normalize = (net as unknown as { _normalizeArgs(args: unknown[]): [Options, (() => void) | null] })._normalizeArgs;

openByNodeSockets();
const connect = net.Socket.prototype.connect as AnyFunction;
net.Socket.prototype.connect = function patched(this: net.Socket, ...args: unknown[]) {
  const [options, callback] = normalize(Array.isArray(args[0]) ? (args[0] as unknown[]) : args);
  const port = world.servers[`${options.host}:${options.port}`];
  if (port !== undefined) return connect.call(this, { ...options, host: '127.0.0.1', port }, callback);
  return connect.call(this, options, callback);
} as typeof net.Socket.prototype.connect;

const listen = net.Server.prototype.listen as AnyFunction;
net.Server.prototype.listen = function patched(this: net.Server, ...args: unknown[]) {
  const [options, callback] = normalize(args);
  return listen.call(this, options.host === '127.0.0.1' ? { ...options, host: world.loopback } : options, callback);
} as typeof net.Server.prototype.listen;

const functions = fs as unknown as Record<string, AnyFunction>;
for (const name of ['readFileSync', 'statSync']) {
  const original = functions[name]!;
  functions[name] = function patched(this: unknown, path: unknown, ...rest: unknown[]) {
    return original.call(this, path === '/etc/hosts' ? world.hosts : path, ...rest);
  };
}
module.syncBuiltinESMExports();
