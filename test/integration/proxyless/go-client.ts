/** The client of Go, built from `go/main.go`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtGoProgram } from '../../support/go-program.ts';

/** Path of its binary: half a minute, where nothing of it was ever built. Throws with Go's own words. */
export function builtGoClient(): string {
  const source = readFileSync(join(import.meta.dirname, 'go/main.go'), 'utf8');
  return builtGoProgram('proxyless', source, 'google.golang.org/grpc v1.82.0');
}

if (import.meta.main) console.log(builtGoClient());
