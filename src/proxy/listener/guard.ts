/** What policies and authorizers say of a connection before its chain takes it. */
import type { NetworkExtAuthz } from '../../http/ext-authz/network.ts';
import { deniedDetails } from '../../http/rbac/engine.ts';
import type { NetworkRbac } from '../../http/rbac/network.ts';
import { type DynamicMetadata, withMetadata } from '../../http/rbac/subject.ts';
import type { SideAnswer, SideCall } from '../../http/side-call.ts';
import type { Downstream, ResponseFlag } from '../types.ts';

/** Why a connection is refused. */
export interface Refusal {
  /** `%CONNECTION_TERMINATION_DETAILS%` */
  readonly details: string;
  readonly flag: ResponseFlag | undefined;
}

/** Makes the call; `done` is called once, possibly before it returns. */
export type Ask = (call: SideCall, done: (answer: SideAnswer | undefined) => void) => void;

/** Calls `done` once, possibly before it returns; undefined: the connection may go on. */
export type Guard = (downstream: Downstream, done: (refusal: Refusal | undefined) => void) => void;

export type GuardFilter = { readonly rbac: NetworkRbac } | { readonly authorizer: NetworkExtAuthz };

/** Each filter of the chain is asked in turn. */
export function guardOf(filters: readonly GuardFilter[], ask: Ask): Guard {
  const from = (index: number, noted: DynamicMetadata | undefined, downstream: Downstream, done: Parameters<Guard>[1]): void => {
    let metadata = noted;
    for (let i = index; i < filters.length; i++) {
      const filter = filters[i]!;
      if ('rbac' in filter) {
        const { verdict, metadata: made } = filter.rbac.judge(downstream);
        if (verdict?.allowed === false) {
          done({ details: deniedDetails(verdict), flag: undefined });
          return;
        }
        if (made) metadata = withMetadata(metadata, made);
      } else if (filter.authorizer.asks(metadata)) {
        ask(filter.authorizer.call(downstream), (answer) => {
          const details = filter.authorizer.refusal(answer);
          if (details === undefined) from(i + 1, metadata, downstream, done);
          else done({ details, flag: 'UAEX' });
        });
        return;
      }
    }
    done(undefined);
  };
  return (downstream, done) => from(0, undefined, downstream, done);
}
