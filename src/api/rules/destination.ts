import type { Destination } from '../common.ts';
import { isDnsLabel, isPlainHost, type Path, portProblem, type Report, wildcardHostProblem } from './checks.ts';

/** The host, subset and port that a route names. */
export function destinationOf(destination: Destination, path: Path, report: Report): void {
  const message =
    destination.host === '*'
      ? 'a route needs one host, not "*": name it, or the suffix that a ServiceEntry declares ("*.com")'
      : wildcardHostProblem(destination.host);
  if (message) report({ path: [...path, 'host'], message });
  if (destination.subset && !isDnsLabel(destination.subset))
    report({ path: [...path, 'subset'], message: `"${destination.subset}" is no name of a subset` });
  const port = destination.port && portProblem(destination.port.number);
  if (port) report({ path: [...path, 'port', 'number'], message: port });
}

/** Whether `destinationOf` has nothing to say for sure: of most destinations this is all that is asked. */
export function isFine({ host, subset, port }: Destination): boolean {
  return isPlainHost(host) && !subset && (port === undefined || portProblem(port.number) === undefined);
}
