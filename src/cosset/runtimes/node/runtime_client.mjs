// The Runtime API over one kept-alive socket. Between requests the socket does not keep the event loop alive, so that
// Node tells when the function has nothing left to do.

import net from "node:net";

const VERSION = "/2018-06-01/runtime/";
const LINE = Buffer.from("\r\n");
const END_OF_HEAD = Buffer.from("\r\n\r\n");
const ERROR_TYPE = "Lambda-Runtime-Function-Error-Type";
const ERROR_BODY = "Lambda-Runtime-Function-Error-Body";

class Gone extends Error {}

export class RuntimeClient {
  static Gone = Gone; // nobody answers any more

  #host;
  #socket = null;
  #received = [];
  #receivedBytes = 0;
  #awaitedBytes = 0; // of the answer under way, when its head is known
  #waiting = null; // {resolve, reject} of the request under way
  #queue = Promise.resolve();

  /** Whether it is waiting for an event. */
  isAsking = false;

  constructor(host) {
    this.#host = host;
  }

  /** {headers, body}: waits as long as it takes. */
  async next() {
    this.isAsking = true;
    const { status, headers, body } = await this.#request("GET", "invocation/next");
    this.isAsking = false;
    if (status !== 200) {
      throw new Gone(`next was answered ${status}`);
    }
    return { headers, body };
  }

  async response(requestId, text) {
    await this.#post(`invocation/${requestId}/response`, text, { "Content-Type": "application/json" });
  }

  /** Begins an answer that is sent as it comes: {write(data, done), end(error)}. `done` is called when the platform has
   * taken the data; `end` returns when it has taken the answer. Until then nothing else is asked. */
  openStream(requestId, contentType) {
    let release;
    this.#queue = new Promise((resolve) => (release = resolve));
    const socket = this.#connect();
    const head = requestHead("POST", `invocation/${requestId}/response`, this.#host, {
      "Content-Type": printable(contentType),
      "Lambda-Runtime-Function-Response-Mode": "streaming",
      "Transfer-Encoding": "chunked",
      Trailer: `${ERROR_TYPE}, ${ERROR_BODY}`,
    });
    socket.write(head);
    return {
      write: (data, done) => socket.write(Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, LINE]), done),
      end: (error) => this.#endStream(socket, error).finally(release),
    };
  }

  #endStream(socket, error) {
    const trailers = error === undefined ? "" : errorTrailers(error);
    return new Promise((resolve, reject) => {
      if (socket.destroyed) {
        reject(new Gone("the Runtime API closed the connection"));
        return;
      }
      this.#waiting = { resolve, reject };
      socket.ref();
      socket.write(`0\r\n${trailers}\r\n`);
    });
  }

  async error(requestId, error) {
    await this.#post(`invocation/${requestId}/error`, JSON.stringify(error), errorHeaders(error));
  }

  async initError(error) {
    await this.#post("init/error", JSON.stringify(error), errorHeaders(error));
  }

  async #post(path, body, headers) {
    await this.#request("POST", path, headers, body); // a refusal (413 ...) is the platform's to tell the caller
  }

  /** One at a time: the next one waits for this one's answer. */
  #request(method, path, headers = {}, body = "") {
    const sent = this.#queue.then(() => this.#exchange(method, path, headers, body));
    this.#queue = sent.catch(() => {});
    return sent;
  }

  #exchange(method, path, headers, body) {
    const data = Buffer.from(body, "utf8");
    const length = method === "POST" ? { "Content-Length": data.length } : {};
    const head = requestHead(method, path, this.#host, { ...headers, ...length });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const socket = this.#connect();
      socket.ref();
      socket.write(Buffer.concat([head, data]));
    });
  }

  #connect() {
    if (this.#socket === null) {
      const [name, port] = this.#host.split(":");
      this.#received = [];
      this.#receivedBytes = this.#awaitedBytes = 0;
      this.#socket = net.connect({ host: name, port: Number(port), noDelay: true });
      this.#socket.on("data", (data) => this.#take(data));
      this.#socket.on("error", () => {});
      this.#socket.on("close", () => this.#lost());
    }
    return this.#socket;
  }

  #lost() {
    this.#socket = null;
    this.#waiting?.reject(new Gone("the Runtime API closed the connection"));
    this.#waiting = null;
  }

  /** An event may come in many pieces: they are joined once, when all are there. */
  #take(data) {
    this.#received.push(data);
    this.#receivedBytes += data.length;
    if (this.#receivedBytes < this.#awaitedBytes) {
      return;
    }
    const whole = Buffer.concat(this.#received);
    this.#received = [whole];
    const end = whole.indexOf(END_OF_HEAD);
    if (end < 0) {
      return;
    }
    const { status, headers } = parseHead(whole.toString("latin1", 0, end));
    this.#awaitedBytes = end + 4 + Number(headers["content-length"] ?? 0);
    if (whole.length < this.#awaitedBytes) {
      return;
    }
    this.#received = [];
    this.#receivedBytes = this.#awaitedBytes = 0;
    this.#socket.unref();
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve({ status, headers, body: whole.subarray(end + 4) });
  }
}

function errorHeaders(error) {
  return { "Content-Type": "application/json", [ERROR_TYPE]: printable(error.errorType) };
}

function errorTrailers(error) {
  const body = Buffer.from(JSON.stringify(error)).toString("base64");
  return `${ERROR_TYPE}: ${printable(error.errorType)}\r\n${ERROR_BODY}: ${body}\r\n`;
}

/** A header cannot hold everything that an error's name, or a content type, can. */
function printable(text) {
  return String(text).replace(/[^\x20-\x7e]/g, "?");
}

function requestHead(method, path, host, headers) {
  const lines = [`${method} ${VERSION}${path} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of Object.entries(headers)) {
    lines.push(`${name}: ${value}`);
  }
  return Buffer.from(lines.join("\r\n") + "\r\n\r\n", "latin1");
}

function parseHead(text) {
  const [first, ...lines] = text.split("\r\n");
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(first.split(" ")[1]), headers };
}
