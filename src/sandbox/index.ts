/**
 * A command that reaches what the policy allows and nothing else, whether it cooperates or not; without root, Docker or a cluster. In this order:
 *
 * 1. `namespaces.ts`: a helper starts in a user, a network and a mount namespace of its own;
 * 2. `links.ts`: in there is a loopback device, and TCP and DNS to any address are delivered to it; nothing else has a route;
 * 3. `redirect.ts`: such traffic ends at listeners of the helper's, and the kernel keeps where it was going;
 * 4. `hidden.ts`: unix sockets of services that would call on the command's behalf lead nowhere;
 * 5. `listeners.ts`: the listeners are handed to the process outside, whose proxy accepts on them and decides;
 * 6. `privileges.ts`: the helper gives up what would let it, or what it starts, make other sockets;
 * 7. `namespaces.ts` again: the command starts in a user namespace below, without capabilities over what was set up.
 *
 * `inside.ts` is the helper, this file what starts it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { HandedSockets, SocketHandle } from '../lib/contained.ts';
import { SallyportError } from '../lib/errors.ts';
import { openPrivateFolder } from '../lib/private-folder.ts';
import { socketsOf } from './hidden.ts';
import { helperNamespaces } from './namespaces.ts';
import { pauseBelow } from './pause.ts';
import { type FromInside, INSIDE_LOOPBACK, INSIDE_PORTS, type Role, type ToInside } from './protocol.ts';
import { isQuiet } from './quiet.ts';
import { exitCodeOf, onSignals } from './signals.ts';

export { INSIDE_LOOPBACK, INSIDE_PORTS } from './protocol.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface SandboxOptions {
  readonly environment: Environment;
  /** Hide sockets of container engines and key agents, too. */
  readonly strict: boolean;
  /** Paths of unix sockets that stay. */
  readonly allowedSockets: readonly string[];
  /** Ports inside at which services of the machine are to be. */
  readonly localPorts: readonly number[];
  /** Folders that the command is to find empty. */
  readonly hiddenFolders?: readonly string[];
  /** Folders in which nothing can be written. */
  readonly keptFolders?: readonly string[];
}

export interface Ended {
  /** The command's exit code. */
  readonly code: number;
  /** Unless somebody has accepted on the sandbox's sockets, nobody was called. */
  readonly quiet: boolean;
}

export interface Sandbox {
  /** The sockets inside that whoever opened the sandbox answers on. */
  readonly sockets: HandedSockets;
  /** Those of the ports for services of the machine. */
  readonly local: readonly { readonly port: number; readonly handle: SocketHandle }[];
  /** Unix sockets inside by which a command gets out, if it wants. */
  readonly open: readonly string[];
  /** Resolves when the command has ended. Rejects with `command-failed`. @param environment all of it */
  run(words: readonly string[], environment: Environment): Promise<Ended>;
  /** As `Ended.quiet`, of now. */
  isQuiet(): boolean;
  /** A connection to a port inside. Rejects if nothing listens there. */
  connect(port: number): Promise<Socket>;
  /** Stops the command and what it has started; what is returned has it go on. */
  pause(): () => void;
  /** Ends the command and the helper. */
  kill(): void;
}

/** Beside this module in the sources and in the build. */
const HELPER = new URL(import.meta.url.endsWith('.ts') ? './inside.ts' : './sandbox-helper.js', import.meta.url);

/** Rejects with `sandbox-unavailable`. */
export async function openSandbox({
  environment,
  strict,
  allowedSockets,
  localPorts,
  hiddenFolders = [],
  keptFolders = [],
}: SandboxOptions): Promise<Sandbox> {
  const uid = process.getuid?.() ?? 0;
  const namespaces = helperNamespaces(environment.PATH ?? '');
  const { hidden, open } = socketsOf({ environment, uid, strict, allowed: allowedSockets });
  const told = {
    hidden,
    hiddenFolders: [...privateFolderIfAny(), ...hiddenFolders],
    keptFolders,
    localPorts,
    uid,
    gid: process.getgid?.() ?? 0,
    namespaces,
  };
  const rest = [...namespaces.options, '--', process.execPath, fileURLToPath(HELPER), JSON.stringify(told)];
  const helper = spawn(namespaces.unshare, rest, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // What changes how Node starts is meant for the command.
    env: { PATH: environment.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE },
  });
  const handed = await contained(helper);
  return {
    sockets: handedSockets(handed),
    local: handed.filter(({ role }) => role === 'local'),
    open,
    connect: entrance(helper),
    run: (words, all) => running(helper, words, all),
    isQuiet: () => isQuiet(`/proc/${helper.pid}/net`),
    pause: () => pauseBelow(helper.pid!),
    kill: () => {
      if (helper.connected) helper.send({ kind: 'end' } satisfies ToInside);
    },
  };
}

/** A folder that is not there yet, and cannot be made, is nobody's to put a socket into. */
function privateFolderIfAny(): string[] {
  try {
    return [openPrivateFolder()];
  } catch {
    return [];
  }
}

interface Handed {
  readonly role: Role;
  readonly address: string;
  readonly port: number;
  readonly handle: SocketHandle;
}

function handedSockets(handed: readonly Handed[]): HandedSockets {
  const of = (role: Role) => handed.filter((one) => one.role === role);
  const handles = (role: Role) => of(role).map(({ handle }) => handle);
  return {
    listeners: {
      [`${INSIDE_LOOPBACK}:${INSIDE_PORTS.capture}`]: handles('capture'),
      [`${INSIDE_LOOPBACK}:${INSIDE_PORTS.proxy}`]: handles('proxy'),
    },
    dnsUdp: of('dns-udp').map(({ handle, address }) => ({ handle, family: address.includes(':') ? 'udp6' : 'udp4' })),
    dnsTcp: handles('dns-tcp'),
  };
}

function contained(helper: ChildProcess): Promise<readonly Handed[]> {
  const listeners: Handed[] = [];
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new SallyportError('sandbox-unavailable', `the command cannot be contained: ${why}`));
    helper.once('error', (error) => fail(error.message));
    helper.once('exit', () => fail('the helper ended'));
    helper.on('message', (message: FromInside, handle: unknown) => {
      if (message.kind === 'listener')
        listeners.push({ role: message.role, address: message.address, port: message.port, handle: handle as SocketHandle });
      else if (message.kind === 'failed') fail(message.message);
      else if (message.kind === 'contained') resolve(listeners);
    });
  });
}

function entrance(helper: ChildProcess): (port: number) => Promise<Socket> {
  const waiting = new Map<number, (socket: Socket | undefined) => void>();
  let ids = 0;
  helper.on('message', (message: FromInside, socket: unknown) => {
    if (message.kind !== 'connected') return;
    waiting.get(message.id)?.(socket as Socket | undefined);
    waiting.delete(message.id);
  });
  return (port) =>
    new Promise((resolve, reject) => {
      const refused = () => reject(new SallyportError('not-reached', `nothing listens on port ${port} inside`));
      if (!helper.connected) {
        refused();
        return;
      }
      const id = ++ids;
      waiting.set(id, (socket) => (socket ? resolve(socket) : refused()));
      helper.send({ kind: 'connect', id, port } satisfies ToInside);
    });
}

function running(helper: ChildProcess, words: readonly string[], environment: Environment): Promise<Ended> {
  const tell = (message: ToInside) => void helper.send(message);
  const stop = onSignals((signal) => tell({ kind: 'signal', signal }));
  const failed = (why: string) => new SallyportError('command-failed', `cannot run ${words[0]}: ${why}`);
  return new Promise<Ended>((resolve, reject) => {
    helper.on('message', (message: FromInside) => {
      if (message.kind === 'ended') resolve({ code: message.code ?? exitCodeOf(message.signal), quiet: message.quiet });
      else if (message.kind === 'not-run') reject(failed(message.message));
    });
    helper.once('exit', () => reject(failed('the helper inside ended before it')));
    tell({ kind: 'run', words, environment });
  }).finally(() => {
    stop();
    if (helper.connected) helper.disconnect();
  });
}
