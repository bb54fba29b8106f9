// How a test calls a client: each line of standard input is a call {id, method, params}; each line of standard output
// is its answer {id, result} or {id, error}, or something that happened meanwhile.

import { createInterface } from 'node:readline';

// Standard output is for answers only; libraries print what they like elsewhere.
console.log = console.info = console.debug = console.error;

export function write(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}

const asBuffer = (key, value) => (value?.type === 'Buffer' ? Buffer.from(value.data) : value);

async function answer(methods, { id, method, params }) {
  try {
    write({ id, result: (await methods[method](params)) ?? null });
  } catch (error) {
    write({ id, error: error instanceof Error ? `${error.name}: ${error.message}` : error });
  }
}

// Calls are begun in their order, and none waits for another's end.
export async function serve(methods) {
  for await (const line of createInterface({ input: process.stdin })) answer(methods, JSON.parse(line, asBuffer));
  process.exit(0);
}
