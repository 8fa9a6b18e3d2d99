/** Where the resources are written that an explanation names: xDS metadata has the file, the snapshot has the line. */
import type { Kind } from '../api/index.ts';
import type { Snapshot } from '../config/snapshot.ts';
import { isInFile } from '../lib/finding.ts';
import type { PlacedOrigin } from '../lib/origin.ts';
import type { Trace } from '../simulate/trace.ts';

/** The origin with the line at which its document begins, where the snapshot still has it. */
export function located(origin: PlacedOrigin, snapshot: Snapshot): PlacedOrigin {
  const resource = snapshot.get(origin.kind as Kind, origin.namespace, origin.name);
  if (!resource) return origin;
  const position = resource.source.position();
  // What was not read from a file is where its name says.
  if (!isInFile(position)) return origin;
  return { ...origin, file: position.file, line: position.line };
}

/** A trace whose origins have their lines. */
export function locatedTrace(trace: Trace, snapshot: Snapshot): Trace {
  const hops = trace.hops.map((hop) => ({
    ...hop,
    steps: hop.steps.map((step) => ({ ...step, origins: step.origins.map((origin) => located(origin, snapshot)) })),
  }));
  return { ...trace, hops };
}
