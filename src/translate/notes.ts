/** What builders have to say beside their result, so that a result which is kept says it again each time. */
import type { Finding } from '../lib/finding.ts';
import { type SecretReferences, type SecretRequest, secretReferences } from './secrets.ts';

/** Where builders say it. */
export interface Notes {
  /** Takes what could not be honoured and became a refusing route, filter chain or cluster. */
  readonly report: (finding: Finding) => void;
  /** Hands out references to secrets; what was asked for becomes the SDS resources. */
  readonly secrets: SecretReferences;
}

/** A result and what was said while it was made. */
export interface Made<T> {
  readonly value: T;
  readonly findings: readonly Finding[];
  readonly requests: readonly SecretRequest[];
}

export function made<T>(build: (notes: Notes) => T): Made<T> {
  const findings: Finding[] = [];
  const requests: SecretRequest[] = [];
  const value = build({ report: (finding) => findings.push(finding), secrets: secretReferences((request) => requests.push(request)) });
  return { value, findings: findings.length > 0 ? findings : NOTHING, requests: requests.length > 0 ? requests : NOTHING };
}

/** The result; what was said with it is said to `notes`. */
export function take<T>({ value, findings, requests }: Made<T>, notes: Notes): T {
  for (const finding of findings) notes.report(finding);
  for (const request of requests) notes.secrets.ask(request);
  return value;
}

const NOTHING: readonly never[] = [];
