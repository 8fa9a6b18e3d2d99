/**
 * `node bench/analysis.ts [--only analyze,explain,verify,sidecars] [--repeats 5] [--services 1000,3000,10000] [--out FILE]`: what the commands cost that answer a
 * question over files, start-up included: time, CPU time (all threads, user and system) and the most memory, and how they grow with the configuration.
 *
 * Runs of different sizes take turns. On a machine with other work the CPU time is the steadier figure, and the least of several.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { egressConfig, sidecarConfig } from './lib/egress-config.ts';
import { buildPackage } from './lib/proxies.ts';
import { median, Report, type Target } from './lib/report.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'analyze,explain,verify,sidecars' },
    repeats: { type: 'string', default: '5' },
    services: { type: 'string', default: '1000,3000,10000' },
    out: { type: 'string' },
  },
});

/** Written on descriptor 3 at the end: what the process used. */
const MEASURE = `data:text/javascript,${encodeURIComponent(
  "import { writeSync } from 'node:fs'; process.on('exit', () => writeSync(3, JSON.stringify(process.resourceUsage())));",
)}`;

interface Run {
  readonly scenario: string;
  readonly args: readonly string[];
}

const EXAMPLE = fileURLToPath(new URL('../examples/egress-http', import.meta.url));

const TARGETS: readonly Target[] = [
  { scenario: 'analyze 1000 services', unit: 's', bound: 0.6 },
  { scenario: 'analyze 3000 services', unit: 's', bound: 1.2 },
  { scenario: 'analyze 10000 services', unit: 's', bound: 3.5 },
  { scenario: 'explain an example', unit: 's', bound: 0.3 },
  { scenario: 'verify 1000 services, 100 workloads', unit: 's', bound: 5 },
  { scenario: 'verify 1000 services, 500 Sidecars', unit: 's', bound: 20 },
  { scenario: 'analyze 10000 services', unit: 'MiB', bound: 1024 },
  { scenario: 'verify 1000 services, 100 workloads', unit: 'MiB', bound: 1024 },
  { scenario: 'verify 1000 services, 500 Sidecars', unit: 'MiB', bound: 1024 },
];

const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const entry = buildPackage(folder);
const sizes = options.services.split(',').map(Number);
const report = new Report();
const runs = planned(new Set(options.only.split(',')));
// Once unmeasured: the compiled code of modules is kept from then on, as it is for a user.
for (const { args } of runs) await measured(args);
for (let i = 0; i < Number(options.repeats); i++) {
  for (const { scenario, args } of runs) {
    const { seconds, cpu, memory } = await measured(args);
    report.add(scenario, 'sallyport', 's', 'less', seconds);
    report.add(scenario, 'sallyport', 'CPU s', 'less', cpu);
    report.add(scenario, 'sallyport', 'MiB', 'less', memory);
  }
}
const measuredScenarios = new Set(runs.map(({ scenario }) => scenario));
console.log(`\n${report.table()}\n\n${growth()}\n\n${report.targets(TARGETS.filter(({ scenario }) => measuredScenarios.has(scenario)))}`);
write();

function planned(only: ReadonlySet<string>): Run[] {
  const all: Run[] = [];
  if (only.has('analyze')) {
    all.push({ scenario: 'analyze an example', args: ['analyze', EXAMPLE] });
    for (const services of sizes) {
      const path = written(`analyze-${services}`, egressConfig(services));
      all.push({ scenario: `analyze ${services} services`, args: ['analyze', path] });
    }
  }
  if (only.has('explain')) {
    all.push({ scenario: 'explain an example', args: ['explain', '-f', EXAMPLE, 'GET', 'http://www.example.com/'] });
    const path = written('explain', egressConfig(1000));
    all.push({ scenario: 'explain over 1000 services', args: ['explain', '-f', path, 'GET', 'http://svc-5.ext.example.com/'] });
  }
  if (only.has('verify')) {
    const path = written('verify', egressConfig(1000, 100));
    all.push({ scenario: 'verify 1000 services, 100 workloads', args: ['verify', path] });
  }
  if (only.has('sidecars')) {
    const path = written('sidecars', sidecarConfig(1000, 500, 20));
    all.push({ scenario: 'verify 1000 services, 500 Sidecars', args: ['verify', path] });
  }
  return all;
}

function written(name: string, files: readonly string[]): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const [i, content] of files.entries()) writeFileSync(join(path, `config-${String(i).padStart(3, '0')}.yaml`), content);
  return path;
}

/** Runs the program once. Findings and refusals are answers; anything else ends the benchmark. */
async function measured(args: readonly string[]): Promise<{ seconds: number; cpu: number; memory: number }> {
  const started = performance.now();
  const child = spawn(process.execPath, ['--import', MEASURE, entry, ...args], { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  const [errors, usage, [code]] = await Promise.all([
    text(child.stderr!),
    text(child.stdio[3] as NodeJS.ReadableStream),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  const seconds = (performance.now() - started) / 1000;
  if (code !== 0 && code !== 1) throw new Error(`sallyport ${args.join(' ')} ended with ${code}: ${errors}`);
  const { userCPUTime, systemCPUTime, maxRSS } = JSON.parse(usage) as NodeJS.ResourceUsage;
  return { seconds, cpu: (userCPUTime + systemCPUTime) / 1e6, memory: maxRSS / 1024 };
}

/** Of the CPU time beyond that of an example, for each service, from size to size: equal figures are growth in proportion. */
function growth(): string {
  const least = (scenario: string) => {
    const figure = report.figures.find((each) => each.scenario === scenario && each.unit === 'CPU s');
    return figure && Math.min(...figure.samples);
  };
  const base = least('analyze an example');
  if (base === undefined) return '';
  const lines = sizes.map((services) => {
    const cpu = least(`analyze ${services} services`)!;
    return `analyze: ${services} services take ${((1e6 * (cpu - base)) / services).toFixed(0)} µs of CPU time each, beyond the ${(1000 * base).toFixed(0)} ms of any run`;
  });
  return lines.join('\n');
}

function write(): void {
  const out =
    options.out ??
    join(dirname(fileURLToPath(import.meta.url)), 'results', `analysis-${new Date().toISOString().replaceAll(':', '-')}.json`);
  mkdirSync(dirname(out), { recursive: true });
  const machine = { cpu: cpus()[0]!.model, cores: cpus().length, node: process.version };
  const figures = report.figures.map((figure) => ({
    ...figure,
    median: median(figure.samples),
    min: Math.min(...figure.samples),
    max: Math.max(...figure.samples),
  }));
  writeFileSync(out, `${JSON.stringify({ date: new Date().toISOString(), machine, figures }, undefined, 1)}\n`);
  console.log(`\nwritten: ${out}`);
}
