// The runtime's own errors, and how any error looks to the caller and in the log.

function runtimeError(name) {
  return class extends Error {
    constructor(message, stack) {
      super(message);
      this.name = `Runtime.${name}`;
      if (stack !== undefined) {
        this.stack = stack;
      }
    }
  };
}

export const errors = Object.freeze({
  CallbackHandlerDeprecated: runtimeError("CallbackHandlerDeprecated"),
  HandlerNotFound: runtimeError("HandlerNotFound"),
  ImportModuleError: runtimeError("ImportModuleError"),
  InvalidStreamingOperation: runtimeError("InvalidStreamingOperation"),
  JSONStringifyError: runtimeError("JSONStringifyError"),
  MalformedHandlerName: runtimeError("MalformedHandlerName"),
  NodeJsExit: runtimeError("NodeJsExit"),
  UserCodeSyntaxError: runtimeError("UserCodeSyntaxError"),
});

export class UnhandledPromiseRejection extends Error {
  constructor(reason) {
    const error = asError(reason);
    super(error === reason ? String(reason) : error.message);
    this.name = "Runtime.UnhandledPromiseRejection";
    this.reason = reason;
    this.promise = {};
  }
}

/** What the caller gets: {errorType, errorMessage, trace}. An error can be built to break whoever reads it. */
export function errorObject(error) {
  try {
    if (error instanceof Error || (error && error.name && error.message && error.stack)) {
      const trace = String(error.stack).split("\n");
      return { errorType: String(error.name), errorMessage: String(error.message), trace };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    const errorMessage =
      "callback called with Error argument, but there was a problem while retrieving one or more of its message, " +
      "name, and stack";
    return { errorType: "handled", errorMessage, trace: [] };
  }
}

/** What the log shows, with whatever the function added to the error. */
export function errorText(error) {
  try {
    return JSON.stringify(error, (_, value) => (value instanceof Error ? withHiddenFields(value) : value));
  } catch {
    return JSON.stringify(errorObject(error));
  }
}

export function asError(value) {
  if (value instanceof Error) {
    return value;
  }
  try {
    return new Error(String(value));
  } catch {
    return new Error("a value that cannot be shown");
  }
}

function withHiddenFields(error) {
  const shown = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  if (typeof error.stack === "string") {
    shown.stack = error.stack.split("\n");
  }
  return shown;
}
