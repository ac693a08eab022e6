// `awslambda.streamifyResponse` and `awslambda.HttpResponseStream`: what the function writes goes out at once, and it
// waits while its reader is slow (`write` answers false, as any Writable's).

import { Writable } from "node:stream";

import { errors } from "./errors.mjs";

export const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HTTP_CONTENT_TYPE = "application/vnd.awslambda.http-integration-response";
const DELIMITER_BYTES = 8;

export class ResponseStream extends Writable {
  #open; // (contentType) => an answer under way, as runtime_client.mjs makes it
  #answer = null;
  #isOver = false;
  #prelude = null;
  #contentType = "application/octet-stream";

  constructor(open) {
    super();
    this.#open = open;
  }

  /** Whether something has gone out already. */
  get hasBegun() {
    return this.#answer !== null;
  }

  setContentType(contentType) {
    if (this.hasBegun) {
      throw new errors.InvalidStreamingOperation("Cannot set content-type, too late.");
    }
    this.#contentType = String(contentType);
  }

  write(chunk, ...rest) {
    const isData = typeof chunk === "string" || chunk instanceof Uint8Array;
    return super.write(isData ? chunk : JSON.stringify(chunk), ...rest);
  }

  /** Returns when everything before `end` has been taken. */
  finished() {
    return new Promise((resolve, reject) => {
      if (this.writableFinished) {
        resolve();
      } else {
        this.once("finish", resolve);
        this.once("error", reject);
      }
    });
  }

  _setPrelude(prelude) {
    this.#prelude = prelude;
  }

  _write(chunk, encoding, done) {
    if (this.#isOver) {
      done();
      return;
    }
    const data = this.#begin(chunk);
    if (data.length === 0) {
      done();
    } else {
      this.#answer.write(data, done);
    }
  }

  _final(done) {
    if (this.hasBegun || this.#isOver) {
      done();
    } else {
      this._write(Buffer.alloc(0), "buffer", done);
    }
  }

  /** Ends the answer; with an error object, as one that broke off. Returns when the platform has taken it. */
  async close(error) {
    this.#isOver = true;
    await this.#answer.end(error);
  }

  /** What goes out: with the first chunk the prelude too. */
  #begin(chunk) {
    if (this.hasBegun) {
      return chunk;
    }
    this.#answer = this.#open(this.#contentType);
    const prelude = this.#prelude === null ? [] : [Buffer.from(this.#prelude), Buffer.alloc(DELIMITER_BYTES)];
    return Buffer.concat([...prelude, chunk]);
  }
}

export function installGlobal() {
  if (["1", "true"].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) {
    return;
  }
  globalThis.awslambda = {
    streamifyResponse(handler) {
      handler[STREAMING] = "response";
      return handler;
    },
    HttpResponseStream: {
      from(stream, metadata) {
        stream.setContentType(HTTP_CONTENT_TYPE);
        stream._setPrelude(JSON.stringify(metadata));
        return stream;
      },
    },
  };
}
