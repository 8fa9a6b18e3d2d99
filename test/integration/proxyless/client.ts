/** A gRPC client of JavaScript without a proxy: makes the calls that it reads, one a line, and answers each with a line. Its bootstrap is in the environment. */
import { createInterface } from 'node:readline';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { register, XdsChannelCredentials } from '@grpc/grpc-js-xds';
import type { Asked } from './calls.ts';

register();

const clients = new Map<string, Client>();

function clientOf(target: string): Client {
  const known = clients.get(target) ?? new Client(`xds:///${target}`, new XdsChannelCredentials(credentials.createInsecure()));
  clients.set(target, known);
  return known;
}

const asItIs = (bytes: Buffer) => bytes;

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, target, headers, withinMs } = JSON.parse(line) as Asked;
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const options = { deadline: Date.now() + withinMs };
  const done = (error: ServiceError | null, body?: Buffer) =>
    console.log(JSON.stringify({ id, code: error?.code ?? 0, text: error?.details ?? body!.toString() }));
  clientOf(target).makeUnaryRequest('/test.Echo/Say', asItIs, asItIs, Buffer.from('hello'), metadata, options, done);
});
