/** What `up` and `proxy --role` have in common: resources from files, brought into force as they change, until a signal ends it. */

import { once } from 'node:events';
import { paintFor } from '../cli/colours.ts';
import { EXIT } from '../cli/exit.ts';
import { findingJson, findingText, lineReader, sortFindings } from '../cli/findings.ts';
import type { MeshFiles, MeshInput } from '../config/mesh-source.ts';
import { messageOf } from '../lib/errors.ts';
import type { Finding } from '../lib/finding.ts';
import { originText } from '../lib/origin.ts';
import { collectWhenIdle } from '../proxy/idle-memory.ts';
import type { ControlPlane, Report } from './control-plane.ts';

export interface SessionOptions {
  readonly files: MeshFiles;
  readonly controlPlane: ControlPlane;
  /** Changes what the files say before it is brought into force; `up` adds its local workloads. */
  readonly prepare: (input: MeshInput) => { readonly input: MeshInput; readonly findings: readonly Finding[] };
  /** Settles when an engine ended by itself. */
  readonly failed: Promise<Error>;
  readonly graceMs: number;
  /** Whether to report what `sallyport analyze` says, too. */
  readonly analyse: boolean;
}

/** A running session. */
export class Session {
  /** What is in force; undefined until the first configuration is. */
  report: Report | undefined;
  readonly #options: SessionOptions;
  readonly #told = new Map<string, string>();
  #refused: ReadonlySet<string> = new Set();
  readonly #paint = paintFor(process.stderr);

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Brings what the files say now into force. */
  async apply(input: MeshInput): Promise<Report> {
    const { input: prepared, findings } = this.#options.prepare(input);
    const applied = await this.#options.controlPlane.apply(prepared);
    const analysed = this.#options.analyse ? await analysisOf(applied) : [];
    const report = { ...applied, findings: sortFindings([...applied.findings, ...prepared.findings, ...findings, ...analysed]) };
    this.report = report;
    this.#tell(report);
    return report;
  }

  /** Reads the files again, whether or not they are being watched. */
  async reload(): Promise<Report> {
    return this.apply(await this.#options.files.reload());
  }

  /** Follows the files until a signal or a failure; drains, and returns the exit code. */
  async run(): Promise<number> {
    const { files, controlPlane, failed, graceMs } = this.#options;
    collectWhenIdle();
    files.watch((input) => {
      this.apply(input).catch((error: unknown) => say(`this change could not be brought into force: ${messageOf(error)}`));
    });
    const reload = () => void this.reload().catch((error: unknown) => say(`reload: ${messageOf(error)}`));
    process.on('SIGHUP', reload);
    const signal = Promise.race(['SIGTERM', 'SIGINT'].map((name) => once(process, name).then(() => name)));
    const end = await Promise.race([signal, failed]);
    process.off('SIGHUP', reload);
    files.close();
    if (typeof end !== 'string') {
      say(messageOf(end));
      await controlPlane.close(0);
      return EXIT.couldNotRun;
    }
    say('draining: running requests may finish; a second signal ends them');
    const again = Promise.race(['SIGTERM', 'SIGINT'].map((name) => once(process, name))).then(() => process.exit(EXIT.couldNotRun));
    await Promise.race([controlPlane.close(graceMs), again]);
    return EXIT.fine;
  }

  /** Prints what is new, and which findings are gone. */
  #tell(report: Report): void {
    const now = new Map(report.findings.map((finding) => [JSON.stringify(findingJson(finding)), finding]));
    const readLine = lineReader();
    for (const [key, finding] of now) {
      if (!this.#told.has(key)) process.stderr.write(findingText(finding, this.#paint, readLine));
    }
    for (const [key, title] of this.#told) {
      if (!now.has(key)) process.stderr.write(`${this.#paint('green', 'mended')} ${title}\n`);
    }
    this.#told.clear();
    for (const [key, { code, origin }] of now) this.#told.set(key, `[${code}] ${originText(origin)}`);
    const refused = report.proxies.flatMap(({ identity: { type, namespace, name }, refusals }) =>
      refusals.map(({ resource, message }) => `${type} ${namespace}/${name}: ${resource}: ${message}`),
    );
    for (const line of refused) if (!this.#refused.has(line)) say(line);
    this.#refused = new Set(refused);
  }
}

/** NetworkPolicies and the injection of sidecars: they mean nothing on one machine. */
const CLUSTER_ONLY = ['SP1023', 'IST0102', 'IST0103', 'IST0146', 'IST0147', 'IST0148', 'IST0158'];

/** After the configuration is in force: traffic does not wait for it. */
async function analysisOf({ mesh: { snapshot, registry, config } }: Report): Promise<Finding[]> {
  const { analyze } = await import('../analysis/index.ts');
  return analyze({ snapshot, registry, mesh: config, now: Date.now() }, { suppress: CLUSTER_ONLY.map((code) => `${code}=*`) });
}

export function say(text: string): void {
  process.stderr.write(`sallyport: ${text}\n`);
}
