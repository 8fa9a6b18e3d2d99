/** Where a listener filter is not run (`filter_disabled`): by the port that the connection is for. */
import type { ListenerFilterChainMatchPredicate as Predicate } from '../gen/envoy/config/listener/v3/listener_components_pb.js';
import { unsupported } from '../unpack.ts';

/** Of no predicate: nowhere. Throws `xds-unsupported` for a rule that is not known. */
export function compilePortPredicate(predicate: Predicate | undefined, where: string): (port: number) => boolean {
  const rule = predicate?.rule;
  switch (rule?.case) {
    case undefined:
      return () => false;
    case 'anyMatch':
      return () => rule.value;
    case 'notMatch': {
      const inner = compilePortPredicate(rule.value, where);
      return (port) => !inner(port);
    }
    case 'orMatch':
    case 'andMatch': {
      const inner = rule.value.rules.map((each) => compilePortPredicate(each, where));
      return rule.case === 'orMatch' ? (port) => inner.some((each) => each(port)) : (port) => inner.every((each) => each(port));
    }
    case 'destinationPortRange': {
      const { start, end } = rule.value;
      return (port) => port >= start && port < end;
    }
    default:
      return unsupported(`${where}.filter_disabled`, 'unknown rule');
  }
}
