// Cosset's Node.js runtime: asks the Runtime API for events, hands them to the function, sends its answers back.
//
// Runs inside environments, on Node 18 or newer, with no dependencies. What AWS changed with nodejs24.x (no callbacks)
// follows the runtime that the function asked for, not the Node that serves it. Read next: invocation.mjs, handler.mjs.

import { fileURLToPath } from "node:url";

import { errors, errorObject, UnhandledPromiseRejection } from "./errors.mjs";
import { loadHandler } from "./handler.mjs";
import { Invocation } from "./invocation.mjs";
import { patchConsole, written } from "./logs.mjs";
import { RuntimeClient } from "./runtime_client.mjs";
import { awaitFunction } from "./standby.mjs";
import { isRuntime } from "./wrapper.mjs";

const UNCAUGHT_EXIT_CODE = 129; // AWS's own
const UNHANDLED_EXIT_CODE = 128;

awaitFunction();
isRuntime(process.env, fileURLToPath(import.meta.url)); // does not return in a process that the wrapper is to replace

const logs = patchConsole(process.env);
const client = new RuntimeClient(process.env.AWS_LAMBDA_RUNTIME_API);
let current = null; // the Invocation under way; null before the first one

async function die(what, error, exitCode) {
  logs.error(what, error);
  try {
    await written();
    if (client.isAsking) {
      return; // no event is under way: the platform learns of it by the exit
    }
    if (current === null) {
      await client.initError(errorObject(error));
    } else {
      await current.report(error);
    }
  } finally {
    process.exit(exitCode);
  }
}

async function main() {
  const asked = /nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV ?? "")?.[1];
  const allowsCallbacks = Number(asked ?? process.versions.node.split(".")[0]) < 24;
  const handler = await loadHandler(process.env.LAMBDA_TASK_ROOT ?? process.cwd(), process.env._HANDLER ?? "");
  if (!allowsCallbacks && handler.takesCallback) {
    throw new errors.CallbackHandlerDeprecated(
      "ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. " +
        "You need to modify this function to use a supported handler signature to use Node.js 24 or later. " +
        "For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.",
    );
  }
  process.on("beforeExit", () => current?.eventLoopIsEmpty());
  for (;;) {
    const request = await client.next();
    current = new Invocation(client, handler, logs, request, allowsCallbacks);
    logs.requestId = current.requestId;
    await current.run();
  }
}

process.on("uncaughtException", (error) => void die("Uncaught Exception", error, UNCAUGHT_EXIT_CODE));
process.on("unhandledRejection", (reason) => {
  void die("Unhandled Promise Rejection", new UnhandledPromiseRejection(reason), UNHANDLED_EXIT_CODE);
});

main().catch((error) => {
  if (error instanceof RuntimeClient.Gone) {
    process.exit(1); // the platform has ended this environment: there is nobody to tell
  }
  void die("Uncaught Exception", error, UNCAUGHT_EXIT_CODE);
});
