// One invocation: the context that the function sees, and the one answer that goes back, however it comes about.

import { asError, errorObject, errors } from "./errors.mjs";
import { written } from "./logs.mjs";
import { ResponseStream } from "./streaming.mjs";

export class Invocation {
  #client;
  #handler;
  #logs;
  #headers;
  #body;
  #allowsCallbacks;
  #finish; // ends `run`: the answer has been sent
  #response = null; // the ResponseStream of a handler that streams
  #answered = false;
  #whenIdle = null; // what to do when nothing is left in the event loop
  #waitsForEmptyEventLoop = true;

  constructor(client, handler, logs, request, allowsCallbacks) {
    this.#client = client;
    this.#handler = handler;
    this.#logs = logs;
    this.#headers = request.headers;
    this.#body = request.body;
    this.#allowsCallbacks = allowsCallbacks;
    this.requestId = request.headers["lambda-runtime-aws-request-id"];
  }

  /** Returns when the answer has been taken by the platform. */
  async run() {
    const finished = new Promise((resolve, reject) => (this.#finish = { resolve, reject }));
    this.#setTraceId();
    this.#whenIdle = () => this.#neverAnswered();
    try {
      const event = JSON.parse(this.#body.toString("utf8"));
      if (this.#handler.isStreaming) {
        this.#stream(event).catch((error) => this.#fail(error)); // it may never be settled
      } else {
        this.#call(event);
      }
    } catch (error) {
      this.#fail(error);
    }
    await finished;
  }

  /** Reports an error of this invocation from outside it; the process ends afterwards. */
  async report(error) {
    if (!this.#answered) {
      this.#answered = true;
      await this.#sendError(error);
    }
  }

  /** An answer that has begun to stream can only be broken off. */
  async #sendError(error) {
    if (this.#response?.hasBegun) {
      await this.#response.close(errorObject(error));
    } else {
      await this.#client.error(this.requestId, errorObject(error));
    }
  }

  /** Node calls it when only the idle Runtime API connection is left. */
  eventLoopIsEmpty() {
    const then = this.#whenIdle;
    this.#whenIdle = null;
    then?.();
  }

  #call(event) {
    const context = this.#context();
    if (!this.#allowsCallbacks) {
      Promise.resolve(this.#handler.call(event, context)).then((value) => this.#succeed(value), (e) => this.#fail(e));
      return;
    }
    const result = this.#handler.call(event, context, (error, value) => this.#callback(error, value));
    if (typeof result?.then === "function") {
      result.then((value) => this.#succeed(value), (error) => this.#fail(error));
    }
  }

  async #stream(event) {
    const stream = new ResponseStream((contentType) => this.#client.openStream(this.requestId, contentType));
    this.#response = stream;
    const result = this.#handler.call(event, stream, this.#context());
    if (typeof result?.then !== "function") {
      throw new Error("Streaming does not support non-async handlers.");
    }
    if ((await result) !== undefined) {
      console.warn("Streaming handlers ignore return values.");
    }
    if (!stream.writableEnded) {
      throw new Error("Response stream is not finished.");
    }
    await stream.finished();
    await this.#answer(() => stream.close());
  }

  #callback(error, value) {
    if (error !== undefined && error !== null) {
      this.#fail(error);
    } else if (!this.#waitsForEmptyEventLoop) {
      this.#succeed(value);
    } else if (!this.#answered) {
      this.#whenIdle = () => this.#succeed(value);
    }
  }

  #neverAnswered() {
    if (this.#handler.isAsync || this.#handler.isStreaming || !this.#allowsCallbacks) {
      this.#fail(
        new errors.NodeJsExit(
          "The Lambda runtime client detected an unexpected Node.js exit code. " +
            "This is most commonly caused by a Promise that was never settled. " +
            "For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes",
        ),
      );
    } else {
      this.#succeed(null);
    }
  }

  #succeed(value) {
    let text;
    try {
      text = JSON.stringify(value === undefined ? null : value) ?? "null";
    } catch {
      this.#fail(new errors.JSONStringifyError("Unable to stringify response body"));
      return;
    }
    void this.#answer(() => this.#client.response(this.requestId, text));
  }

  #fail(error) {
    if (!this.#answered) {
      this.#logs.error("Invoke Error", asError(error));
      void this.#answer(() => this.#sendError(error));
    }
  }

  /** The first answer counts. */
  async #answer(send) {
    if (this.#answered) {
      return;
    }
    this.#answered = true;
    this.#whenIdle = null;
    try {
      await written();
      await send();
      this.#finish.resolve();
    } catch (error) {
      this.#finish.reject(error);
    }
  }

  #setTraceId() {
    const traceId = this.#headers["lambda-runtime-trace-id"];
    if (traceId) {
      process.env._X_AMZN_TRACE_ID = traceId;
    } else {
      delete process.env._X_AMZN_TRACE_ID;
    }
  }

  #context() {
    const headers = this.#headers;
    const deadline = Number(headers["lambda-runtime-deadline-ms"]);
    return Object.assign(this.#allowsCallbacks && !this.#handler.isStreaming ? this.#callbackContext() : {}, {
      functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
      functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
      memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
      logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
      logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
      clientContext: parse(headers["lambda-runtime-client-context"], "ClientContext"),
      identity: parse(headers["lambda-runtime-cognito-identity"], "CognitoIdentity"),
      invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
      awsRequestId: this.requestId,
      getRemainingTimeInMillis: () => deadline - Date.now(),
    });
  }

  #callbackContext() {
    const invocation = this;
    const done = (error, value) => (error === undefined || error === null ? this.#succeed(value) : this.#fail(error));
    return {
      get callbackWaitsForEmptyEventLoop() {
        return invocation.#waitsForEmptyEventLoop;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        invocation.#waitsForEmptyEventLoop = Boolean(value);
      },
      succeed: (value) => done(null, value),
      fail: (error) => done(error ?? "handled"),
      done,
    };
  }
}

function parse(text, name) {
  if (text === undefined) {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error}`);
  }
}
