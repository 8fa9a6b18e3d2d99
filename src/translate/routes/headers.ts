/** Header operations of a VirtualService as Envoy's. */
import { create } from '@bufbuild/protobuf';
import type { Headers } from '../../api/virtual-service.ts';
import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
} from '../../xds/gen/envoy/config/core/v3/base_pb.js';

export interface HeaderChanges {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
  /** The Host that the operations set, if they do; it is not a header of its own to Envoy. */
  readonly authority: string;
}

export function headerChanges(headers: Headers | undefined): HeaderChanges {
  const request = headers?.request;
  const response = headers?.response;
  return {
    requestHeadersToAdd: [...options(request?.set, false), ...options(request?.add, true)],
    requestHeadersToRemove: (request?.remove ?? []).filter((name) => !isReserved(name)),
    responseHeadersToAdd: [...options(response?.set, false), ...options(response?.add, true)],
    responseHeadersToRemove: (response?.remove ?? []).filter((name) => !isReserved(name)),
    authority: authorityOf(request?.set) || authorityOf(request?.add),
  };
}

type HeaderValues = Readonly<Record<string, string>> | undefined;

function options(values: HeaderValues, append: boolean): HeaderValueOption[] {
  const { APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS_OR_ADD } = HeaderValueOption_HeaderAppendAction;
  return Object.entries(values ?? {})
    .filter(([key]) => !isReserved(key))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) =>
      create(HeaderValueOptionSchema, {
        header: { key, value },
        appendAction: append ? APPEND_IF_EXISTS_OR_ADD : OVERWRITE_IF_EXISTS_OR_ADD,
      }),
    );
}

function authorityOf(values: HeaderValues): string {
  for (const [key, value] of Object.entries(values ?? {})) {
    const name = key.toLowerCase();
    if (name === 'host' || name === ':authority') return value;
  }
  return '';
}

/** Envoy refuses to change these as headers. */
function isReserved(name: string): boolean {
  return name.startsWith(':') || name.toLowerCase() === 'host';
}
