import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { Command } from 'commander';
import { needs } from '../../test/integration/tools.ts';
import { bashScript, fishScript, zshScript } from '../report/completion.ts';
import { completed } from './completion.ts';
import { choiceOption } from './options.ts';

const COMMANDS = [
  new Command('explain')
    .summary("where a call goes: hop by hop, and the resource's line")
    .option('-f, --file <path>', 'files [repeatable]')
    .option('-o, --output <format>', 'text or json', choiceOption('text', 'json'), 'text')
    .option('--watch', 'follow'),
  new Command('proxy-config').alias('pc').addCommand(new Command('routes').summary('its routes').option('--name <x>', 'one')),
].map(completed);

/** What bash offers for the last word. */
function offered(...words: string[]): string[] {
  const script = `${bashScript(COMMANDS)}
COMP_WORDS=(sallyport "$@"); COMP_CWORD=$#; _sallyport; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8', cwd: import.meta.dirname })
    .split('\n')
    .filter(Boolean);
}

test('bash: commands, then options, subcommands and paths', { skip: needs('bash') }, () => {
  assert.deepEqual(offered(''), ['explain', 'proxy-config', 'pc']);
  assert.deepEqual(offered('ex'), ['explain']);
  assert.deepEqual(offered('explain', '--'), ['--file', '--output', '--watch', '--help']);
  assert.deepEqual(
    offered('explain', '-f', 'completion.t'),
    ['completion.test.ts', 'completion.ts'].sort().filter((name) => name.startsWith('completion.t')),
  );
  assert.deepEqual(offered('explain', '-o', ''), ['text', 'json']);
  assert.deepEqual(offered('explain', '-f', 'x', '--output', 'j'), ['json']);
  assert.deepEqual(offered('pc', 'ro'), ['routes']);
  assert.deepEqual(offered('proxy-config', 'routes', '--n'), ['--name']);
});

test('zsh: what is special to it is taken out of descriptions', () => {
  const script = zshScript(COMMANDS);
  assert.match(script, /^#compdef sallyport\n/);
  assert.ok(script.includes(String.raw`'explain:where a call goes: hop by hop, and the resource'\''s line'`));
  assert.ok(script.includes(`'*--file[files  repeatable ]:value:_files'`));
  assert.ok(script.includes(`'*--watch[follow]' `));
  assert.ok(script.includes(`'*--output[text or json]:value:(text json)'`));
  assert.ok(script.includes(`proxy-config|pc)`) && script.includes(`'*:command:(routes)'`));
});

test('fish: options that take a value require one', () => {
  const lines = fishScript(COMMANDS).split('\n');
  assert.ok(lines.includes(`complete -c sallyport -n '__fish_seen_subcommand_from explain' -l file -s f -r -d 'files [repeatable]'`));
  assert.ok(
    lines.includes(`complete -c sallyport -n '__fish_seen_subcommand_from explain' -l output -s o -x -a 'text json' -d 'text or json'`),
  );
  assert.ok(lines.includes(`complete -c sallyport -n '__fish_seen_subcommand_from explain' -l watch -d 'follow'`));
  assert.ok(lines.includes(`complete -c sallyport -n __fish_use_subcommand -f -a pc -d ''`));
});
