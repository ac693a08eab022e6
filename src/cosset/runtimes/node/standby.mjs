// Waits for a function in a process that was started before there was one; does nothing in any other.
//
// The init of the environment says in one message what the function's variables are, when its code is in place and the
// seal is on. Until then nothing of the function's is here, and the event loop has not turned.

import { closeSync, readSync } from "node:fs";

import { installNodePath } from "./node_path.mjs";

const LONGEST_ORDER = 128 * 1024;

export function awaitFunction() {
  const fd = Number(process.env._COSSET_ORDERS_FD ?? -1);
  if (fd < 0) {
    return;
  }
  const telemetry = process.env._LAMBDA_TELEMETRY_LOG_FD;
  installNodePath();
  const buffer = Buffer.allocUnsafe(LONGEST_ORDER);
  const length = readSync(fd, buffer);
  if (length === 0) {
    process.exit(0); // the environment is not wanted any more
  }
  const { environment } = JSON.parse(buffer.toString("utf8", 0, length));
  closeSync(fd);
  for (const name of Object.keys(process.env)) {
    if (!(name in environment)) {
      delete process.env[name];
    }
  }
  for (const [name, value] of Object.entries(environment)) {
    if (process.env[name] !== value) {
      process.env[name] = value;
    }
  }
  process.env._LAMBDA_TELEMETRY_LOG_FD = telemetry;
  process.chdir(process.env.LAMBDA_TASK_ROOT ?? "/var/task");
}
