/** What is asked about a mesh, and how questions and answers pass between the server's thread and the one that answers. */
import type { ProxyIdentity } from '../../lib/proxy-identity.ts';
import type { Json } from '../../xds/config-dump/dump.ts';
import type { Difference, Explained, Mend, Outwards, Verification } from '../model.ts';
import type { PortableMesh } from './portable.ts';

/** A side of a comparison: what is shown, a path or `git:REV[:PATH]`, what is shown with a file edited, or with these objects applied. */
export type Side =
  | { readonly kind: 'shown' }
  | { readonly kind: 'spec'; readonly spec: string }
  | { readonly kind: 'edited'; readonly edit: EditedFile }
  | { readonly kind: 'applied'; readonly text: string };

export interface EditedFile {
  readonly file: string;
  readonly text: string;
}

export interface ExplainQuestion {
  readonly kind: 'explain';
  readonly from: string | undefined;
  readonly url: string;
  readonly method: string;
  readonly headers: readonly string[];
  readonly to: string | undefined;
  /** Ms since the epoch. */
  readonly now: number;
}

export interface DiffQuestion {
  readonly kind: 'diff';
  readonly before: Side;
  readonly after: Side;
  /** Only of workloads there, and only by objects there; undefined: all. */
  readonly namespaces?: readonly string[];
}

export interface OutwardsQuestion {
  readonly kind: 'outwards';
  /** Only of workloads there, to what is declared there or open to them; undefined: all. */
  readonly namespaces?: readonly string[];
}

/** Whether a change of a file mends a finding, and what comes with it. */
export interface MendQuestion {
  readonly kind: 'mend';
  readonly before: EditedFile;
  readonly after: EditedFile;
  /** Of the finding. */
  readonly code: string;
  readonly origin: string;
  /** Ms since the epoch. */
  readonly now: number;
}

export type Question =
  | MendQuestion
  | ExplainQuestion
  | { readonly kind: 'verify' }
  | DiffQuestion
  | OutwardsQuestion
  | { readonly kind: 'workloads' };

export interface Answers {
  readonly explain: Explained;
  readonly verify: Verification;
  readonly mend: Pick<Mend, 'gone' | 'news'>;
  readonly diff: Difference;
  readonly outwards: Outwards;
  /** Who may call, as explain takes them. */
  readonly workloads: readonly string[];
}

/** What questions are about. */
export type Subject =
  | {
      readonly kind: 'mesh';
      readonly mesh: PortableMesh;
      /** Sidecars that run beside those of the workloads. */
      readonly running: readonly ProxyIdentity[];
      /** What was read, for questions that read it again. */
      readonly paths: readonly string[];
      readonly meshConfig: string | undefined;
      readonly namespace: string | undefined;
    }
  | { readonly kind: 'dumps'; readonly dumps: readonly { readonly name: string; readonly dump: Json }[] };

export type ToThread = { readonly kind: 'subject'; readonly subject: Subject } | { readonly kind: 'ask'; readonly question: Question };

export type FromThread =
  | { readonly kind: 'progress'; readonly done: number }
  | { readonly kind: 'answer'; readonly answer: Answers[keyof Answers] }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };
