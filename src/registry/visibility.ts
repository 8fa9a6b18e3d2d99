import type { Visibility } from './model.ts';

const PUBLIC: Visibility = new Set(['*']);

/** The visibility that an `exportTo` list states; an empty or missing one is the mesh's default, and that everyone. */
export function visibilityOf(exportTo: readonly string[] | undefined, meshDefault: readonly string[] | undefined): Visibility {
  const names = exportTo?.length ? exportTo : meshDefault;
  if (!names?.length || names.includes('*')) return PUBLIC;
  return new Set(names);
}

/** Whether a client in namespace `client` sees an object of namespace `owner`. */
export function isVisible(exportTo: Visibility, owner: string, client: string): boolean {
  if (exportTo === PUBLIC || exportTo.has('*')) return true;
  return exportTo.has(client) || (client === owner && exportTo.has('.'));
}
