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

SHELL = """#!/bin/bash
ask() {
    exec 3<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API/:/\\/}"
    printf '%s /2020-01-01/extension/%s HTTP/1.1\\r\\nHost: x\\r\\n' "$1" "$2" >&3
    printf '%s\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n%s' "$3" "${#4}" "$4" >&3
    cat <&3
    exec 3>&-
}
answer=$(ask POST register "Lambda-Extension-Name: ${0##*/}" '{"events":["INVOKE","SHUTDOWN"]}')
me=$(grep -i '^Lambda-Extension-Identifier:' <<< "$answer" | tr -d '\\r')
while event=$(ask GET event/next "$me" ''); do
    echo "shell got ${event##*$'\\n'}"
    case $event in *SHUTDOWN*) exit 0 ;; esac
done
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


SUBSCRIBED = """
import threading
received = []

def subscribe(destination, path="/2022-07-01/telemetry", schema="2022-12-13", types=("platform", "function")):
    body = {"schemaVersion": schema, "types": types, "destination": destination}
    body["buffering"] = {"timeoutMs": 25}
    status, _, answer = call("PUT", path, json.dumps(body), **me)
    tell(subscribed=answer.decode(), status=status)
"""
HTTP_SUBSCRIBER = (
    SUBSCRIBED
    + """
import http.server
refusals = [1]

class Taker(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if refusals:  # the first batch is to be brought again
            refusals.pop()
            self.send_error(500)
            return
        received.extend(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

taker = http.server.HTTPServer((HOST, PORT), Taker)
threading.Thread(target=taker.serve_forever, daemon=True).start()
subscribe({"protocol": "HTTP", "URI": "http://sandbox.localdomain:%d/taken" % PORT})
"""
)
TCP_SUBSCRIBER = (
    SUBSCRIBED
    + """
import socket
taker = socket.create_server((HOST, PORT))

def take():
    connection, _ = taker.accept()
    for line in connection.makefile():
        received.append(json.loads(line))

threading.Thread(target=take, daemon=True).start()
"""
)
TELL_RECEIVED = """
def told():
    return [each for each in received if each["type"] == "platform.report"]
for _ in range(3000):
    if told():
        break
    time.sleep(0.01)
tell(telemetry=received)
"""


def subscriber(
    kind: str, port: int, host: str = "sandbox.localdomain", subscription: str = "", python: str = PYTHON
) -> str:
    """An external extension that takes telemetry over `http` or `tcp`, and tells at its end what it was brought."""
    before = HTTP_SUBSCRIBER if kind == "http" else TCP_SUBSCRIBER
    place = f"HOST, PORT = {host!r}, {port}\n"
    return external(before=place + before + subscription, at_end=TELL_RECEIVED, python=python)
