import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLES } from '../report/command-examples.ts';
import { COMMAND_NAMES, commandOf } from './main.ts';

test('help has examples that the command takes, and says of no option that nothing is its default', async () => {
  assert.deepEqual(Object.keys(EXAMPLES).sort(), COMMAND_NAMES.filter((name) => name !== 'version').sort());
  for (const [name, lines] of Object.entries(EXAMPLES)) {
    const command = await commandOf(name, []);
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    assert.doesNotMatch(help, /\(default:\s+(?:\[\]|\{|false\b)/, name);
    for (const line of lines) {
      assert.ok(help.includes(`  $ ${line}`), line);
      const words = /sallyport ([^|>)]*?)(?: -- .*)?(?:[|>)].*)?$/.exec(line)![1]!.trim().split(' ');
      assert.equal(words[0], name, line);
      const taken: string[] = [];
      const fresh = await commandOf(name, []);
      for (const one of [fresh, ...fresh.commands]) one.exitOverride().action(() => void taken.push(one.name()));
      await fresh.parseAsync(words.slice(1), { from: 'user' });
      assert.equal(taken.length, 1, line);
    }
  }
});

test('describe without files is wrong usage, not an answer', async () => {
  const command = (await commandOf('describe', [])).exitOverride();
  await assert.rejects(command.parseAsync(['host', 'www.example.com'], { from: 'user' }), { code: 'usage', message: /-f PATH/ });
});
