/** Maps are merged, everything else is replaced: a case's MeshConfig over the one of all cases. */
export function merged(base: object, overrides: object): object {
  const out: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overrides)) {
    const inner = out[key];
    out[key] = isMap(inner) && isMap(value) ? merged(inner, value) : value;
  }
  return out;
}

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
