// `import` looks along NODE_PATH too, as AWS made it do from nodejs18.x on; Node itself does so for `require` only.
//
// It comes last: what the function brings in its own node_modules wins. The hooks run in this thread where Node can
// (22.15 and newer), else in its loader thread, which loads this module too.

import module from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const isBare = (specifier) => !/^(\.{0,2}\/|[a-z][a-z0-9+.-]*:|#)/i.test(specifier);

function parents() {
  const folders = (process.env.NODE_PATH ?? "").split(path.delimiter);
  return folders
    .filter((folder) => path.basename(folder) === "node_modules")
    .map((folder) => pathToFileURL(path.join(path.dirname(folder), "_.mjs")).href);
}

function notFound(error, specifier) {
  if (error?.code !== "ERR_MODULE_NOT_FOUND" || !isBare(specifier)) {
    throw error;
  }
}

/** Node calls it in its loader thread. */
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    notFound(error, specifier);
    for (const parentURL of parents()) {
      try {
        return await next(specifier, { ...context, parentURL });
      } catch (again) {
        notFound(again, specifier);
      }
    }
    throw error;
  }
}

function resolveHere(specifier, context, next) {
  try {
    return next(specifier, context);
  } catch (error) {
    notFound(error, specifier);
    for (const parentURL of parents()) {
      try {
        return next(specifier, { ...context, parentURL });
      } catch (again) {
        notFound(again, specifier);
      }
    }
    throw error;
  }
}

let isInstalled = false;

export function installNodePath() {
  if (isInstalled || parents().length === 0) {
    return;
  }
  isInstalled = true;
  if (module.registerHooks) {
    module.registerHooks({ resolve: resolveHere });
  } else if (module.register) {
    module.register(import.meta.url);
  }
}
