/** `sallyport lsp`: the language server. */
import { Command } from 'commander';
import { productVersion } from '../lib/version.ts';
import { EXIT } from './exit.ts';

export function lspCommand(): Command {
  return new Command('lsp')
    .summary('language server for editors')
    .description(
      'Speaks the Language Server Protocol over stdin and stdout: findings as you type, completion, descriptions, definitions, mends. An editor starts it (docs/editors.md).',
    )
    .option('--stdio', 'taken as editors give it: there is no other way', false)
    .action(async () => {
      const { serveEditor } = await import('../lsp/index.ts');
      const tookLeave = await serveEditor(process.stdin, process.stdout, productVersion());
      // What waits (a pause before the next check) is of no use to anybody any more.
      process.stdout.end(() => process.exit(tookLeave ? EXIT.fine : EXIT.findings));
    });
}
