/** What is asked of the server and shown when it comes. */
import { signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { ask, isAborted } from './api.ts';

export type Asked<T> =
  | { readonly kind: 'asking' }
  | { readonly kind: 'answered'; readonly answer: T }
  | { readonly kind: 'failed'; readonly message: string };

/** Asks anew when path or query are others, or `version` is; undefined asks nothing. While only the version is another, the last answer stays. */
export function useAsked<T>(
  path: string | undefined,
  query: Readonly<Record<string, string | undefined>> = {},
  version: unknown = '',
): Asked<T> {
  const key = JSON.stringify([path, query]);
  const kept = useMemo(() => signal<{ readonly key: string; readonly asked: Asked<T> }>({ key: '', asked: ASKING }), []);
  useEffect(() => {
    if (path === undefined) return undefined;
    const gone = new AbortController();
    ask<T>(path, query, gone.signal).then(
      (answer) => {
        kept.value = { key, asked: { kind: 'answered', answer } };
      },
      (error: unknown) => {
        if (!isAborted(error)) kept.value = { key, asked: { kind: 'failed', message: (error as Error).message } };
      },
    );
    return () => gone.abort();
  }, [key, version]);
  return kept.value.key === key ? kept.value.asked : ASKING;
}

const ASKING = { kind: 'asking' } as const;
