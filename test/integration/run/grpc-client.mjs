// Runs in the sandbox: calls a gRPC method of each address that it is given, and prints what came, or the status.
import { Client, credentials, status } from '@grpc/grpc-js';

const same = (bytes) => bytes;
for (const address of process.argv.slice(2)) {
  const client = new Client(address, credentials.createInsecure());
  const deadline = Date.now() + 30_000;
  await new Promise((resolve) =>
    client.makeUnaryRequest('/test.Service/Echo', same, same, Buffer.from('gRPC works'), { deadline }, (error, answer) => {
      console.log(error ? status[error.code] : answer.toString());
      resolve();
    }),
  );
  client.close();
}
