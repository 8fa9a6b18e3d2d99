// A command's build as one file, beside the code that V8 made of it in a start: other than in what Node keeps of a module, functions that a start calls are in it.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Script } from 'node:vm';

/**
 * The script of a file of CommonJS. V8 takes compiled code of its own version and flags, and of the text only knows the length: the build writes both.
 * @param {string} file
 * @param {Buffer} [cachedData] the compiled code
 */
export function scriptOf(file, cachedData) {
  const source = `(function (exports, require, module) {${readFileSync(file, 'latin1')}\n})`;
  return new Script(source, { filename: file, ...(cachedData ? { cachedData } : {}) });
}

/**
 * What the file exports.
 * @param {Script} script
 * @param {string} file
 */
export function exportsOf(script, file) {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module);
  return module.exports;
}

/**
 * What the file exports, or undefined where it has no compiled code that this Node takes: without that one large file is slower than many small ones.
 * @param {string} file
 */
export function compiled(file) {
  let code;
  try {
    code = readFileSync(`${file}.cache`);
  } catch {
    return undefined;
  }
  const script = scriptOf(file, code);
  return script.cachedDataRejected ? undefined : exportsOf(script, file);
}
