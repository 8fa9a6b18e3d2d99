/** Our annotation of ServiceEntries that binds calls to their destination, and the mesh's default for it. */
import type { Metadata } from './resource.ts';

/** `off`, `audit` or `enforce`: what becomes of calls whose names, addresses and ports do not agree on one destination. */
export const BIND = 'sallyport.dev/bind';

/** In MeshConfig's `defaultConfig.proxyMetadata`: the mode of ServiceEntries without the annotation. */
export const BIND_DEFAULT = 'SALLYPORT_BIND';

export const BIND_MODES = ['off', 'audit', 'enforce'] as const;
export type BindMode = (typeof BIND_MODES)[number];

/** Of MeshConfig. */
interface BindingConfig {
  readonly defaultConfig?: { readonly proxyMetadata?: Readonly<Record<string, string>> | undefined } | undefined;
}

/** Without either: off, as in Istio. What is no mode closes. */
export function bindMode({ annotations }: Pick<Metadata, 'annotations'>, { defaultConfig }: BindingConfig): BindMode {
  const written = annotations[BIND] ?? defaultConfig?.proxyMetadata?.[BIND_DEFAULT];
  if (written === undefined || written === '') return 'off';
  return isBindMode(written) ? written : 'enforce';
}

export function isBindMode(text: string): text is BindMode {
  return (BIND_MODES as readonly string[]).includes(text);
}
