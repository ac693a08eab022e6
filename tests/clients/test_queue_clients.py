"""Queues through what users have: a stock Celery worker, the AWS CLI, boto3's resources."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cosset.testing.server import CossetServer

PATIENCE_S = 240

TASKS = """
import os
from celery import Celery

app = Celery("tasks", broker="sqs://")
app.conf.update(
    broker_transport_options={"region": os.environ["AWS_DEFAULT_REGION"], "wait_time_seconds": 2},
    task_default_queue="celery-of-the-tests",
    task_ignore_result=True,
    task_acks_late=True,
)

@app.task
def note(path, text):
    with open(path, "a") as file:
        file.write(text + "\\n")

@app.task(bind=True, max_retries=3, default_retry_delay=1)
def note_at_second_try(self, path, text):
    if self.request.retries == 0:
        raise self.retry()
    note(path, text)
"""
SEND = """
import sys
from tasks import note, note_at_second_try
for number in range(20):
    note.delay(sys.argv[1], f"task {number} \\u2713")
note.apply_async((sys.argv[1], "later"), countdown=1)
note_at_second_try.delay(sys.argv[1], "again")
for number in range(6):
    to = {"queue": "celery-of-the-tests.fifo", "MessageGroupId": "one"}
    note.apply_async((sys.argv[1] + ".fifo", str(number)), **to)
"""


def environ_of(server: CossetServer, folder: Path) -> dict[str, str]:
    keys = server.credentials
    kept = {name: value for name, value in server.environ.items() if name != "AWS_PROFILE"}
    return kept | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_DEFAULT_REGION": server.region,
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "PYTHONPATH": str(folder),
    }


@contextmanager
def worker(folder: Path, environ: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--pool", "solo", "--loglevel", "INFO"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command += ["--queues", "celery-of-the-tests,celery-of-the-tests.fifo"]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_a_stock_celery_worker_runs_what_was_sent(server: CossetServer, tmp_path: Path) -> None:
    pytest.importorskip("celery", reason="pip install 'celery[sqs]'")
    (tmp_path / "tasks.py").write_text(TASKS)
    environ, notes = environ_of(server, tmp_path), tmp_path / "notes"
    expected = {f"task {number} \u2713" for number in range(20)} | {"later", "again"}
    with worker(tmp_path, environ):
        subprocess.run([sys.executable, "-c", SEND, str(notes)], check=True, cwd=tmp_path, env=environ)
        until = time.monotonic() + PATIENCE_S
        while not notes.exists() or set(notes.read_text().splitlines()) != expected:
            assert time.monotonic() < until, (tmp_path / "worker.log").read_text()
            time.sleep(0.1)
        in_order = tmp_path / "notes.fifo"
        while not in_order.exists() or len(in_order.read_text().splitlines()) < 6:
            assert time.monotonic() < until, (tmp_path / "worker.log").read_text()
            time.sleep(0.1)
        assert in_order.read_text().split() == ["0", "1", "2", "3", "4", "5"]
        sqs = server.client("sqs")
        url = sqs.get_queue_url(QueueName="celery-of-the-tests")["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        while set(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()) != {"0"}:
            assert time.monotonic() < until, "the worker deletes what it has done"
            time.sleep(0.1)


def test_the_aws_cli_sends_and_receives(server: CossetServer, tmp_path: Path) -> None:
    environ = environ_of(server, tmp_path)

    def aws(*arguments: str) -> dict[str, object]:
        program = os.path.join(os.path.dirname(sys.executable), "aws")
        # Version 1 of the CLI goes to queue.amazonaws.com, whatever its profile and environment say, unless told here.
        command = [program, "--endpoint-url", server.endpoint, "sqs", *arguments, "--output", "json"]
        done = subprocess.run(command, check=True, env=environ, capture_output=True, text=True)
        return dict(json.loads(done.stdout or "{}"))

    url = str(aws("create-queue", "--queue-name", "cli", "--attributes", "VisibilityTimeout=5")["QueueUrl"])
    attribute = '{"kind": {"DataType": "String", "StringValue": "greeting"}}'
    sent = aws("send-message", "--queue-url", url, "--message-body", "hello", "--message-attributes", attribute)
    (message,) = aws("receive-message", "--queue-url", url, "--message-attribute-names", "All")["Messages"]
    assert (message["Body"], message["MessageId"]) == ("hello", sent["MessageId"])
    assert message["MessageAttributes"] == {"kind": {"DataType": "String", "StringValue": "greeting"}}
    aws("delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    assert aws("list-queues", "--queue-name-prefix", "cli")["QueueUrls"] == [url]
    aws("delete-queue", "--queue-url", url)


def test_boto3s_resources_know_their_queues(server: CossetServer) -> None:
    resource = server.session().resource("sqs", endpoint_url=server.endpoint)
    queue = resource.create_queue(QueueName="of-resources", tags={"team": "lamb"})
    queue.send_messages(Entries=[{"Id": str(number), "MessageBody": str(number)} for number in range(3)])
    found: list[str] = []
    until = time.monotonic() + PATIENCE_S
    while len(found) < 3 and time.monotonic() < until:
        for message in queue.receive_messages(MaxNumberOfMessages=10, WaitTimeSeconds=2):
            found.append(message.body)
            message.delete()
    assert sorted(found) == ["0", "1", "2"]
    assert resource.get_queue_by_name(QueueName="of-resources").url == queue.url
    assert queue in list(resource.queues.filter(QueueNamePrefix="of-res"))
    queue.delete()
