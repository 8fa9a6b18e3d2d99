/** Which Envoys can count Istio's metrics: by their own word, as they tell it of themselves. */
import { execFileSync } from 'node:child_process';
import { FIRST_THAT_COUNTS } from '../../xds/istio-stats.ts';

/** `envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL` */
const VERSION = /\bversion: [^/\s]+\/(\d+)\.(\d+)\.\d+/;

/** Only one that hangs takes so long, ms. */
const PATIENCE_MS = 10_000;

const known = new Map<string, boolean>();

/** False for one that does not say its version. */
export function envoyCounts(binary: string): boolean {
  let counts = known.get(binary);
  if (counts === undefined) {
    counts = isNewEnough(versionOf(binary));
    known.set(binary, counts);
  }
  return counts;
}

function versionOf(binary: string): string {
  try {
    return execFileSync(binary, ['--version'], { encoding: 'utf8', timeout: PATIENCE_MS, stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}

export function isNewEnough(text: string): boolean {
  const [, major, minor] = VERSION.exec(text) ?? [];
  return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= FIRST_THAT_COUNTS);
}
