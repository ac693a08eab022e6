"""kill -9 between cause and effect: an event that waits keeps its link to the function that sent it."""

import json
import time

from support.command import cosset
from support.role import make_role
from support.zip import make_zip

SOURCE = make_zip(
    {
        "index.py": "import os, time, boto3\n"
        "def handler(event, context):\n"
        "    if event.get('send'):\n"
        "        name = os.environ['AWS_LAMBDA_FUNCTION_NAME']\n"
        "        call = boto3.client('lambda').invoke(FunctionName=name, InvocationType='Event', Payload='{}')\n"
        "        return call['ResponseMetadata']['RequestId']\n"
    }
)
WITHIN_S = 240


def test_an_event_that_waited_is_linked_to_its_sender_after_a_kill(new_server):
    server = new_server()
    client = server.client("lambda")
    client.create_function(
        FunctionName="linked",
        Runtime="python3.12",
        Role=make_role(server, "linked", "lambda:InvokeFunction", "logs:*"),
        Handler="index.handler",
        Code={"ZipFile": SOURCE},
        Timeout=60,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="linked")
    sent = []
    for _ in range(3):
        answer = client.invoke(FunctionName="linked", Payload=json.dumps({"send": True}))
        sent.append((answer["ResponseMetadata"]["RequestId"], json.loads(answer["Payload"].read())))
        # The sender's own step is in the buffer for a second at most: what is asked for here is on disk.
        assert cosset(server, "trace", sent[-1][0]).returncode == 0
    server.kill9()
    server.start()
    until = time.monotonic() + WITHIN_S
    for sender, event in sent:
        while True:
            told = cosset(server, "trace", event, "--json")
            steps = json.loads(told.stdout)["steps"] if told.returncode == 0 else []
            if [(step["depth"], step["id"]) for step in steps] == [(0, sender), (1, event)]:
                break
            assert time.monotonic() < until, told
            time.sleep(0.2)
