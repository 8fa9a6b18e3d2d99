/** What one entry of a Sidecar's egress hosts imports. */
export interface SidecarImport {
  /** A host, maybe a wildcard. */
  readonly host: string;
  /** Whether objects of this namespace are imported. */
  takes(namespace: string): boolean;
  /** Whether its hosts of this namespace are not, whatever other entries say. */
  excludes(namespace: string): boolean;
}

/** `namespace/host` of an egress listener; `.` is the workload's namespace (`own`), `*` any; `~namespace` takes that one's out of the others, `~` those of all. */
export function sidecarImport(text: string, own: string): SidecarImport {
  const slash = text.indexOf('/');
  const namespace = slash < 0 ? '*' : text.slice(0, slash);
  const host = text.slice(slash + 1).toLowerCase();
  const never = () => false;
  const always = () => true;
  if (namespace === '*') return { host, takes: always, excludes: never };
  if (namespace === '~') return { host, takes: never, excludes: always };
  if (namespace.startsWith('~')) return { host, takes: never, excludes: (candidate) => candidate === namespace.slice(1) };
  const wanted = namespace === '.' ? own : namespace;
  return { host, takes: (candidate) => candidate === wanted, excludes: never };
}
