import type { Destination } from '../common.ts';
import { isDnsLabel, type Path, portProblem, type Report, wildcardHostProblem } from './checks.ts';

/** The host, subset and port that a route names. */
export function destinationOf(destination: Destination, path: Path, report: Report): void {
  const message = destination.host === '*' ? 'a route needs one host, not "*"' : wildcardHostProblem(destination.host);
  if (message) report({ path: [...path, 'host'], message });
  if (destination.subset && !isDnsLabel(destination.subset))
    report({ path: [...path, 'subset'], message: `"${destination.subset}" is no name of a subset` });
  const port = destination.port && portProblem(destination.port.number);
  if (port) report({ path: [...path, 'port', 'number'], message: port });
}
