/** Figures of repeated runs: the median, with the least and the most, and the ratio to Envoy's. */

export interface Figure {
  readonly scenario: string;
  readonly contestant: string;
  readonly unit: string;
  /** More is better, or less. */
  readonly better: 'more' | 'less';
  readonly samples: number[];
}

/** What our median is to be: at least (more is better) or at most (less is better) so many times another, or under a bound. */
export interface Target {
  readonly scenario: string;
  readonly unit: string;
  readonly ratio?: number;
  /** Whose median it is compared with; Envoy's unless said otherwise. */
  readonly to?: 'envoy' | 'haproxy';
  /** Of which scenario; the same unless said otherwise, else it is our own. */
  readonly without?: string;
  readonly bound?: number;
}

/** Values by what they are of, in the order in which these came first. */
export class Samples {
  readonly #byKey = new Map<string, number[]>();

  add(key: string, value: number): void {
    this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), value]);
  }

  /** A line each: least, median and most. */
  print(): void {
    for (const [key, found] of this.#byKey)
      console.log(`${key}: ${[Math.min(...found), median(found), Math.max(...found)].map((value) => value.toFixed(2)).join(' / ')}`);
  }
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A figure as the JSON file has it. */
export interface Summary extends Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly ratioToEnvoy: number | undefined;
}

export class Report {
  readonly figures: Figure[] = [];

  add(scenario: string, contestant: string, unit: string, better: 'more' | 'less', sample: number): void {
    let figure = this.#find(scenario, contestant, unit);
    if (figure === undefined) {
      figure = { scenario, contestant, unit, better, samples: [] };
      this.figures.push(figure);
    }
    figure.samples.push(sample);
  }

  #find(scenario: string, contestant: string, unit: string): Figure | undefined {
    return this.figures.find((each) => each.scenario === scenario && each.contestant === contestant && each.unit === unit);
  }

  /** A median over Envoy's; undefined where one of them was not measured. */
  ratio(scenario: string, unit: string, contestant = 'sallyport'): number | undefined {
    const [ours, theirs] = [contestant, 'envoy'].map((name) => this.#find(scenario, name, unit));
    return ours === undefined || theirs === undefined ? undefined : median(ours.samples) / median(theirs.samples);
  }

  /** For the JSON file. */
  summary(): Summary[] {
    return this.figures.map((figure) => ({
      ...figure,
      median: median(figure.samples),
      min: Math.min(...figure.samples),
      max: Math.max(...figure.samples),
      ratioToEnvoy: figure.contestant === 'envoy' ? undefined : this.ratio(figure.scenario, figure.unit, figure.contestant),
    }));
  }

  table(): string {
    const rows = [['scenario', 'proxy', 'unit', 'median', 'min', 'max', 'ratio to envoy']];
    for (const { scenario, contestant, unit, samples } of this.figures) {
      const ratio = this.ratio(scenario, unit, contestant)?.toFixed(2) ?? '';
      rows.push([scenario, contestant, unit, ...[median(samples), Math.min(...samples), Math.max(...samples)].map(shown), ratio]);
    }
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    return rows
      .map((row) => row.map((cell, column) => (column < 3 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  '))
      .join('\n');
  }

  /** One line for each target of what was measured: reached or missed. */
  targets(targets: readonly Target[]): string {
    return targets.flatMap((target) => this.#verdict(target) ?? []).join('\n');
  }

  #verdict({ scenario, unit, ratio, to = 'envoy', without, bound }: Target): string | undefined {
    const ours = this.#find(scenario, 'sallyport', unit);
    const theirs = without === undefined ? this.#find(scenario, to, unit) : this.#find(without, 'sallyport', unit);
    const value = ours && (bound !== undefined ? median(ours.samples) : theirs && median(ours.samples) / median(theirs.samples));
    if (value === undefined) return undefined;
    const more = ours?.better === 'more';
    const wanted = bound ?? ratio!;
    const state = (more ? value >= wanted : value <= wanted) ? 'reached' : 'MISSED';
    const what = bound === undefined ? `${more ? 'at least' : 'at most'} ${shown(wanted)} x ${without ?? to}` : `under ${wanted} ${unit}`;
    return `${state.padEnd(7)}  ${scenario}, ${unit}: ${what}; measured ${shown(value)}`;
  }
}

function shown(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2);
}
