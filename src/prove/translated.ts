/** `proxy-config` over files: what one of their proxies is told. */
import { SallyportError } from '../lib/errors.ts';
import { translate } from '../translate/index.ts';
import type { XdsResources } from '../xds/resources.ts';
import type { SimulatedFiles } from './simulated.ts';

/** The xDS of the proxy of `namespace/name`, which may be left out where there is only one. Throws `no-such-workload`. */
export function translatedFor({ proxies, mesh }: SimulatedFiles, workload: string | undefined): XdsResources {
  const names = proxies.map(({ namespace, name }) => `${namespace}/${name}`);
  const index = workload === undefined ? (names.length === 1 ? 0 : -1) : names.indexOf(workload);
  const wanted = proxies[index];
  if (!wanted) {
    const problem = workload === undefined ? 'say which proxy with --workload' : `there is no workload ${workload}`;
    throw new SallyportError('no-such-workload', `${problem}; the files have ${names.join(', ')}.`);
  }
  return translate(wanted, mesh).resources;
}
