"""The variables of a function, against AWS's page on them."""

from dataclasses import replace
from pathlib import Path

from cosset.environments.api import EnvironmentSpec
from cosset.environments.variables import Authorities, Folders, function_variables
from cosset.identity.principal import Credentials

SPEC = EnvironmentSpec(
    id="e1",
    account="123456789012",
    region="eu-west-1",
    function_name="greetingsOnDemand",
    function_arn="arn:aws:lambda:eu-west-1:123456789012:function:greetingsOnDemand",
    version="3",
    runtime="python3.12",
    handler="app.handler",
    memory_mb=256,
    timeout_s=3,
    ephemeral_storage_mb=512,
    code_dir=Path("/data/code/x"),
    log_group="/aws/lambda/greetingsOnDemand",
    log_stream="2026/11/21/[3]0123",
    credentials=Credentials("ASIA1", "secret", "token", 0),
    variables={"NAME": "Ann", "PATH": "/mine", "AWS_REGION": "not yours"},
)


def test_has_awss_own_and_the_users() -> None:
    variables = function_variables(SPEC, folders=Folders(language_bin="/var/lang/bin"), language_version=(3, 12))
    expected = {
        "NAME": "Ann",
        "_HANDLER": "app.handler",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.12",
        "AWS_LAMBDA_FUNCTION_NAME": "greetingsOnDemand",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "3",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/greetingsOnDemand",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/21/[3]0123",
        "AWS_ACCESS_KEY_ID": "ASIA1",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": "/var/runtime",
    }
    assert {name: variables.get(name) for name in expected} == expected


def test_the_user_may_change_the_unreserved_and_only_those() -> None:
    variables = function_variables(SPEC, folders=Folders(), endpoint="http://127.0.0.1:4566")
    assert variables["PATH"] == "/mine"
    assert variables["AWS_REGION"] == "eu-west-1"
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    own = replace(SPEC, variables={"AWS_ENDPOINT_URL": "https://example.com"})
    changed = function_variables(own, folders=Folders(), endpoint="http://127.0.0.1:4566")
    assert changed["AWS_ENDPOINT_URL"] == "https://example.com"


def test_says_the_runtime_api_only_where_there_is_one() -> None:
    assert "AWS_LAMBDA_RUNTIME_API" not in function_variables(SPEC, folders=Folders())
    variables = function_variables(SPEC, folders=Folders(), runtime_api="127.0.0.1:9001")
    assert variables["AWS_LAMBDA_RUNTIME_API"] == "127.0.0.1:9001"


def test_names_no_execution_environment_for_provided_runtimes() -> None:
    provided = replace(SPEC, runtime="provided.al2023")
    variables = function_variables(provided, folders=Folders())
    assert "AWS_EXECUTION_ENV" not in variables
    assert "PYTHONPATH" not in variables


def test_sets_the_log_format_only_for_json() -> None:
    assert "AWS_LAMBDA_LOG_FORMAT" not in function_variables(SPEC, folders=Folders())
    json_format = replace(SPEC, log_format="JSON", application_log_level="WARN")
    variables = function_variables(json_format, folders=Folders())
    assert (variables["AWS_LAMBDA_LOG_FORMAT"], variables["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "WARN")


def test_finds_nodes_modules_in_layers_by_version() -> None:
    node = replace(SPEC, runtime="nodejs22.x")
    variables = function_variables(node, folders=Folders(), language_version=(22, 4, 0))
    assert variables["NODE_PATH"].split(":")[0] == "/opt/nodejs/node22/node_modules"


def test_has_the_variables_that_a_function_finds_on_aws() -> None:
    # Recorded: TestLambdaRuntimesCommon::test_introspection_invoke[python3.13].
    variables = function_variables(replace(SPEC, variables={}), folders=Folders(), language_version=(3, 13))
    expected = {
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib"
        ":/var/task:/var/task/lib:/opt/lib",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
        "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
        "_AWS_XRAY_DAEMON_PORT": "2000",
        "LC_CTYPE": "C.UTF-8",
        "PWD": "/var/task",
        "SHLVL": "0",
    }
    assert {name: variables.get(name) for name in expected} == expected


def test_finds_what_only_some_runtimes_have_on_aws() -> None:
    # Recorded: test_introspection_invoke[python3.11], [provided.al2023], [provided.al2].
    plain = replace(SPEC, variables={})
    assert "LC_CTYPE" not in function_variables(plain, folders=Folders(), language_version=(3, 11))
    provided = function_variables(replace(plain, runtime="provided.al2023"), folders=Folders())
    assert provided["PATH"] == "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"
    assert not {"PWD", "SHLVL", "LC_CTYPE"} & provided.keys()
    older = function_variables(replace(plain, runtime="provided.al2"), folders=Folders())
    assert older["PATH"] == "/usr/local/bin:/usr/bin/:/bin:/opt/bin"
    assert older["LD_LIBRARY_PATH"].startswith("/lib64:/usr/lib64:/var/runtime:")


def test_clients_with_authorities_of_their_own_are_told_of_cossets() -> None:
    names = {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
    authorities = Authorities(all="/all", own="/own")
    assert not names & set(function_variables(SPEC, folders=Folders()))
    found = function_variables(replace(SPEC, variables={}), folders=Folders(), authorities=authorities)
    assert {name: found[name] for name in names & set(found)} == {"AWS_CA_BUNDLE": "/all", "REQUESTS_CA_BUNDLE": "/all"}
    node = replace(SPEC, runtime="nodejs22.x", variables={"AWS_CA_BUNDLE": "/mine"})
    found = function_variables(node, folders=Folders(), authorities=authorities)
    assert (found["NODE_EXTRA_CA_CERTS"], found["AWS_CA_BUNDLE"]) == ("/own", "/mine")
