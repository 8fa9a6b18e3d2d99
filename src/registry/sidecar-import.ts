/** What one entry of a Sidecar's egress hosts imports. */
export interface SidecarImport {
  /** A host, maybe a wildcard. */
  readonly host: string;
  /** Whether objects of this namespace are imported. */
  takes(namespace: string): boolean;
}

/** `namespace/host` of an egress listener; `.` is the workload's namespace (`own`), `*` any, `~` none. */
export function sidecarImport(text: string, own: string): SidecarImport {
  const slash = text.indexOf('/');
  const namespace = slash < 0 ? '*' : text.slice(0, slash);
  const host = text.slice(slash + 1).toLowerCase();
  if (namespace === '*') return { host, takes: () => true };
  const wanted = namespace === '.' ? own : namespace;
  return { host, takes: (candidate) => candidate === wanted };
}
