/** The options that say which forward proxy `up` and `run` leave through. */
import type { Command } from 'commander';
import { repeatable } from './options.ts';

export function addViaOptions(command: Command): Command {
  return command
    .option(
      '--via <url>',
      'leave through this forward proxy and no other way: http://HOST:PORT or https://HOST:PORT, by CONNECT; env: as HTTPS_PROXY and NO_PROXY say (repeatable: others stand in for one that is down)',
      repeatable,
      [],
    )
    .option('--via-except <host>', 'a name, *.SUFFIX, address or CIDR range that is reached directly (repeatable)', repeatable, [])
    .option('--via-credentials <file>', 'a file with USER:PASSWORD, or with a scheme and its token, e.g. Bearer TOKEN')
    .option('--via-ca <file>', 'the roots that sign the certificate of an https:// proxy, PEM; without it the system’s');
}
