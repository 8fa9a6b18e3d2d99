/** Whether a locality is one that a pattern of them means (`region/zone/subzone`): `*` at the end stands for any rest; a locality that says less covers what says more. */
export function localityMatches(pattern: string, locality: string): boolean {
  if (pattern === '*' || pattern === locality) return true;
  const wanted = pattern.split('/');
  const parts = locality.split('/');
  return wanted.every((part, i) => part === '*' || part === parts[i]);
}
