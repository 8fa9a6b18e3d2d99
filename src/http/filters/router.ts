/** The last filter: takes the route's action, answers by itself where the route says so, or has the request sent on. */
import { HeaderMap } from '../header-map.ts';
import type { LocalReply } from '../local-reply.ts';
import type { ForwardAction } from '../routes/model.ts';
import {
  CERTAIN,
  type FilterStatus,
  type FilterStream,
  type HttpFilter,
  type JudgedRequest,
  type Judgement,
  PASS,
  type RouterSettings,
} from './filter.ts';

export class RouterFilter implements HttpFilter {
  readonly name: string;
  readonly router: RouterSettings;
  readonly #upgrades: ReadonlyMap<string, boolean>;

  /** `upgrades`: those of the connection manager, as ManagerOptions has them. */
  constructor(name: string, settings: RouterSettings, upgrades: ReadonlyMap<string, boolean>) {
    this.name = name;
    this.router = settings;
    this.#upgrades = upgrades;
  }

  judge({ head, route }: JudgedRequest): Judgement {
    if (route === undefined) return answered(NO_ROUTE, () => 'no route matches');
    const { action } = route;
    switch (action.kind) {
      case 'forward':
        return this.#allows(head.upgrade, action) ? PASS : answered(UPGRADE_REFUSED, () => `an upgrade to ${head.upgrade} is not allowed`);
      case 'redirect': {
        const location = action.location(head);
        const reply = { status: action.status, body: '', details: 'direct_response', headers: new HeaderMap(['location', location]) };
        return answered({ ...reply, ofRoute: 'answer' }, () => `redirects with ${action.status} to ${location}`);
      }
      case 'direct-response': {
        const { status, body = '', refusal } = action;
        return answered({ status, body, details: 'direct_response', ofRoute: 'answer' }, () => refusal ?? `answers ${status} itself`);
      }
      case 'non-forwarding':
        return answered(NON_FORWARDING, () => 'a non-forwarding action answers nothing');
      case 'unknown':
        return { ...answered(NON_FORWARDING, () => action.why), undecided: { why: action.why } };
    }
  }

  run(stream: FilterStream): FilterStatus {
    const { answer } = this.judge(stream);
    if (answer) stream.reply(answer.reply);
    else stream.forward(stream.route!.action as ForwardAction, this.router);
    return 'stop';
  }

  #allows(upgrade: string, { upgrades }: ForwardAction): boolean {
    return upgrade === '' || (upgrades.get(upgrade)?.enabled ?? this.#upgrades.get(upgrade) ?? false);
  }
}

const NO_ROUTE: LocalReply = { status: 404, body: '', details: 'route_not_found', flag: 'NR' };
const UPGRADE_REFUSED: LocalReply = { status: 403, body: '', details: 'upgrade_failed', ofRoute: 'forward' };
const NON_FORWARDING: LocalReply = { status: 503, body: '', details: 'cluster_not_found', flag: 'NC' };

function answered(reply: LocalReply, because: () => string): Judgement {
  return { ...PASS, answer: { reply, chance: CERTAIN, because, always: true } };
}
