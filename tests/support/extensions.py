"""Extensions and their subscribers as functions' authors write them, in Python and in shell, for every tier.

Each tells what it is told in the log, one JSON object a line.
"""

import sys

PYTHON = sys.executable

EXTERNAL = """#!{python}
import http.client, json, os, sys, time
name = os.path.basename(sys.argv[0])
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
BASE = "/2020-01-01/extension/"

def call(method, path, body=None, **headers):
    api.request(method, path, body, headers)
    answer = api.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()

def tell(**what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

headers = {{"Lambda-Extension-Name": name, "Lambda-Extension-Accept-Feature": "accountId"}}
status, answered, body = call("POST", BASE + "register", json.dumps({{"events": {events}}}), **headers)
tell(registered=json.loads(body), status=status, handler=os.environ.get("_HANDLER"), mine=os.environ.get("MINE"))
me = {{"Lambda-Extension-Identifier": answered["Lambda-Extension-Identifier"]}}

def report(phase):
    call("POST", BASE + phase + "/error", "{{}}", **me, **{{"Lambda-Extension-Function-Error-Type": "My.Error"}})

{before}
while True:
    status, _, body = call("GET", BASE + "event/next", **me)
    event = json.loads(body)
    tell(event=event)
    if event["eventType"] == "SHUTDOWN":
        {at_end}
        sys.exit(0)
    {at_event}
"""

SHELL = """#!/bin/sh
# Of the built-in commands and a Python that is there anyhow: images have no curl.
set -eu
exec {python} -S - <<'PROGRAM'
{program}
PROGRAM
"""


def external(
    events: str = '["INVOKE", "SHUTDOWN"]',
    before: str = "",
    at_event: str = "pass",
    at_end: str = "pass",
    python: str = PYTHON,
) -> str:
    """An external extension. `before` runs after it has registered, the others with an `event`."""
    return EXTERNAL.format(
        python=python,
        events=events,
        before=before,
        at_event=at_event.replace("\n", "\n    "),
        at_end=at_end.replace("\n", "\n        "),
    )
