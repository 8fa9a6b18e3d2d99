/** The rate limit service that Envoy's project gives out, built from `go/main.go`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtGoProgram } from '../../support/go-program.ts';

/** Path of its binary. Throws with Go's own words. */
export function builtRateLimitService(): string {
  const source = readFileSync(join(import.meta.dirname, 'go/main.go'), 'utf8');
  return builtGoProgram('ratelimit', source, 'github.com/envoyproxy/ratelimit v1.4.1-0.20260122083618-3fb702589d36');
}

if (import.meta.main) console.log(builtRateLimitService());
