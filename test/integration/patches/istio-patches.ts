/** Istio's own code for the patches of EnvoyFilters, built from `go/main.go`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ISTIO } from '../../../scripts/build-istiod.ts';
import { builtGoProgram } from '../../support/go-program.ts';

/** Path of its binary: a minute beside a built control plane, with which it shares most. Throws with Go's own words. */
export function builtIstioPatches(): string {
  const source = readFileSync(join(import.meta.dirname, 'go/main.go'), 'utf8');
  return builtGoProgram('istio-patches', source, ISTIO);
}

if (import.meta.main) console.log(builtIstioPatches());
