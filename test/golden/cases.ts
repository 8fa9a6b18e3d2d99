/** The golden cases of this folder. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { meshFromText, type TestMesh } from '../support/mesh.ts';

export interface Golden {
  readonly name: string;
  readonly folder: string;
  readonly about: string;
  /** Overrides of MeshConfig. */
  readonly mesh?: Record<string, unknown>;
  /** Names of pods of the input. */
  readonly proxies: readonly string[];
  /** Parts of the output; all where absent. */
  readonly show?: readonly string[];
  /** Regular expression on the names of listeners, routes, clusters, endpoints and secrets. */
  readonly only?: string;
}

const HERE = import.meta.dirname;

export const GOLDENS: readonly Golden[] = readdirSync(HERE)
  .filter((name) => existsSync(join(HERE, name, 'case.yaml')))
  .sort()
  .map((name) => {
    const folder = join(HERE, name);
    return { ...(parse(readFileSync(join(folder, 'case.yaml'), 'utf8')) as Omit<Golden, 'name' | 'folder'>), name, folder };
  });

export function meshOf({ folder, mesh }: Golden): TestMesh {
  const read = (file: string) => readFileSync(file, 'utf8');
  return meshFromText({ 'base.yaml': read(join(HERE, 'base.yaml')), 'in.yaml': read(join(folder, 'in.yaml')) }, mesh);
}
