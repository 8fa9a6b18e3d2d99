/** The folder of this package's package.json: two above this file in the sources, one above a file of the build, which has all its files in one folder. */
export const PACKAGE_ROOT = new URL(import.meta.url.endsWith('.ts') ? '../../' : '../', import.meta.url);
