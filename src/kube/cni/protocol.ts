/** What a container runtime asks a chained plugin, and the answers: CNI 1.1.0 (github.com/containernetworking/cni, SPEC.md). */
import { isMapping } from '../../api/decode.ts';
import { CAPTURE_ANNOTATION, readCapture } from '../capture/annotation.ts';
import type { CaptureSettings } from '../capture/rules.ts';
import { ANNOTATIONS, VERSIONS } from './chained.ts';

export interface Answer {
  /** Empty for nothing. */
  readonly stdout: string;
  readonly failed: boolean;
}

/** What is done to a network namespace. They throw what a failure is called. */
export interface Capturing {
  write(netns: string, settings: CaptureSettings): void;
  /** What is not there. */
  missing(netns: string, settings: CaptureSettings): readonly string[];
}

/** Codes of errors: the specification's, and from 100 on a plugin's own. */
const CODE = { version: 1, environment: 4, undecodable: 6, invalid: 7, capture: 100 } as const;

class Failure extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** @param env of the process, where the command is. @param input the network configuration */
export function answer(env: NodeJS.ProcessEnv, input: string, capturing: Capturing): Answer {
  let version = VERSIONS.at(-1)!;
  try {
    const conf = read(input, env.CNI_COMMAND);
    if (typeof conf.cniVersion === 'string') version = conf.cniVersion;
    return { stdout: done(env, conf, version, capturing), failed: false };
  } catch (error) {
    const { code, message } = error instanceof Failure ? error : { code: CODE.capture, message: String(error) };
    return { stdout: JSON.stringify({ cniVersion: version, code, msg: `${podIn(env)}: ${message}` }), failed: true };
  }
}

function read(input: string, command: string | undefined): Record<string, unknown> {
  if (command === 'VERSION' && input.trim() === '') return {};
  let conf: unknown;
  try {
    conf = JSON.parse(input);
  } catch {
    throw new Failure(CODE.undecodable, 'the network configuration is no JSON');
  }
  if (!isMapping(conf)) throw new Failure(CODE.undecodable, 'the network configuration is no JSON object');
  return conf;
}

function done(env: NodeJS.ProcessEnv, conf: Record<string, unknown>, version: string, capturing: Capturing): string {
  switch (env.CNI_COMMAND) {
    case 'VERSION':
      return JSON.stringify({ cniVersion: version, supportedVersions: VERSIONS });
    case 'ADD':
      supported(version);
      add(env, conf, capturing);
      // What the plugins before it have done is the result of all.
      return JSON.stringify(previous(conf));
    case 'CHECK':
      supported(version);
      check(env, conf, capturing);
      return '';
    // Rules go with their network namespace.
    case 'DEL':
    case 'GC':
    case 'STATUS':
      return '';
    default:
      throw new Failure(
        CODE.environment,
        `CNI_COMMAND is ${JSON.stringify(env.CNI_COMMAND ?? '')}: there are ADD, CHECK, DEL, GC, STATUS and VERSION`,
      );
  }
}

function supported(version: string): void {
  if (!VERSIONS.includes(version)) throw new Failure(CODE.version, `cniVersion ${version}: there are ${VERSIONS.join(', ')}`);
}

function previous({ prevResult }: Record<string, unknown>): unknown {
  if (!isMapping(prevResult))
    throw new Failure(CODE.invalid, 'there is no prevResult: it has to be chained after the plugin that makes the network');
  return prevResult;
}

function add(env: NodeJS.ProcessEnv, conf: Record<string, unknown>, capturing: Capturing): void {
  previous(conf);
  const settings = settingsIn(conf);
  if (!settings) return;
  const netns = namespaceIn(env);
  try {
    capturing.write(netns, settings);
  } catch (error) {
    throw new Failure(CODE.capture, `its traffic cannot be captured, so it does not start: ${messageOf(error)}`);
  }
}

function check(env: NodeJS.ProcessEnv, conf: Record<string, unknown>, capturing: Capturing): void {
  const settings = settingsIn(conf);
  if (!settings) return;
  const missing = capturing.missing(namespaceIn(env), settings);
  if (missing.length > 0)
    throw new Failure(CODE.capture, `its traffic is not captured: these chains and jumps are not as written: ${missing.join(', ')}`);
}

/** Of a pod of the mesh; undefined for another. */
function settingsIn({ runtimeConfig }: Record<string, unknown>): CaptureSettings | undefined {
  const annotations = isMapping(runtimeConfig) ? runtimeConfig[ANNOTATIONS] : undefined;
  const text = isMapping(annotations) ? annotations[CAPTURE_ANNOTATION] : undefined;
  if (typeof text !== 'string') return undefined;
  const found = readCapture(text);
  if ('problem' in found)
    throw new Failure(CODE.invalid, `the annotation ${CAPTURE_ANNOTATION} ${found.problem}, so the pod does not start`);
  return found.settings;
}

function namespaceIn({ CNI_NETNS: netns }: NodeJS.ProcessEnv): string {
  if (!netns?.startsWith('/')) throw new Failure(CODE.environment, 'CNI_NETNS names no network namespace');
  return netns;
}

/** For messages; the runtime says `K8S_POD_NAMESPACE=…;K8S_POD_NAME=…`. */
function podIn({ CNI_ARGS = '' }: NodeJS.ProcessEnv): string {
  const said = new Map(CNI_ARGS.split(';').map((each) => [each.split('=', 1)[0], each.slice(each.indexOf('=') + 1)]));
  const [namespace, name] = ['K8S_POD_NAMESPACE', 'K8S_POD_NAME'].map((key) => said.get(key));
  return namespace && name ? `pod ${namespace}/${name}` : 'this pod';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
