// Runs in the sandbox: calls a gRPC method of each address that it is given, after `--tls NAME` in TLS as that host, and prints what came, or the status.
import { Client, credentials, status } from '@grpc/grpc-js';

const same = (bytes) => bytes;
const isSecure = process.argv[2] === '--tls';
const name = process.argv[3];
for (const address of process.argv.slice(isSecure ? 4 : 2)) {
  const authority = `${name}:${address.split(':').at(-1)}`;
  const client = isSecure
    ? new Client(address, credentials.createSsl(), { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': authority })
    : new Client(address, credentials.createInsecure());
  const deadline = Date.now() + 30_000;
  await new Promise((resolve) =>
    client.makeUnaryRequest('/test.Service/Echo', same, same, Buffer.from('gRPC works'), { deadline }, (error, answer) => {
      console.log(error ? status[error.code] : answer.toString());
      resolve();
    }),
  );
  client.close();
}
