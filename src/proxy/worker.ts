/** Entry of a worker thread. Small, so that the rest is loaded with quick resolution. */
import { quickenResolution } from '../lib/quick-resolve.ts';

quickenResolution();
await import('./worker-main.ts');
