/**
 * Shortens start-up: relative imports between this package's own modules say exactly which file they mean, so they need none of the look-ups (real path,
 * `package.json` of each folder on the way) that node does for each module: some hundred of a build, three hundred of the sources.
 */
import * as nodeModule from 'node:module';

/** Holds for the modules of this thread that are imported from now on. Does nothing where node has no such hooks. */
export function quickenResolution(): void {
  const root = new URL(import.meta.url.endsWith('.ts') ? '../' : './', import.meta.url).href;
  nodeModule.registerHooks?.({
    resolve(specifier, context, next) {
      const own = specifier.startsWith('.') && context.parentURL?.startsWith(root);
      if (!own) return next(specifier, context);
      const url = new URL(specifier, context.parentURL).href;
      return { url, format: url.endsWith('.ts') ? 'module-typescript' : 'module', shortCircuit: true };
    },
  });
}
