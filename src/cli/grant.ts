/** `sallyport grant`: allows a host for a time, and ends that again. */
import { userInfo } from 'node:os';
import { Command } from 'commander';
import { addGrant, type Grant, readGrants, revokeGrant } from '../control/grants/grants-file.ts';
import { listed, rowText } from '../control/grants/list.ts';
import { type Taken, tellOfGrants } from '../control/grants/tell.ts';
import { grantsFile } from '../control/grants/where.ts';
import { SallyportError } from '../lib/errors.ts';
import { hostPort, type SocketAddress } from '../lib/socket-address.ts';
import { parseAllowed } from '../policy/allow.ts';
import { EXIT } from './exit.ts';
import { addressOption, choiceOption, durationOption } from './options.ts';
import { print, printData } from './print.ts';
import { say } from './say.ts';

interface GrantOptions {
  readonly for?: number;
  readonly reason?: string;
  readonly namespace: string;
  readonly list?: boolean;
  readonly revoke?: string;
  readonly file?: string;
  readonly statusAddress: SocketAddress;
  readonly output: 'text' | 'json';
}

export function grantCommand(): Command {
  return new Command('grant')
    .summary('allow a host for a time: sallyport grant HOST --for 1h --reason TEXT')
    .description(
      'Allows HOST for a time to what sallyport up or run carries with --grants, and records who, why and until when. It ends by itself, also if the clock is set ' +
        'back. A grant is an EgressPolicy: it adds to what the files allow and cannot say another way for a host that they name.',
    )
    .argument('[host]', 'HOST (80 and 443), HOST:PORT, *.SUFFIX:PORT or tcp://HOST:PORT')
    .option('--for <duration>', 'how long, e.g. 30m or 1h; 720h at most', durationOption)
    .option('--reason <text>', 'why; whoever looks at the list reads it')
    .option('--namespace <name>', 'whose workloads may call', 'default')
    .option('--list', 'show the grants')
    .option('--revoke <id>', 'end a grant now')
    .option('--file <file>', "where grants are kept; by default in this user's private folder")
    .addOption(addressOption('--status-address <address:port>', 'of the up that is to take it at once', '127.0.0.1:15021'))
    .option('-o, --output <format>', 'of the list: text or json', choiceOption('text', 'json'), 'text')
    .action(async (host: string | undefined, options: GrantOptions) => {
      process.exitCode = await act(host, options, options.file ?? grantsFile());
    });
}

async function act(host: string | undefined, options: GrantOptions, file: string): Promise<number> {
  const { list, revoke } = options;
  if ([host !== undefined, list === true, revoke !== undefined].filter(Boolean).length !== 1)
    throw new SallyportError('usage', 'name a host to allow, or say --list, or --revoke ID');
  if (list) return show(readGrants(file), file, options);
  if (revoke !== undefined) {
    await revokeGrant(file, revoke);
    say(`revoked ${revoke}`);
    return taken(options.statusAddress, file, revoke);
  }
  if (options.for === undefined || !options.reason?.trim())
    throw new SallyportError('usage', 'a grant needs an end and a reason: --for 1h --reason "why"');
  const grant = await addGrant(
    file,
    {
      allowed: parseAllowed(host!),
      namespace: options.namespace,
      by: userInfo().username,
      reason: options.reason.trim(),
      forMs: options.for,
    },
    Date.now(),
  );
  say(`granted ${grant.hosts.join(', ')} to namespace ${grant.namespace} until ${grant.until}: ${grant.id}`);
  return taken(options.statusAddress, file, grant.id);
}

async function show(grants: readonly Grant[], file: string, { output, statusAddress: at }: GrantOptions): Promise<number> {
  const { rows, unknown } = await listed(grants, file, at, Date.now());
  if (output === 'json') printData(`${JSON.stringify(rows, undefined, 2)}\n`);
  else print(rows.map((row) => `${rowText(row)}\n`).join(''));
  if (unknown) sayUnknown(unknown, at, 'whether they are in force is not known');
  return EXIT.fine;
}

async function taken(at: SocketAddress, file: string, id: string): Promise<number> {
  const become = (await tellOfGrants(at, file))(id);
  if (become.kind === 'not-in-force') say(`it is not in force: ${become.why}`);
  sayUnknown(become, at, 'what runs with --grants takes it within a second or when it starts');
  return become.kind === 'not-in-force' ? EXIT.findings : EXIT.fine;
}

function sayUnknown({ kind }: Taken, { address, port }: SocketAddress, then: string): void {
  if (kind === 'nobody-there') say(`no sallyport up answers at ${hostPort(address, port)}: ${then}`);
  if (kind === 'other') say(`the sallyport up at ${hostPort(address, port)} does not follow this file (--grants): ${then}`);
}
