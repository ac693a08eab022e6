"""kill -9 while functions are created and changed: what was answered is there, what was not is whole or not there."""

import hashlib
import threading
import urllib.request

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from support.role import starter_role
from support.zip import make_zip

ROUNDS = 3
ANSWERED_BEFORE_THE_KILL = 15


class Author(threading.Thread):
    """Creates functions, updates each and publishes it, until the server is gone; remembers what was answered."""

    def __init__(self, server, number, enough):
        super().__init__()
        self._client = server.client("lambda", config=Config(retries={"max_attempts": 0}, read_timeout=60))
        self._role = starter_role(server)
        self._number = number
        self._enough = enough
        self.answered = {}

    def run(self):
        for count in range(1000):
            name = f"fn-{self._number}-{count}"
            try:
                self._write(name)
            except (BotoCoreError, ClientError):
                return

    def _write(self, name):
        package = make_zip({"index.py": f"NAME = {name!r}\n"})
        self._client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=self._role,
            Handler="index.handler",
            Code={"ZipFile": package},
            Publish=True,
        )
        self.answered[name] = package
        self._enough.release()
        package = make_zip({"index.py": f"NAME = {name!r}  # changed\n"})
        self._client.update_function_code(FunctionName=name, ZipFile=package)
        self.answered[name] = package


def test_what_was_answered_survives_and_nothing_is_half_there(new_server):
    server = new_server()
    for attempt in range(ROUNDS):
        enough = threading.Semaphore(0)
        authors = [Author(server, f"{attempt}-{number}", enough) for number in range(3)]
        for author in authors:
            author.start()
        for _ in range(ANSWERED_BEFORE_THE_KILL):
            assert enough.acquire(timeout=120)
        server.kill9()
        for author in authors:
            author.join()
        server.start()
        client = server.client("lambda")
        answered = {name: package for author in authors for name, package in author.answered.items()}
        assert len(answered) >= ANSWERED_BEFORE_THE_KILL
        pages = client.get_paginator("list_functions").paginate()
        found = {item["FunctionName"] for page in pages for item in page["Functions"]}
        assert answered.keys() <= found
        for name in answered:
            check_whole(client, name)
        # An update may have been committed and not answered: of the others we know the code.
        same = [name for name, package in answered.items() if digest_of(client, name) == hash_of(package)]
        assert len(same) >= len(answered) - len(authors)


def check_whole(client, name):
    """Settled, and its package is what the configuration says."""
    found = client.get_function(FunctionName=name)
    assert found["Configuration"]["State"] == "Active"
    assert found["Configuration"]["LastUpdateStatus"] == "Successful"
    assert client.get_function_configuration(FunctionName=name, Qualifier="1")["State"] == "Active"
    with urllib.request.urlopen(found["Code"]["Location"]) as answer:
        assert len(answer.read()) == found["Configuration"]["CodeSize"]


def digest_of(client, name):
    with urllib.request.urlopen(client.get_function(FunctionName=name)["Code"]["Location"]) as answer:
        return hash_of(answer.read())


def hash_of(package):
    return hashlib.sha256(package).hexdigest()
