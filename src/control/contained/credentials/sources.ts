/** Where the values of credentials come from: a file, a variable, a command, a token endpoint. Each is asked at every call, and remembers what holds still. */
import { statSync } from 'node:fs';
import { DEFAULT_TTL_MS, MOST_BYTES, type Reader, type Source, type Value, valueOf } from '../../../lib/credential-value.ts';
import { codeOf, messageOf } from '../../../lib/errors.ts';
import { readRegularFile } from '../../../lib/regular-file.ts';
import type { Injection } from '../../../policy/injection.ts';
import { commandSource } from './command.ts';
import { oauth2Source } from './oauth2.ts';
import type { SourceOptions } from './options.ts';
import { keysReader } from './signing-keys.ts';

export function sourceOf({ from, keys }: Pick<Injection, 'from' | 'keys'>, options: SourceOptions): Source {
  const { command, ttl, oauth2 } = from;
  const read = keys ? keysReader(keys.accessKeyId) : valueOf;
  if (oauth2) return oauth2Source(oauth2, stillSource(oauth2.clientSecret, options, valueOf), options);
  return command.length > 0 ? commandSource(command, ttl ?? DEFAULT_TTL_MS, options, read) : stillSource(from, options, read);
}

type Still = Pick<Injection['from'], 'file' | 'environment'>;

/** What is asked for at once: of a file, or else of a variable. */
function stillSource({ file, environment: variable = '' }: Still, { environment }: SourceOptions, read: Reader): Source {
  if (file !== undefined) return fileSource(file, read);
  const value = variableValue(variable, environment[variable], read);
  return (done) => done(value);
}

function variableValue(name: string, text: string | undefined, read: Reader): Value {
  return text === undefined ? { problem: `the variable ${name} is not set` } : read(text, `the variable ${name}`);
}

/** Read anew when the file is another one, or has changed: a stat of a call costs microseconds. A file that is gone closes at once. */
function fileSource(path: string, read: Reader): Source {
  let known: { readonly mark: string; readonly value: Value } | undefined;
  return (done) => {
    try {
      const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
      const mark = `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      if (known?.mark !== mark) {
        if (size > MOST_BYTES) throw new Error(`it has more than ${MOST_BYTES} bytes`);
        known = { mark, value: read(readRegularFile(path).toString('utf8'), `the file ${path}`) };
      }
      done(known.value);
    } catch (error) {
      known = undefined;
      done({ problem: `the file ${path} cannot be read: ${codeOf(error) ?? messageOf(error)}` });
    }
  };
}
