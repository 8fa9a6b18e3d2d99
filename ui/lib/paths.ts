/** Files as people know them. */
import { state } from './store.ts';

/** The file as it is called below what is shown; of one that stands elsewhere its name. */
export function fileName(file: string): string {
  for (const path of state.value?.paths ?? []) {
    const folder = path.endsWith('/') ? path : `${path}/`;
    if (file.startsWith(folder)) return file.slice(folder.length);
  }
  return file.slice(file.lastIndexOf('/') + 1);
}
