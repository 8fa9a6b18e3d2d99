/** `sallyport audit verify`: whether an audit is whole, from its files alone. */
import { Command, InvalidArgumentError } from 'commander';
import type { Head } from '../audit/chain/verify.ts';
import { readPublicKey } from '../audit/signer.ts';
import { verifyFolder } from '../audit/verify-folder.ts';
import { auditText } from '../report/audit.ts';
import { EXIT } from './exit.ts';
import { choiceOption, countOption, repeatable } from './options.ts';
import { print, printData } from './print.ts';

interface VerifyOptions {
  readonly key: readonly string[];
  readonly from: number;
  readonly expect?: Head;
  readonly open?: boolean;
  readonly output: 'text' | 'json';
}

export function auditCommand(): Command {
  const command = new Command('audit').summary('whether an audit is whole').description('What up, run and proxy write with --audit.');
  command
    .command('verify')
    .description(
      'Reads FOLDER and says whether a line was changed, removed, put in or moved, a segment is missing, or the end is cut off. Needs nothing but the files, and with ' +
        '--key says who signed. Exit code 1 where something is wrong, or the chain does not end with the signature that closes it (--open for one that is still written, or whose process was killed).',
    )
    .argument('<folder>')
    .option(
      '--key <file>',
      'public key that may have signed, PEM (repeatable); without it those that the audit names itself, which proves nothing of who wrote it',
      repeatable,
      [],
    )
    .option('--from <segment>', 'the first segment that is to be there: those before are kept elsewhere', countOption, 1)
    .option(
      '--expect <seq:hash>',
      'a line that was acknowledged, as /status of the running process gave it: the end before it is not cut off',
      headOption,
    )
    .option('--open', 'the chain need not be closed')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .action((folder: string, options: VerifyOptions) => {
      process.exitCode = verify(folder, options);
    });
  return command;
}

function verify(folder: string, { key, from, expect, open = false, output }: VerifyOptions): number {
  const keys = key.length === 0 ? undefined : key.map(readPublicKey);
  const verdict = verifyFolder(folder, { keys, from: Math.max(1, from), expect });
  const fine = verdict.problems.length === 0 && (verdict.ended || open);
  if (output === 'json') printData(`${JSON.stringify({ fine, vouched: keys !== undefined, ...verdict }, undefined, 2)}\n`);
  else print(auditText(verdict, { fine, open, vouched: keys !== undefined }));
  return fine ? EXIT.fine : EXIT.findings;
}

function headOption(text: string): Head {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (!match) throw new InvalidArgumentError('it is SEQ:HASH, as "acknowledged" in /status.');
  return { seq: Number(match[1]), hash: match[2]! };
}
