"""From an object put to the start of the function that it triggers: `python -m bench s3_triggers`.

A real server and a function in the strongest tier that this host gives. The floor is one commit of the store plus one
warm invocation through the door, measured in the same run, in turn with it. Each object's key says when its request
left, so the put is within what is measured.
"""

import asyncio
import http.client
import time

from bench.triggers import MESSAGES, PAUSE_S, commits_ms, invocations_ms, make_role, make_zip, show, waited_ms
from botocore.config import Config

from cosset.testing import best_tier
from cosset.testing.server import CossetServer

BUCKET = "bench"
CODE = """
import json, time
from urllib.parse import unquote_plus


def handler(event, context):
    now = time.time()
    keys = [unquote_plus(record["s3"]["object"]["key"]) for record in event.get("Records", [])]
    if keys:
        print(json.dumps({"waited": [now - float(key) for key in keys]}))
"""


def put(server: CossetServer, count: int) -> list[float]:
    """Milliseconds of each put of 1 KB. The address is signed before its key's time begins."""
    signer = server.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
    host = server.endpoint.partition("//")[2]
    connection, taken = http.client.HTTPConnection(host), []
    for _ in range(count):
        leaves = time.time() + PAUSE_S
        url = signer.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": repr(leaves)})
        time.sleep(max(leaves - time.time(), 0))
        started = time.perf_counter()
        connection.request("PUT", url.partition(host)[2], b"x" * 1024)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        taken.append(1000 * (time.perf_counter() - started))
    return taken


def wait_for(server: CossetServer, count: int) -> list[float]:
    deadline = time.monotonic() + 120
    while len(found := waited_ms(server, BUCKET)) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} came"
        time.sleep(0.5)
    return found


def main() -> None:
    commit_ms = show("one commit of the store", asyncio.run(commits_ms(None, MESSAGES)))
    with CossetServer(["--tier", best_tier()]) as server:
        lambda_, s3 = server.client("lambda"), server.client("s3")
        made = lambda_.create_function(
            FunctionName=BUCKET,
            Runtime="python3.12",
            MemorySize=1769,
            Role=make_role(server, "bench-bucket", "logs:*"),
            Handler="index.handler",
            Code={"ZipFile": make_zip({"index.py": CODE})},
        )
        lambda_.get_waiter("function_active_v2").wait(FunctionName=BUCKET, WaiterConfig={"Delay": 1})
        s3.create_bucket(Bucket=BUCKET)
        lambda_.add_permission(
            FunctionName=BUCKET, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
        )
        told = {"LambdaFunctionArn": made["FunctionArn"], "Events": ["s3:ObjectCreated:*"]}
        s3.put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"LambdaFunctionConfigurations": [told]}
        )
        invocations_ms(server, BUCKET, 20)
        put(server, 20)
        wait_for(server, 20)
        warm, puts = [], []
        for _ in range(4):
            warm += invocations_ms(server, BUCKET, MESSAGES // 4)
            puts += put(server, MESSAGES // 4)
        floor = commit_ms + show("one warm invocation, signed, through the door", warm)
        show("a put of 1 KB, until its answer", puts)
        start = show("a put, to the start of its function", wait_for(server, MESSAGES + 20)[20:])
        print(f"{'above one commit and one warm invocation':58}     {start - floor:7.2f} ms   (at most 2)")
        print(f"{'of it':58}     {start / floor:7.2f}")


if __name__ == "__main__":
    main()
