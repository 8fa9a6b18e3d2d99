/** The OpenAPI 3.1 document, made of the routes and the shapes of their answers. */
import { API, LINES, ROUTES, type Route } from './api.ts';
import * as model from './model.ts';
import { count, type JsonSchema, listOf, record, type Shape } from './schema.ts';

export function openApi(version: string): JsonSchema {
  const schemas = Object.fromEntries(
    Object.values(model).flatMap((shape) =>
      typeof shape === 'object' && 'whole' in shape ? [[shape.name as string, (shape as { whole: JsonSchema }).whole] as const] : [],
    ),
  );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Sallyport console',
      version,
      description:
        'Read-only but for /mend/write. A request needs the cookie that the one-time token of the printed address becomes, and comes from no other site.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: API }],
    security: [{ session: [] }],
    paths: Object.fromEntries(ROUTES.map((route) => [route.path, { [route.method.toLowerCase()]: operation(route) }])),
    components: { schemas, securitySchemes: { session: { type: 'apiKey', in: 'cookie', name: 'sallyport_console_PORT' } } },
  };
}

function operation(route: Route): JsonSchema {
  const { summary, parameters = [], body } = route;
  return {
    operationId: route.path.slice(1).replaceAll('/', '-'),
    summary,
    parameters: parameters.map(({ name, description, required = false, repeated = false }) => ({
      name,
      in: 'query',
      description,
      required,
      schema: repeated ? { type: 'array', items: { type: 'string' } } : { type: 'string' },
    })),
    ...(body && { requestBody: { required: true, content: { 'application/json': { schema: body.json } } } }),
    responses: {
      200: { description: 'The answer.', content: content(route) },
      default: { description: 'What is wrong.', content: { 'application/json': { schema: model.problem.json } } },
    },
  };
}

function content(route: Route): JsonSchema {
  if (route.kind === 'events') return { 'text/event-stream': { schema: { type: 'string' }, 'x-event-data': EVENT_DATA } };
  if (route.kind === 'plain') return { 'application/json': { schema: route.answer.json } };
  return { 'application/x-ndjson': { schema: lineSchema(route.answer) } };
}

/** By event. OpenAPI 3.1 has no words for the data of events. */
const EVENT_DATA: JsonSchema = {
  state: model.state.json,
  findings: listOf(model.finding).json,
  flows: listOf(model.flow).json,
  dropped: record({ count: count('How many calls are missing before the next ones.') }).json,
  ended: record({}).json,
};

/** Schema of a line of a long answer. */
export function lineSchema(answer: Shape<unknown>): JsonSchema {
  const last = {
    type: 'object',
    properties: { kind: { const: 'answer' }, answer: answer.json },
    required: ['kind', 'answer'],
    additionalProperties: false,
  };
  return { oneOf: [LINES.progress.json, LINES.problem.json, last] };
}
