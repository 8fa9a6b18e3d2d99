// Copies the generated xDS code into dist/: it is JavaScript already.
import { cpSync } from 'node:fs';

cpSync(new URL('../src/xds/gen', import.meta.url), new URL('../dist/xds/gen', import.meta.url), { recursive: true });
