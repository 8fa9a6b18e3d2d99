import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXAMPLES } from '../report/command-examples.ts';
import { COMMAND_NAMES, commandOf, listedCommands } from './main.ts';

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

test('the help lists every command once, under a heading', async () => {
  const listed = await listedCommands([]);
  assert.deepEqual(listed.map((command) => command.name()).sort(), [...COMMAND_NAMES].sort());
  for (const command of listed) {
    assert.notEqual(command.helpGroup(), '');
    assert.match(command.summary(), /^(?:[a-z]|Istio|JSON)/, command.name());
    assert.doesNotMatch(command.summary(), /\.$/, command.name());
  }
});

test('an error of usage says where what to run, files and revisions stand', async () => {
  const said = async (name: string, words: string[]) => {
    let text = '';
    const command = (await commandOf(name, [])).exitOverride().configureOutput({ writeErr: (part) => (text += part) });
    await command.parseAsync(words, { from: 'user' }).catch((error: Error) => (text += error.message));
    return text;
  };
  assert.match(await said('run', ['curl', '-sS', 'http://www.example.com/']), /what to run stands after --/);
  assert.match(await said('describe', ['host', 'www.example.com', 'mesh/']), /--help/);
  assert.match(await said('explain', ['http://www.example.com/', 'mesh/']), /name files with -f PATH/);
});

test('describe without files is wrong usage, not an answer', async () => {
  const command = (await commandOf('describe', [])).exitOverride();
  await assert.rejects(command.parseAsync(['host', 'www.example.com'], { from: 'user' }), { code: 'usage', message: /-f PATH/ });
});
