/**
 * The helper: the process inside the new namespaces. It sets them up, hands the listeners over, gives its privileges up and runs the command.
 * Whatever goes wrong is told, and then nothing runs.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import { hide, hideFolder, keepFolders, protectKernel } from './hidden.ts';
import { IPV4, IPV6, loopbackUp, routesOf } from './links.ts';
import { handOver, hasIpv6 } from './listeners.ts';
import { commandNamespace, mapUser, type Namespaces, type User } from './namespaces.ts';
import { dropPrivileges } from './privileges.ts';
import { type FromInside, INSIDE_LOOPBACK, INSIDE_PORTS, type InsideOptions, type ToInside } from './protocol.ts';
import { isQuiet } from './quiet.ts';
import { redirect } from './redirect.ts';
import { groupOf, OwnSignals, onSignals } from './signals.ts';
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
  keepFolders(told.keptFolders);
  for (const folder of told.hiddenFolders) hideFolder(folder);
  if (told.namespaces.root) protectKernel();
  await handOver({ ipv6, localPorts: told.localPorts, send });
  dropPrivileges();
}

function run({ words, environment }: Extract<ToInside, { kind: 'run' }>): void {
  const [program, ...rest] = commandNamespace(told.namespaces, words);
  command = spawn(program, rest, { stdio: 'inherit', env: environment });
  command.on('error', (error) => send({ kind: 'not-run', message: messageOf(error) }));
  command.on('exit', (code, signal) => send({ kind: 'ended', code, signal, quiet: isQuiet() }));
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

/**
 * What came to the whole group, as from a terminal, the command has already. For good, and before there is a command: at SIGUSR1 Node would open a port by
 * which whoever reaches it runs code here.
 */
const own = new OwnSignals(() => performance.now());
onSignals((signal) => own.had(signal));

function pass(signal: NodeJS.Signals): void {
  nextTurn(() => {
    const cameHere = own.take(signal);
    const pid = command?.pid;
    if (pid !== undefined && !(cameHere && groupOf(pid) === groupOf(process.pid))) command!.kill(signal);
  });
}

/** When what came to the group has been heard here as well: the look that found the message may have been over before the signal came. */
function nextTurn(act: () => void): void {
  setImmediate(() => setImmediate(act));
}

function end(): never {
  command?.kill('SIGKILL');
  process.exit(1);
}

// When the process outside is gone nobody answers any more; one that was killed would have been the command itself, without the sandbox.
process.on('disconnect', end);
process.on('message', (message: ToInside) => {
  if (message.kind === 'run') run(message);
  else if (message.kind === 'signal') pass(message.signal);
  else if (message.kind === 'connect') enter(message);
  else end();
});

contain().then(
  () => send({ kind: 'contained' }),
  (error: unknown) => send({ kind: 'failed', message: messageOf(error) }, undefined, () => process.exit(1)),
);
