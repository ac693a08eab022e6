// Finds the function's handler: `index.handler`, `folder/index.nested.handler`, CommonJS or ES module, as AWS does.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { errors } from "./errors.mjs";
import { installNodePath } from "./node_path.mjs";
import { installGlobal, STREAMING } from "./streaming.mjs";

const AsyncFunction = (async () => {}).constructor;

/** {call, isAsync, isStreaming, takesCallback}. Throws the errors whose names AWS documents. */
export async function loadHandler(root, text) {
  if (text.includes("..")) {
    throw new errors.MalformedHandlerName(
      `'${text}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const name = path.basename(text);
  const match = /^([^.]*)\.(.*)$/.exec(name);
  if (match === null) {
    throw new errors.MalformedHandlerName("Bad handler");
  }
  installGlobal();
  const module = await loadModule(root, text.slice(0, text.length - name.length), match[1]);
  const call = find(module, match[2]) ?? find(module?.default, match[2]);
  if (call === undefined || call === null) {
    throw new errors.HandlerNotFound(`${text} is undefined or not exported`);
  }
  if (typeof call !== "function") {
    throw new errors.HandlerNotFound(`${text} is not a function`);
  }
  const isStreaming = call[STREAMING] === "response";
  return { call, isAsync: call instanceof AsyncFunction, isStreaming, takesCallback: !isStreaming && call.length >= 3 };
}

async function loadModule(root, folder, name) {
  const file = path.resolve(root, folder, name);
  const require = createRequire(path.join(root, "index.js"));
  try {
    for (const [extension, isModule] of order(path.dirname(file))) {
      const candidate = file + extension;
      if (existsSync(candidate)) {
        return isModule ? await importModule(candidate) : require(candidate);
      }
    }
    return require(require.resolve(name, { paths: [root, path.join(root, folder)] }));
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new errors.UserCodeSyntaxError(String(error), error.stack);
    }
    if (error?.code === "MODULE_NOT_FOUND") {
      throw new errors.ImportModuleError(String(error));
    }
    throw error;
  }
}

async function importModule(file) {
  installNodePath();
  return import(pathToFileURL(file));
}

/** [extension, whether it is an ES module], in AWS's order. */
function order(folder) {
  const isModule = packageType(folder) === "module";
  const tried = [["", false], [".js", isModule], [".mjs", true], [".cjs", false]];
  return process.features.typescript ? [...tried, [".ts", isModule], [".mts", true], [".cts", false]] : tried;
}

/** `type` of the nearest package.json, as Node looks for it. */
function packageType(folder) {
  for (let at = folder; path.basename(at) !== "node_modules"; at = path.dirname(at)) {
    const file = path.join(at, "package.json");
    if (existsSync(file)) {
      try {
        return JSON.parse(readFileSync(file, "utf8"))?.type;
      } catch (error) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return undefined;
      }
    }
    if (at === path.dirname(at)) {
      return undefined;
    }
  }
  return undefined;
}

function find(module, dotted) {
  return dotted.split(".").reduce((value, key) => value?.[key], module);
}
