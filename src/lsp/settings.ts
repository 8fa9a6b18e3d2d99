/** What an editor says when it starts the server: the folders, and `initializationOptions`. */
import { isAbsolute, join } from 'node:path';
import { filePath, listOf, type Params, paramsOf } from './params.ts';
import type { WorkspaceSettings } from './workspace.ts';

/** The folders' paths. */
export function foldersOf(params: Params): string[] {
  const uris = listOf(params.workspaceFolders).map((folder) => paramsOf(folder).uri);
  const all = uris.length > 0 ? uris : [params.rootUri];
  return all.flatMap((uri) => (typeof uri === 'string' ? (filePath(uri) ?? []) : []));
}

/** The settings, and what of them can't be taken. */
export function settingsOf(
  options: unknown,
  folders: readonly string[],
): { readonly settings: WorkspaceSettings; readonly problems: readonly string[] } {
  const problems: string[] = [];
  const given = paramsOf(options);
  const read = <T>(name: string, fallback: T, isRight: (value: unknown) => boolean, what: string): T => {
    const value = given[name];
    if (value === undefined || value === null) return fallback;
    if (isRight(value)) return value as T;
    problems.push(`the setting ${name} is not ${what}`);
    return fallback;
  };
  const isText = (value: unknown) => typeof value === 'string' && value !== '';
  const meshConfig = read<string | undefined>('meshConfig', undefined, isText, 'a path');
  const [first = ''] = folders;
  const settings = {
    configurations: read<readonly string[]>(
      'configurations',
      [],
      (value) => Array.isArray(value) && value.length <= 1000 && value.every(isText),
      'a list of paths',
    ),
    meshConfig: meshConfig === undefined || isAbsolute(meshConfig) ? meshConfig : join(first, meshConfig),
    namespace: read('namespace', 'default', isText, 'a name'),
    hints: read('hints', false, (value) => typeof value === 'boolean', 'true or false'),
  };
  return { settings, problems };
}
