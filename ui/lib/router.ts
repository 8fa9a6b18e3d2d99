/** The page that is shown, and what it is about, stand in the fragment of the address: links lead back to a view. */
import { computed, signal } from '@preact/signals';

interface Place {
  readonly page: string;
  readonly query: URLSearchParams;
}

const place = signal(placeOf(location.hash));
addEventListener('hashchange', () => {
  place.value = placeOf(location.hash);
});

export const page = computed(() => place.value.page);

/** A parameter of the view; empty where it is not there. */
export function parameter(name: string): string {
  return place.value.query.get(name) ?? '';
}

export function linkTo(name: string, query: Readonly<Record<string, string>> = {}): string {
  const parameters = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ''));
  return `#/${name}${parameters.size > 0 ? `?${parameters}` : ''}`;
}

export function go(name: string, query: Readonly<Record<string, string>> = {}): void {
  location.hash = linkTo(name, query);
}

/** Another value of a parameter, without an entry in the history. */
export function setParameter(name: string, value: string): void {
  const query = new URLSearchParams(place.value.query);
  if (value === '') query.delete(name);
  else query.set(name, value);
  const hash = linkTo(page.value, Object.fromEntries(query));
  history.replaceState(null, '', hash);
  place.value = placeOf(hash);
}

function placeOf(hash: string): Place {
  const [name = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  return { page: name, query: new URLSearchParams(query) };
}
