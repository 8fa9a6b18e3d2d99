/** The thread that answers: one question at a time about the subject that it was given last. Whoever asked may end the thread. */
import { parentPort } from 'node:worker_threads';
import { analyzeFiles } from '../../analysis/files.ts';
import { loadMeshConfig } from '../../config/mesh-config.ts';
import type { Snapshot } from '../../config/snapshot.ts';
import { readEdited } from '../../inputs/edited.ts';
import { readFiles } from '../../inputs/files.ts';
import { isRevision, readRevision } from '../../inputs/revision.ts';
import { codeOf, messageOf, SallyportError } from '../../lib/errors.ts';
import type { Finding } from '../../lib/finding.ts';
import { once } from '../../lib/once.ts';
import { originText } from '../../lib/origin.ts';
import { callersOf } from '../../prove/callers.ts';
import { type DumpedMesh, dumpedMesh } from '../../prove/dumped.ts';
import { type SimulatedFiles, simulateFiles, workloadName } from '../../prove/simulated.ts';
import { compared, explained, explainedDump, type NamedFiles, verified } from './answers.ts';
import { PASTED, withApplied } from './applied.ts';
import { outwards } from './outwards.ts';
import { fromPortable } from './portable.ts';
import type { Answers, EditedFile, FromThread, MendQuestion, Question, Side, Subject, ToThread } from './question.ts';

/** Progress is told no more often, ms. */
const TELL_MS = 200;

type MeshSubject = Extract<Subject, { readonly kind: 'mesh' }>;
type Ready =
  | { readonly kind: 'mesh'; readonly subject: MeshSubject; readonly files: () => SimulatedFiles }
  | { readonly kind: 'dumps'; readonly mesh: () => DumpedMesh };

const port = parentPort!;
let ready: Ready | undefined;

port.on('message', (message: ToThread) => {
  if (message.kind === 'subject') {
    ready = readied(message.subject);
    return;
  }
  answer(message.question).then(
    (found) => tell({ kind: 'answer', answer: found }),
    (error: unknown) => tell({ kind: 'failed', code: codeOf(error) ?? 'internal', message: messageOf(error) }),
  );
});

function tell(message: FromThread): void {
  port.postMessage(message);
}

function readied(subject: Subject): Ready {
  if (subject.kind === 'dumps') return { kind: 'dumps', mesh: once(() => dumpedMesh(subject.dumps)) };
  const { mesh, running } = subject;
  return { kind: 'mesh', subject, files: once(() => simulateFiles(fromPortable(mesh), mesh.config, undefined, { running })) };
}

async function answer(question: Question): Promise<Answers[keyof Answers]> {
  if (!ready) throw new SallyportError('internal', 'the thread was asked before it was told about what');
  if (ready.kind === 'dumps') {
    const { proxies } = ready.mesh();
    if (question.kind === 'workloads') return proxies.filter(({ type }) => type === 'sidecar').map(({ name }) => name);
    if (question.kind === 'explain') return explainedDump(ready.mesh(), question);
    throw new SallyportError('no-resources', 'a config dump holds no resources, which this question is about: open the files instead');
  }
  if (question.kind === 'mend') return mended(question, ready.subject);
  const files = ready.files();
  switch (question.kind) {
    case 'workloads':
      return callersOf(files).map(workloadName);
    case 'explain':
      return explained(files, question);
    case 'verify':
      return verified(files, progress());
    case 'outwards':
      return outwards(files, question.namespaces && new Set(question.namespaces));
    case 'diff': {
      const { subject } = ready;
      const { before, after, namespaces } = question;
      const sides = [await side(before, files, subject, namespaces), await side(after, files, subject, namespaces)] as const;
      return compared(...sides, { progress: progress(), namespaces });
    }
  }
}

/** Both texts are judged alike: what one has more than the other comes from the change. */
async function mended({ before, after, code, origin, now }: MendQuestion, subject: MeshSubject): Promise<Answers['mend']> {
  const [old, changed] = [await findingsWith(before, subject, now), await findingsWith(after, subject, now)];
  const about = (finding: Finding) => `${finding.code} ${originText(finding.origin)}`;
  const count = (all: readonly Finding[], key: string) => all.filter((finding) => about(finding) === key).length;
  const grave = changed.filter(({ level }) => level !== 'Info');
  const news = [...new Set(grave.map(about))].filter((key) => count(grave, key) > count(old, key));
  const own = `${code} ${origin}`;
  return {
    gone: count(changed, own) < count(old, own),
    news: news.map((key) => {
      const { message } = grave.find((finding) => about(finding) === key)!;
      return `${key}: ${message}`;
    }),
  };
}

async function findingsWith(edit: EditedFile, { paths, meshConfig, namespace }: MeshSubject, now: number): Promise<readonly Finding[]> {
  const snapshot = await readEdited(paths, edit, { namespace });
  const { config: mesh, findings: also } = loadMeshConfig(snapshot, meshConfig);
  return analyzeFiles({ snapshot, mesh, defaultGateways: true, now }, { also });
}

function progress(): (done: number) => void {
  let told = performance.now();
  return (done) => {
    if (performance.now() < told + TELL_MS) return;
    told = performance.now();
    tell({ kind: 'progress', done });
  };
}

async function side(
  one: Side,
  files: SimulatedFiles,
  subject: MeshSubject,
  namespaces: readonly string[] | undefined,
): Promise<NamedFiles> {
  if (one.kind === 'shown') return { name: 'what is shown', files };
  if (one.kind === 'applied') {
    const snapshot = withApplied(files.mesh.snapshot, one.text, namespaces);
    return { name: PASTED, files: simulateFiles(snapshot, subject.mesh.config, undefined, { running: subject.running }) };
  }
  const { namespace, paths, mesh, running } = subject;
  const options = { namespace, allowEmpty: true };
  const name = one.kind === 'edited' ? `${one.edit.file}, edited` : one.spec;
  const read = (): Promise<Snapshot> => {
    if (one.kind === 'edited') return readEdited(paths, one.edit, options);
    const nobody = async () => undefined;
    return isRevision(one.spec) ? readRevision(one.spec, options, nobody) : readFiles([one.spec], options, nobody);
  };
  const snapshot = await read();
  const { config, position, findings } = loadMeshConfig(snapshot, subject.meshConfig);
  const wrong = findings.find(({ level }) => level === 'Error');
  if (wrong) throw new SallyportError('invalid-input', `${name}: the MeshConfig is not valid: ${wrong.message}`);
  // Where this machine's sidecar listens is the machine's, and the same on both sides.
  const { proxyListenPort } = mesh.config;
  return { name, files: simulateFiles(snapshot, { ...config, proxyListenPort }, position, { running }) };
}
