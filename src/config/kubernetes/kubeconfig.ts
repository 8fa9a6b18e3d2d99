/** Kubeconfig files: which cluster, and as whom (kubectl's rules, `client-go/tools/clientcmd`). */
import { dirname, isAbsolute, join } from 'node:path';
import { isMapping } from '../../api/decode.ts';
import { parseYaml } from '../../api/yaml/parse.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import { readRegularText } from '../../lib/regular-file.ts';
import { closest } from '../../lib/spelling.ts';

/** A mapping of a kubeconfig, and where it stands. */
export class Section {
  readonly file: string;
  /** What it is, for messages: `user alice`. */
  readonly title: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(file: string, title: string, values: Readonly<Record<string, unknown>>) {
    this.file = file;
    this.title = title;
    this.#values = values;
  }

  has(name: string): boolean {
    const value = this.#values[name];
    return value !== undefined && value !== null && value !== '';
  }

  /** Undefined where it is absent or empty. @throws SallyportError `kubeconfig-invalid` */
  text(name: string): string | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#values[name];
    if (typeof value !== 'string') throw this.invalid(`${name} must be a string`);
    return value;
  }

  flag(name: string): boolean {
    if (!this.has(name)) return false;
    const value = this.#values[name];
    if (typeof value !== 'boolean') throw this.invalid(`${name} must be true or false`);
    return value;
  }

  texts(name: string): readonly string[] {
    if (!this.has(name)) return [];
    const value = this.#values[name];
    if (!Array.isArray(value) || !value.every((each) => typeof each === 'string')) throw this.invalid(`${name} must be a list of strings`);
    return value as string[];
  }

  section(name: string): Section | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#values[name];
    if (!isMapping(value)) throw this.invalid(`${name} must be a mapping`);
    return new Section(this.file, `${this.title}, ${name}`, value);
  }

  sections(name: string): readonly Section[] {
    if (!this.has(name)) return [];
    const value = this.#values[name];
    if (!Array.isArray(value) || !value.every(isMapping)) throw this.invalid(`${name} must be a list of mappings`);
    return value.map((each) => new Section(this.file, `${this.title}, ${name}`, each));
  }

  /** The same under another title. */
  titled(title: string): Section {
    return new Section(this.file, title, this.#values);
  }

  /** What stands under each key. */
  entries(): readonly (readonly [string, unknown])[] {
    return Object.entries(this.#values);
  }

  /** A path, from the file's folder on. */
  path(name: string): string | undefined {
    const path = this.text(name);
    return path === undefined || isAbsolute(path) ? path : join(dirname(this.file), path);
  }

  /** PEM from `NAME-data` (base64), else from the file that `NAME` names. */
  pem(name: string): string | undefined {
    const data = this.text(`${name}-data`);
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    const path = this.path(name);
    return path === undefined ? undefined : this.read(name, path);
  }

  /** @throws SallyportError `kubeconfig-invalid` */
  read(name: string, path: string): string {
    try {
      return readRegularText(path);
    } catch (cause) {
      throw this.invalid(`${name}: ${path} can't be read: ${messageOf(cause)}`, cause);
    }
  }

  invalid(what: string, cause?: unknown): SallyportError {
    return new SallyportError('kubeconfig-invalid', `${this.file}: ${this.title}: ${what}`, { cause });
  }
}

/** What the files say together. */
export interface Kubeconfig {
  readonly files: readonly string[];
  readonly currentContext: string | undefined;
  readonly contexts: ReadonlyMap<string, Section>;
  readonly clusters: ReadonlyMap<string, Section>;
  readonly users: ReadonlyMap<string, Section>;
}

/**
 * Reads files of which the first that says something counts. Undefined if none of them exists, or none says anything.
 * @param strict whether each has to exist
 * @throws SallyportError `kubeconfig-invalid`, `path-not-found`
 */
export function readKubeconfig(files: readonly string[], strict: boolean): Kubeconfig | undefined {
  const sections = files.flatMap((file) => readFile(file, strict) ?? []);
  const named = (list: string, member: string) => {
    const found = new Map<string, Section>();
    for (const section of sections) {
      for (const each of section.sections(list)) {
        const name = each.text('name');
        if (name === undefined) throw each.invalid('has no name');
        if (!found.has(name)) found.set(name, each.section(member) ?? new Section(each.file, `${member} ${name}`, {}));
      }
    }
    return new Map([...found].map(([name, section]) => [name, section.titled(`${member} ${name}`)]));
  };
  const config = {
    files,
    currentContext: sections.map((section) => section.text('current-context')).find((name) => name !== undefined),
    contexts: named('contexts', 'context'),
    clusters: named('clusters', 'cluster'),
    users: named('users', 'user'),
  };
  return config.contexts.size > 0 || config.clusters.size > 0 ? config : undefined;
}

function readFile(file: string, strict: boolean): Section | undefined {
  let text: string;
  try {
    text = readRegularText(file);
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT' && !strict) return undefined;
    const code = codeOf(cause) === 'ENOENT' ? 'path-not-found' : 'kubeconfig-invalid';
    throw new SallyportError(code, `the kubeconfig ${file} can't be read: ${messageOf(cause)}`, { cause });
  }
  const parsed = parseYaml(text);
  if ('problem' in parsed) throw new SallyportError('kubeconfig-invalid', `${file} is no YAML: ${parsed.problem}`);
  if (parsed.value === null || parsed.value === undefined) return undefined;
  if (!isMapping(parsed.value)) throw new SallyportError('kubeconfig-invalid', `${file} is no kubeconfig: it holds no mapping`);
  return new Section(file, 'kubeconfig', parsed.value);
}

/** One of the named things, or an error that says which there are. @throws SallyportError `kubeconfig-invalid` */
export function pick(sections: ReadonlyMap<string, Section>, what: string, name: string, { files }: Kubeconfig): Section {
  const found = sections.get(name);
  if (found) return found;
  const near = closest(name, [...sections.keys()]);
  const others = near ? `did you mean ${near}?` : sections.size > 0 ? `there is ${[...sections.keys()].join(', ')}` : 'there is none';
  throw new SallyportError('kubeconfig-invalid', `${files.join(', ')}: there is no ${what} ${name}; ${others}`);
}
