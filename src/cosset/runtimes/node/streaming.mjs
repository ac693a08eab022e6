// `awslambda.streamifyResponse` and `awslambda.HttpResponseStream`. What is streamed is kept, and sent when it has
// ended: the function sees a stream, the caller one answer.

import { Writable } from "node:stream";

import { errors } from "./errors.mjs";

export const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HTTP_CONTENT_TYPE = "application/vnd.awslambda.http-integration-response";
const DELIMITER_BYTES = 8;
const MAX_KEPT_BYTES = 20 * 1024 * 1024;

export class ResponseStream extends Writable {
  #chunks = [];
  #bytes = 0;
  #prelude = null;
  contentType = "application/octet-stream";

  setContentType(contentType) {
    if (this.#chunks.length > 0) {
      throw new errors.InvalidStreamingOperation("Cannot set content-type, too late.");
    }
    this.contentType = String(contentType);
  }

  write(chunk, ...rest) {
    const isData = typeof chunk === "string" || chunk instanceof Uint8Array;
    return super.write(isData ? chunk : JSON.stringify(chunk), ...rest);
  }

  _setPrelude(prelude) {
    this.#prelude = prelude;
  }

  _write(chunk, encoding, done) {
    this.#bytes += chunk.length;
    if (this.#bytes <= MAX_KEPT_BYTES) {
      this.#chunks.push(chunk);
    }
    done();
  }

  /** Returns when everything before `end` has passed through. */
  written() {
    return new Promise((resolve, reject) => {
      if (this.writableFinished) {
        resolve();
      } else {
        this.once("finish", resolve);
        this.once("error", reject);
      }
    });
  }

  body() {
    const prelude = this.#prelude === null ? [] : [Buffer.from(this.#prelude), Buffer.alloc(DELIMITER_BYTES)];
    return Buffer.concat([...prelude, ...this.#chunks]);
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
