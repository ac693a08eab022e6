// console.* as AWS writes it: `time<TAB>request id<TAB>LEVEL<TAB>message`, or one JSON object an event.
//
// With _LAMBDA_TELEMETRY_LOG_FD each event is a frame and may have many lines; on stdout line feeds become `\r`.

import { writeSync } from "node:fs";
import { format } from "node:util";

import { asError, errorText } from "./errors.mjs";

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const TEXT_FRAME = 0xa55a0003;
const JSON_FRAME = 0xa55a0002;

/** Replaces the console's methods; returns {requestId, error(what, error)}. */
export function patchConsole(variables) {
  const isJson = variables.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === "JSON";
  const lowest = LEVELS[variables.AWS_LAMBDA_LOG_LEVEL?.toUpperCase()] ?? LEVELS.TRACE;
  noticeUse("stdout");
  noticeUse("stderr");
  const write = writer(variables, isJson);
  const logs = { requestId: undefined, error: undefined };

  function method(level) {
    if (LEVELS[level] < lowest) {
      return () => {};
    }
    return (...values) => {
      const now = new Date();
      write(level, now, (isJson ? jsonLine : textLine)(now.toISOString(), logs.requestId, level, values));
    };
  }

  console.trace = method("TRACE");
  console.debug = method("DEBUG");
  console.info = method("INFO");
  console.log = console.info;
  console.warn = method("WARN");
  console.error = method("ERROR");
  console.fatal = method("FATAL");
  const error = console.error;
  logs.error = isJson
    ? (_, value) => error(asError(value))
    : (what, value) => error(what, "\t" + errorText(asError(value)));
  return logs;
}

const used = []; // of process.stdout and process.stderr, those that the function has touched

function noticeUse(name) {
  const described = Object.getOwnPropertyDescriptor(process, name);
  Object.defineProperty(process, name, {
    ...described,
    get() {
      const stream = described.get.call(process);
      if (!used.includes(stream)) {
        used.push(stream);
      }
      return stream;
    },
  });
}

/** Returns when everything that was written to stdout and stderr has left the process: Node keeps what a full pipe does
 * not take, and an answer must not overtake it. */
export async function written() {
  const waiting = used.filter((stream) => stream.writable && stream.writableLength > 0);
  await Promise.all(waiting.map((stream) => new Promise((resolve) => stream.write("", () => resolve()))));
}

function writer(variables, isJson) {
  if (variables._LAMBDA_TELEMETRY_LOG_FD === undefined) {
    return (level, now, line) => process.stdout.write(line.replaceAll("\n", "\r") + "\n");
  }
  const fd = Number(variables._LAMBDA_TELEMETRY_LOG_FD);
  delete variables._LAMBDA_TELEMETRY_LOG_FD;
  const kind = isJson ? JSON_FRAME : TEXT_FRAME;
  return (level, now, line) => {
    const message = Buffer.from(isJson ? line : line + "\n", "utf8");
    const frame = Buffer.allocUnsafe(16 + message.length);
    frame.writeUInt32BE((kind | (LEVELS[level] << 2)) >>> 0, 0);
    frame.writeUInt32BE(message.length, 4);
    frame.writeBigInt64BE(BigInt(now.valueOf()) * 1000n, 8);
    message.copy(frame, 16);
    writeAll(fd, frame);
  };
}

function writeAll(fd, data) {
  for (let at = 0; at < data.length; ) {
    at += writeSync(fd, data, at);
  }
}

function textLine(time, requestId, level, values) {
  return `${time}\t${requestId}\t${level}\t${format(...values)}`;
}

function jsonLine(timestamp, requestId, level, values) {
  const line = { timestamp, level, requestId };
  if (values.length === 1) {
    line.message = values[0];
    try {
      return JSON.stringify(line, (_, value) => (value instanceof Error ? jsonError(value) : value));
    } catch {
      line.message = format(values[0]);
      return JSON.stringify(line);
    }
  }
  line.message = format(...values);
  const error = values.find((value) => value instanceof Error);
  return JSON.stringify(error === undefined ? line : { ...line, ...errorFields(error) });
}

function jsonError(error) {
  return { ...errorFields(error), ...error };
}

function errorFields(error) {
  return {
    errorType: error.constructor?.name ?? "UnknownError",
    errorMessage: error.message,
    stackTrace: typeof error.stack === "string" ? error.stack.split("\n") : [],
  };
}
