"""Real Node.js functions through the process tier, on our own bootstrap."""

import json
from functools import partial

import pytest

from cosset.clock import SystemClock
from cosset.environments.api import InitError, Outcome
from cosset.environments.process import ProcessTier
from cosset.runtimes.catalogue import Catalogue, RuntimeNotServedError
from support.written import event_for, invoke_once, spec_for

CATALOGUE = Catalogue()


@pytest.fixture(scope="module")
def tier():
    try:
        CATALOGUE.serve("nodejs22.x")
    except RuntimeNotServedError as missing:
        pytest.skip(str(missing))
    return partial(ProcessTier, CATALOGUE, SystemClock())


@pytest.fixture
def node(tier, tmp_path):
    def invoke(source, *events, name="index.mjs", runtime="nodejs22.x", handler="index.handler", **changes):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        spec = spec_for(tmp_path, runtime, handler, **changes)
        return invoke_once(tier, spec, *(events or [event_for()]))

    return invoke


def result(answers):
    assert answers[0].outcome is Outcome.SUCCESS, answers[0].payload
    return json.loads(answers[0].payload)


def error(answers):
    assert answers[0].outcome is Outcome.ERROR, answers[0].payload
    return json.loads(answers[0].payload)


def test_an_es_module_answers_and_its_log_comes_first(node):
    source = "export const handler = async (event) => { console.log('hello', event.name); return {id: 7}; };"
    answers, lines = node(source, event_for(b'{"name": "Ada"}'), event_for(b'{"name": "Bob"}'))
    assert [json.loads(answer.payload) for answer in answers] == [{"id": 7}, {"id": 7}]
    assert [line.split("\t")[2:] for line in lines.messages] == [["INFO", "hello Ada\n"], ["INFO", "hello Bob\n"]]


@pytest.mark.parametrize(
    ("name", "handler", "source"),
    [
        ("index.js", "index.handler", "exports.handler = async () => 'found';"),
        ("index.cjs", "index.handler", "module.exports = {handler: async () => 'found'};"),
        ("src/deep/app.mjs", "src/deep/app.run", "export const run = async () => 'found';"),
        ("index.js", "index.api.v1.get", "exports.api = {v1: {get: async () => 'found'}};"),
        ("index.mjs", "index.handler", "export default {handler: async () => 'found'};"),
        ("node_modules/mine/index.js", "mine.handler", "exports.handler = async () => 'found';"),
    ],
)
def test_handlers_are_found_where_aws_finds_them(node, name, handler, source):
    answers, _ = node(source, name=name, handler=handler)
    assert result(answers) == "found"


def test_a_js_file_in_a_package_of_modules_is_a_module(node, tmp_path):
    (tmp_path / "package.json").write_text('{"type": "module"}')
    answers, _ = node("export const handler = async () => import.meta.url;", name="index.js")
    assert result(answers).endswith("/index.js")


@pytest.mark.parametrize(
    "source",
    [
        "exports.handler = (event, context, callback) => callback(null, 'done');",
        "exports.handler = (event, context, callback) => setTimeout(() => callback(null, 'done'), 5);",
        "exports.handler = (event, context) => context.succeed('done');",
        "exports.handler = (event, context) => context.done(null, 'done');",
        "exports.handler = (event, context) => ({then: (resolve) => resolve('done')});",
        "exports.handler = (event, context, callback) => { context.callbackWaitsForEmptyEventLoop = false;"
        " setInterval(() => {}, 1000); callback(null, 'done'); };",
    ],
)
def test_every_way_of_calling_back(node, source):
    answers, _ = node(source, event_for(), event_for(), name="index.js")
    assert [answer.payload for answer in answers] == [b'"done"', b'"done"']


def test_a_callback_waits_for_the_event_loop_to_be_empty(node):
    source = """
    const waited = [];
    exports.handler = (event, context, callback) => {
        setTimeout(() => waited.push(event.n), 20);
        callback(null, waited.length);
    };"""
    answers, _ = node(source, event_for(b'{"n": 1}'), event_for(b'{"n": 2}'), name="index.js")
    assert [answer.payload for answer in answers] == [b"0", b"1"]


def test_a_handler_that_never_calls_back_answers_null(node):
    answers, _ = node("exports.handler = (event, context, callback) => {};", name="index.js")
    assert result(answers) is None


def test_a_promise_that_is_never_settled_is_an_error(node):
    answers, _ = node("exports.handler = async () => { await new Promise(() => {}); };", name="index.js")
    assert error(answers)["errorType"] == "Runtime.NodeJsExit"


def test_node_24_takes_no_callbacks(node):
    with pytest.raises(InitError) as raised:
        node("exports.handler = (event, context, callback) => callback();", name="index.js", runtime="nodejs24.x")
    assert raised.value.error_type == "Runtime.CallbackHandlerDeprecated"


def test_the_context_has_awss_fields(node):
    source = """exports.handler = async (event, context) => ({
        ...context, left: context.getRemainingTimeInMillis(), traceId: process.env._X_AMZN_TRACE_ID });"""
    event = event_for(client_context='{"custom": {"f\\u00fc": "b"}}', cognito_identity='{"cognitoIdentityId": "i"}')
    answers, _ = node(source, event, name="index.js")
    context = result(answers)
    assert 0 < context.pop("left") <= 30_000
    assert context.pop("logStreamName").startswith("2026/11/21/[$LATEST]")
    assert context == {
        "callbackWaitsForEmptyEventLoop": True,
        "functionVersion": "$LATEST",
        "functionName": "greetingsOnDemand",
        "memoryLimitInMB": "256",
        "logGroupName": "/aws/lambda/greetingsOnDemand",
        "clientContext": {"custom": {"fü": "b"}},
        "identity": {"cognitoIdentityId": "i"},
        "invokedFunctionArn": event.invoked_arn,
        "awsRequestId": event.request_id,
        "traceId": event.trace_id,
    }


def test_a_thrown_error_has_awss_shape_and_is_logged(node):
    source = "exports.handler = async () => { throw new TypeError('no\\nway'); };"
    event = event_for()
    answers, lines = node(source, event, name="index.js")
    shown = error(answers)
    assert shown["errorType"] == "TypeError"
    assert shown["errorMessage"] == "no\nway"
    assert shown["trace"][0] == "TypeError: no"
    assert "index.js:1:" in shown["trace"][2]
    assert answers[0].error_type == "TypeError"
    logged = lines.messages[0].split("\t")
    assert logged[1:4] == [event.request_id, "ERROR", "Invoke Error "]
    assert json.loads(logged[4])["errorType"] == "TypeError"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("throw 'text'", {"errorType": "string", "errorMessage": "text", "trace": []}),
        ("throw undefined", {"errorType": "undefined", "errorMessage": "undefined", "trace": []}),
        ("throw Object.create(null)", {"errorType": "handled"}),
        ("return 1n", {"errorType": "Runtime.JSONStringifyError", "errorMessage": "Unable to stringify response body"}),
        ("const a = {}; a.a = a; return a", {"errorType": "Runtime.JSONStringifyError"}),
    ],
)
def test_odd_ends(node, source, expected):
    answers, _ = node(f"exports.handler = async () => {{ {source}; }};", name="index.js")
    shown = error(answers)
    assert {key: shown[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("files", "handler", "error_type", "message"),
    [
        ({}, "index.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'index'"),
        ({"index.js": "require('nope')"}, "index.handler", "Runtime.ImportModuleError", "Cannot find module 'nope'"),
        ({"index.js": "exports.other = 1"}, "index.handler", "Runtime.HandlerNotFound", "is undefined or not exported"),
        ({"index.js": "exports.handler = 1"}, "index.handler", "Runtime.HandlerNotFound", "is not a function"),
        ({"index.js": "exports.handler = {{"}, "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ({"index.js": ""}, "index", "Runtime.MalformedHandlerName", "Bad handler"),
        ({"index.js": ""}, "../index.handler", "Runtime.MalformedHandlerName", "is not a valid handler name"),
        ({"index.js": "throw new RangeError('at load')"}, "index.handler", "RangeError", "at load"),
        ({"index.js": "Promise.reject(new Error('later')); setTimeout(() => {}, 9)"}, "index.handler", None, None),
    ],
)
def test_init_errors_have_awss_names(tier, tmp_path, files, handler, error_type, message):
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    with pytest.raises(InitError) as raised:
        invoke_once(tier, spec_for(tmp_path, "nodejs22.x", handler), event_for())
    shown = json.loads(raised.value.payload)
    if error_type is None:
        assert shown["errorType"] in ("Runtime.HandlerNotFound", "Runtime.UnhandledPromiseRejection")
    else:
        assert (raised.value.error_type, shown["errorType"]) == (error_type, error_type)
        assert message in shown["errorMessage"]


def test_an_unhandled_rejection_is_reported_and_ends_the_process(node):
    source = """exports.handler = async () => {
        Promise.reject(new Error('nobody listens')); await new Promise((r) => setTimeout(r, 1000)); };"""
    answers, lines = node(source, name="index.js")
    assert error(answers)["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert error(answers)["errorMessage"] == "Error: nobody listens"
    assert "Unhandled Promise Rejection" in lines.text


def test_an_uncaught_exception_is_reported(node):
    source = """exports.handler = async () => {
        setTimeout(() => { throw new RangeError('afar'); }, 1); await new Promise((r) => setTimeout(r, 1000)); };"""
    answers, _ = node(source, name="index.js")
    assert error(answers)["errorType"] == "RangeError"


def test_json_logs(node):
    source = """exports.handler = async () => {
        console.debug('hidden'); console.warn({a: 1}); console.error('failed', new TypeError('x'));
        console.info(new Error('alone')); };"""
    event = event_for()
    _, lines = node(source, event, name="index.js", log_format="JSON", application_log_level="INFO")
    logged = [json.loads(message) for message in lines.messages]
    assert [entry["level"] for entry in logged] == ["WARN", "ERROR", "INFO"]
    assert {entry["requestId"] for entry in logged} == {event.request_id}
    assert logged[0]["message"] == {"a": 1}
    assert (logged[1]["errorType"], logged[1]["errorMessage"]) == ("TypeError", "x")
    assert logged[2]["message"]["errorMessage"] == "alone"


def test_one_console_call_is_one_event_however_many_lines(node):
    _, lines = node("exports.handler = async () => { console.log('one\\ntwo'); };", name="index.js")
    assert len(lines.messages) == 1
    assert lines.messages[0].endswith("INFO\tone\ntwo\n")


@pytest.mark.parametrize("runtime", ["nodejs20.x", "nodejs24.x"])
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("index.mjs", "import {who} from 'shared'; import own from 'own';"
         "export const handler = async () => who + own;"),
        ("index.js", "const own = require('own'); const {who} = require('shared');"
         "exports.handler = async () => who + own;"),
    ],
)  # fmt: skip
def test_layers_are_found_along_node_path_by_import_and_require(node, tmp_path, runtime, name, source):
    for folder, text in (
        ("layer/nodejs/node_modules/shared", "exports.who = 'layer';"),
        ("layer/nodejs/node_modules/own", "module.exports = '-theirs';"),
        ("node_modules/own", "module.exports = '-mine';"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "index.js").write_text(text)
    answers, _ = node(source, name=name, runtime=runtime, layer_dirs=(tmp_path / "layer",))
    assert result(answers) == "layer-mine"


def test_what_a_full_pipe_did_not_take_still_comes_before_the_answer(node):
    source = """exports.handler = async () => {
        for (let i = 0; i < 100; i++) process.stdout.write('y'.repeat(99999) + '\\n');
        process.stderr.write('z'.repeat(200000) + '\\n'); };"""
    answers, lines = node(source, name="index.js", memory_mb=512)
    assert result(answers) is None
    assert len(lines.text) == 100 * 100_000 + 200_001


def test_a_function_that_closes_every_socket_is_answered_all_the_same(node):
    source = """exports.handler = async (event) => {
        for (const handle of process._getActiveHandles()) handle.destroy?.(); return event; };"""
    answers, _ = node(source, event_for(b"1"), event_for(b"2"), name="index.js")
    assert [answer.payload for answer in answers] == [b"1", b"2"]


def test_streamed_answers_come_whole(node):
    source = """export const handler = awslambda.streamifyResponse(async (event, stream, context) => {
        stream.setContentType('text/plain'); stream.write('one '); stream.write('two'); stream.end(); });"""
    answers, _ = node(source)
    assert (answers[0].payload, answers[0].content_type) == (b"one two", "text/plain")


def test_streamed_http_metadata_stands_before_the_body(node):
    source = """export const handler = awslambda.streamifyResponse(async (event, stream) => {
        const out = awslambda.HttpResponseStream.from(stream, {statusCode: 201}); out.write('body'); out.end(); });"""
    answers, _ = node(source)
    assert answers[0].payload == b'{"statusCode":201}' + bytes(8) + b"body"
    assert answers[0].content_type == "application/vnd.awslambda.http-integration-response"


def test_seven_megabytes_are_refused_and_the_function_lives_on(node):
    source = "export const handler = async (event) => 'x'.repeat(event.n);"
    answers, _ = node(source, event_for(b'{"n": 7000000}'), event_for(b'{"n": 1}'))
    assert error(answers)["errorType"] == "Function.ResponseSizeTooLarge"
    assert answers[1].payload == b'"x"'


def test_a_large_event_arrives_whole(node):
    payload = json.dumps({"text": "ü" * 2_900_000}, ensure_ascii=False).encode()
    answers, _ = node("export const handler = async (event) => event.text.length;", event_for(payload))
    assert result(answers) == 2_900_000
