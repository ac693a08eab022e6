// AWS_LAMBDA_EXEC_WRAPPER: a script of the function's that starts its runtime, as AWS's managed runtimes run it.
//
// Node 20 cannot become another program, so the wrapper runs as a child that has our descriptors, and we end as it does.
// Statuses and words are those of AWS's bootstrap.

import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync, writeSync } from "node:fs";

const NOT_THERE = 127;
const NOT_EXECUTABLE = 126;

// True where this process is to be the runtime; where it is to be the wrapper's parent, it ends in here.
export function isRuntime(variables, script) {
  const wrapper = variables.AWS_LAMBDA_EXEC_WRAPPER;
  const isWrapped = variables._COSSET_WRAPPED !== undefined;
  delete variables._COSSET_WRAPPED;
  if (!wrapper || isWrapped) {
    return true;
  }
  check(wrapper);
  const stdio = ["inherit", "inherit", "inherit"];
  const telemetry = Number(variables._LAMBDA_TELEMETRY_LOG_FD ?? 2);
  while (stdio.length <= telemetry) {
    stdio.push(stdio.length === telemetry ? telemetry : "ignore");
  }
  const environment = { ...variables, _COSSET_WRAPPED: "1" };
  const ended = spawnSync(wrapper, [process.execPath, script], { stdio, env: environment });
  if (ended.error) {
    refuse(wrapper, ended.error.message, NOT_EXECUTABLE);
  }
  if (ended.signal) {
    process.kill(process.pid, ended.signal);
  }
  process.exit(ended.status ?? 1);
}

function check(wrapper) {
  if (!statSync(wrapper, { throwIfNoEntry: false })?.isFile()) {
    refuse(wrapper, "does not exist", NOT_THERE);
  }
  try {
    accessSync(wrapper, constants.X_OK);
  } catch {
    refuse(wrapper, "is not an executable", NOT_EXECUTABLE);
  }
}

function refuse(wrapper, reason, status) {
  writeSync(2, `${wrapper}: ${reason}\n`);
  process.exit(status);
}
