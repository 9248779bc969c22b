// A client of Kartograph for Node.js, made from the .proto file alone. See ../README.md.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

// No code is generated: the file is read here. 64-bit integers, such as delivery ids, become
// strings, as JavaScript's numbers hold 53 bits.
const definition = protoLoader.loadSync('kartograph/v1/task_executer.proto', {
  includeDirs: [fileURLToPath(new URL('../../../api', import.meta.url))],
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
});
const { kartograph } = grpc.loadPackageDefinition(definition);

// For all calls: while the service is restarted they wait and are repeated, up to a deadline.
const METHOD_CONFIG = {
  name: [{}],
  timeout: '60s',
  retryPolicy: {
    maxAttempts: 5,
    initialBackoff: '1s',
    maxBackoff: '10s',
    backoffMultiplier: 2,
    retryableStatusCodes: ['UNAVAILABLE'],
  },
};

class TaskExecuter {
  #stub;
  #token;
  #queue = `client-${randomUUID()}`;
  #received = [];

  // `server` is unix:PATH or HOST:PORT, which needs the service's token.
  constructor(server, token) {
    const options = { 'grpc.service_config': JSON.stringify({ methodConfig: [METHOD_CONFIG] }) };
    const credentials = grpc.credentials.createInsecure(); // with TLS: createSsl
    this.#stub = new kartograph.v1.TaskExecuter(server, credentials, options);
    this.#token = token;
  }

  // Resolves to an id when the task is stored. It runs when so many cores and bytes are free.
  async execute(name, shell) {
    const task = { name, command: { shell }, consumption: { cpu: 0.1, ram: 32 << 20 } };
    // However often a call with this id is repeated, one task runs, in a graph of its own.
    const request = { requestId: randomUUID(), clientQueue: this.#queue, task };
    return (await this.#call('execute', request)).graphId;
  }

  // Does not wait: the task is delivered, as any other, when its processes have ended.
  async cancel(id) {
    await this.#call('cancel', { requestId: randomUUID(), graphId: id });
  }

  // Waits for finished tasks and acknowledges the previous ones, which else come again.
  async popFinished(seconds) {
    const request = { clientQueue: this.#queue, acknowledge: this.#received, wait: { seconds } };
    const { tasks } = await this.#call('popFinished', request);
    this.#received = tasks.map((task) => task.deliveryId);
    return tasks;
  }

  #call(method, request) {
    const metadata = new grpc.Metadata({ waitForReady: true }); // not read from the service config
    if (this.#token) metadata.set('authorization', `Bearer ${this.#token}`);
    return new Promise((resolve, reject) => {
      this.#stub[method](request, metadata, (error, answer) => {
        if (error) reject(error);
        else resolve(answer);
      });
    });
  }

  close() {
    this.#stub.close();
  }
}

const { KARTOGRAPH_SERVER: server, KARTOGRAPH_TOKEN_FILE: file } = process.env;
const executer = new TaskExecuter(server, file && readFileSync(file, 'utf8').trim());
const sleeper = await executer.execute('sleeper', 'sleep 600');
const left = new Set([
  sleeper,
  await executer.execute('broken', 'exit 3'),
  await executer.execute('product', 'printf $((6 * 7)) > $KARTOGRAPH_RESULT'),
]);
await executer.cancel(sleeper);
while (left.size > 0) {
  for (const task of await executer.popFinished(30)) {
    if (!left.delete(task.graphId)) continue; // delivered a second time
    console.log(`${task.taskName}: ${task.exception ? task.exception.message : task.returnValue}`);
  }
}
await executer.popFinished(0); // acknowledges the last ones
executer.close();
