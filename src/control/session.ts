/** A control plane at work: the loop, what is told of it, and the analysis that follows each change. */
import type { Listener } from '../config/follow.ts';
import type { MeshInput } from '../config/mesh-source.ts';
import type { Finding } from '../lib/finding.ts';
import { sortFindings } from '../lib/finding-form.ts';
import type { Mesh } from '../translate/model.ts';
import { BackgroundAnalysis } from './analysis.ts';
import { KeyFetcher } from './jwks/key-fetcher.ts';
import { Loop, type LoopOptions } from './loop.ts';
import { News } from './news.ts';
import { refusalFindings } from './refused.ts';
import type { ControlEvent, Report } from './report.ts';

export interface SessionOptions extends Pick<LoopOptions, 'prepare' | 'fleet' | 'identities'> {
  /** Whether to find what `sallyport analyze` finds, too. */
  readonly analyse: boolean;
  readonly tell: (event: ControlEvent) => void;
}

export class Session implements Listener<MeshInput> {
  readonly #loop: Loop;
  readonly #tell: (event: ControlEvent) => void;
  readonly #news = new News();
  readonly #analysis: BackgroundAnalysis | undefined;
  /** The mesh that was told of last. */
  #told: Mesh | undefined;
  /** Of the newest mesh that was analysed. */
  #analysed: readonly Finding[] = [];

  constructor({ analyse, tell, ...options }: SessionOptions) {
    this.#tell = tell;
    this.#loop = new Loop({
      ...options,
      keys: new KeyFetcher({ changed: () => this.#keysChanged(), failed: (error) => this.failed(error) }),
      inForce: (report) => this.#inForce(report),
      found: () => this.#tellFindings(),
      ended: (proxy, error) => tell({ kind: 'ended', proxy, error }),
      notRenewed: (error) => this.failed(error),
    });
    if (!analyse) return;
    this.#analysis = new BackgroundAnalysis((findings) => {
      this.#analysed = findings;
      this.#tellFindings();
    });
  }

  /** What is in force; undefined until the first input is. */
  get report(): Report | undefined {
    const report = this.#loop.report;
    if (!report) return undefined;
    const refused = refusalFindings(report.proxies, report.mesh.snapshot);
    return { ...report, findings: sortFindings([...report.findings, ...refused, ...this.#analysed]) };
  }

  /** Resolves when the input, or a later one, is in force with every proxy; rejects as `Loop.apply`. */
  async apply(input: MeshInput): Promise<Report> {
    await this.#loop.apply(input);
    return this.report!;
  }

  /** For a source: brings what it reads into force in the order in which it is read. */
  changed(input: MeshInput): void {
    this.#loop.apply(input).catch((error: unknown) => this.failed(error));
  }

  /** Identities are others than they were. */
  renew(): void {
    this.#loop.renew();
  }

  /** For a source. */
  failed(error: unknown): void {
    this.#tell({ kind: 'failed', error });
  }

  #keysChanged(): void {
    try {
      this.#loop.renew();
    } catch (error) {
      this.failed(error);
    }
  }

  reopenLogs(): Promise<void> {
    return this.#loop.reopenLogs();
  }

  /** Running requests may finish for so many ms. */
  close(graceMs: number): Promise<void> {
    this.#analysis?.close();
    return this.#loop.close(graceMs);
  }

  #inForce({ proxies, mesh, findings }: Report): void {
    this.#tellFindings();
    const before = this.#told;
    // Other identities and other proxies are no other mesh.
    if (before?.snapshot === mesh.snapshot && before.config === mesh.config) return;
    this.#told = mesh;
    const errors = findings.filter(({ level }) => level === 'Error').length;
    if (before) this.#tell({ kind: 'in-force', proxies: proxies.length, errors });
    this.#analysis?.want(mesh);
  }

  #tellFindings(): void {
    const event = this.#news.ofFindings(this.report!.findings);
    if (event) this.#tell(event);
  }
}
