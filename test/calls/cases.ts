/** The call table: configurations and calls, with the outcome that was recorded from Istio's control plane driving Envoy. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export interface HttpCall {
  readonly method?: string;
  readonly url: string;
  /** A map, or pairs where a name repeats. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>> | readonly (readonly [string, string])[];
  readonly body?: string;
  readonly version?: string | number;
  /** The address that is dialled instead of the URL's host. */
  readonly resolve?: string;
  readonly sni?: string;
  readonly alpn?: readonly string[];
  /** The request line's target, verbatim. */
  readonly target?: string;
  readonly cert?: string;
  readonly websocket?: string;
  /** Seconds. */
  readonly timeout?: number;
}

export interface RawCall {
  readonly host: string;
  readonly port: number;
  readonly send?: string;
  readonly resolve?: string;
  /** Seconds. */
  readonly timeout?: number;
}

export interface TlsCall extends RawCall {
  readonly sni?: string;
  readonly alpn?: readonly string[];
  readonly cert?: string;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type Observation = { readonly [key: string]: Json };

export interface Call {
  readonly name: string;
  readonly from: string;
  readonly http?: HttpCall;
  readonly tls?: TlsCall;
  readonly tcp?: RawCall;
  readonly repeat?: number;
  readonly concurrent?: number;
  /** Share of `repeat` by which a count may differ. */
  readonly tolerance?: number;
  /** Seconds: for how long after the call something may still happen. */
  readonly settle?: number;
  /** Seconds: pause after the call. */
  readonly wait?: number;
  readonly expect?: Observation;
}

export interface Case {
  readonly name: string;
  readonly group: string;
  readonly about: string;
  readonly mesh?: { readonly [key: string]: Json };
  /** Servers that the case does not tell apart. */
  readonly alias?: Readonly<Record<string, string>>;
  readonly config: string;
  readonly calls: readonly Call[];
}

export const CASES_FOLDER = join(import.meta.dirname, 'cases');

/** All cases in the order of their names. */
export function loadCases(folder = CASES_FOLDER): Case[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  // The record was made with a YAML 1.1 reader; `yes` and `on` appear in no place where that matters.
  return names.sort().map((name) => parse(readFileSync(join(folder, name), 'utf8'), { version: '1.1' }) as Case);
}
