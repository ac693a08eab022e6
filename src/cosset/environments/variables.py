"""The environment variables of a function, alike in every tier: AWS's own, the function's, nothing of the host's.

Of AWS's names some may be set by the function (PATH, TZ ...) and some never (AWS_LAMBDA_..., credentials): the first
lie below the function's own variables, the second above. The values are AWS's, but for the paths a tier has elsewhere.
Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

from dataclasses import dataclass

from cosset.environments.api import EnvironmentSpec

XRAY_DAEMON = "127.0.0.1:2000"
"""AWS names a daemon to every function. This is where its SDK sends to if none is named: nobody need be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where the code inside finds its own. The defaults are AWS's, which the jail can give.

    `language_bin` is the folder of the interpreter, first in PATH.
    """

    task: str = "/var/task"
    layers: str = "/opt"
    runtime: str = "/var/runtime"
    language_bin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorities:
    """Files of the certificate authorities to be trusted: with all the host's, and Cosset's own alone."""

    all: str
    own: str


def function_variables(
    spec: EnvironmentSpec,
    *,
    folders: Folders,
    language_version: tuple[int, ...] = (),
    runtime_api: str | None = None,
    endpoint: str | None = None,
    authorities: Authorities | None = None,
) -> dict[str, str]:
    """Everything the function's processes see.

    Args:
        language_version: of the interpreter that serves the runtime, () for provided.
        runtime_api: host and port of the HTTP Runtime API, where the tier speaks it.
        endpoint: URL at which code inside reaches Cosset; None: not offered.
        authorities: where AWS's own names lead to Cosset: for those clients that bring authorities of their own.
    """
    variables = _defaults(spec, folders, language_version)
    if endpoint is not None:
        variables["AWS_ENDPOINT_URL"] = endpoint
    if authorities is not None:
        variables |= {"AWS_CA_BUNDLE": authorities.all, "REQUESTS_CA_BUNDLE": authorities.all}
        if spec.runtime.startswith("nodejs"):
            variables["NODE_EXTRA_CA_CERTS"] = authorities.own
    variables.update(spec.variables)
    variables.update(_reserved(spec, folders))
    if runtime_api is not None:
        variables["AWS_LAMBDA_RUNTIME_API"] = runtime_api
    return variables


def _defaults(spec: EnvironmentSpec, folders: Folders, version: tuple[int, ...]) -> dict[str, str]:
    task, layers, runtime = folders.task, folders.layers, folders.runtime
    path = ["/usr/local/bin", "/usr/bin/", "/bin", f"{layers}/bin"]
    libraries = ["/lib64", "/usr/lib64", runtime, f"{runtime}/lib", task, f"{task}/lib", f"{layers}/lib"]
    if spec.runtime != "provided.al2":  # the one system of AWS's without a folder for languages
        path.insert(0, folders.language_bin or "/var/lang/bin")
        libraries.insert(0, "/var/lang/lib")
    variables = {
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": ":".join(path),
        "LD_LIBRARY_PATH": ":".join(libraries),
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": XRAY_DAEMON,
        "_AWS_XRAY_DAEMON_ADDRESS": XRAY_DAEMON.partition(":")[0],
        "_AWS_XRAY_DAEMON_PORT": XRAY_DAEMON.partition(":")[2],
    }
    if not spec.runtime.startswith("provided"):
        variables |= {"PWD": task, "SHLVL": "0"}  # of the shell that starts AWS's managed runtimes
    if spec.runtime.startswith("python"):
        variables["PYTHONPATH"] = runtime
        if version >= (3, 12):
            variables["LC_CTYPE"] = "C.UTF-8"
    elif spec.runtime.startswith("nodejs"):
        modules = [f"{layers}/nodejs/node_modules", f"{runtime}/node_modules", runtime, task]
        if version:
            modules.insert(0, f"{layers}/nodejs/node{version[0]}/node_modules")
        variables["NODE_PATH"] = ":".join(modules)
    return variables


def _reserved(spec: EnvironmentSpec, folders: Folders) -> dict[str, str]:
    variables = {
        "_HANDLER": spec.handler,
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_LAMBDA_FUNCTION_NAME": spec.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": spec.initialization_type,
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": spec.log_stream,
        "AWS_ACCESS_KEY_ID": spec.credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": spec.credentials.secret_access_key,
        "LAMBDA_TASK_ROOT": folders.task,
        "LAMBDA_RUNTIME_DIR": folders.runtime,
    }
    if spec.credentials.session_token:
        variables["AWS_SESSION_TOKEN"] = spec.credentials.session_token
    if not spec.runtime.startswith("provided"):
        variables["AWS_EXECUTION_ENV"] = f"AWS_Lambda_{spec.runtime}"
    if spec.log_format == "JSON":
        variables["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
        if spec.application_log_level:
            variables["AWS_LAMBDA_LOG_LEVEL"] = spec.application_log_level
    return variables
