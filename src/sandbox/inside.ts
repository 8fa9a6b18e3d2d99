/**
 * The helper: the process inside the new namespaces. It sets them up, hands the listeners over, gives its privileges up and runs the command.
 * Whatever goes wrong is told, and then nothing runs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import { hide, hideFolder, protectKernel } from './hidden.ts';
import { IPV4, IPV6, loopbackUp, routesOf } from './links.ts';
import { handOver, hasIpv6 } from './listeners.ts';
import { commandNamespace, mapUser, type Namespaces, type User } from './namespaces.ts';
import { dropPrivileges } from './privileges.ts';
import { type FromInside, INSIDE_LOOPBACK, INSIDE_PORTS, type InsideOptions, type ToInside } from './protocol.ts';
import { redirect } from './redirect.ts';
import { closeInherited } from './system.ts';

/** What the helper is told when it starts. */
interface Told extends InsideOptions, User {
  readonly namespaces: Namespaces;
}

const told = JSON.parse(process.argv[2]!) as Told;
const send = (message: FromInside, handle?: unknown, sent?: (error: Error | null) => void): void =>
  void process.send!(message, handle as undefined, {}, sent);

let command: ChildProcess | undefined;

async function contain(): Promise<void> {
  closeInherited();
  loopbackUp();
  const ipv6 = await hasIpv6();
  for (const family of ipv6 ? [IPV4, IPV6] : [IPV4]) {
    routesOf(family);
    redirect(family, INSIDE_PORTS);
  }
  hide(told.hidden);
  for (const folder of told.hiddenFolders) hideFolder(folder);
  if (told.namespaces.root) protectKernel();
  await handOver({ ipv6, localPorts: told.localPorts, send });
  dropPrivileges();
}

function run({ words, environment }: Extract<ToInside, { kind: 'run' }>): void {
  const [program, ...rest] = commandNamespace(told.namespaces, words);
  command = spawn(program, rest, { stdio: 'inherit', env: environment });
  command.on('error', (error) => send({ kind: 'not-run', message: messageOf(error) }));
  command.on('exit', (code, signal) => send({ kind: 'ended', code, signal }));
  const { pid } = command;
  if (pid === undefined) return;
  mapUser(pid, told, told.namespaces.root).catch((error: unknown) => {
    command!.kill('SIGKILL');
    send({ kind: 'not-run', message: messageOf(error) });
  });
}

/** Nothing is read here: whoever gets the socket does. */
function enter({ id, port }: Extract<ToInside, { kind: 'connect' }>): void {
  const socket = connect({ host: INSIDE_LOOPBACK, port, allowHalfOpen: true }).pause();
  socket.once('connect', () => send({ kind: 'connected', id }, socket));
  socket.on('error', () => send({ kind: 'connected', id }));
}

// Those of a terminal reach the command as well; what the command makes of them decides.
for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit(1));
process.on('message', (message: ToInside) => {
  if (message.kind === 'run') run(message);
  else if (message.kind === 'signal') command?.kill(message.signal);
  else if (message.kind === 'connect') enter(message);
  else {
    command?.kill('SIGKILL');
    process.exit(1);
  }
});

contain().then(
  () => send({ kind: 'contained' }),
  (error: unknown) => send({ kind: 'failed', message: messageOf(error) }, undefined, () => process.exit(1)),
);
