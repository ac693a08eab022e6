"""Secrets show nowhere: a server works and fails, and then everything that it wrote or shows is searched for them."""

import dataclasses
import gc
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.identity.key_material import secret_text
from cosset.identity.ports import KnownKey
from cosset.identity.principal import Credentials, Principal, PrincipalKind
from cosset.settings import Settings
from cosset.store.root_key import RootKey
from cosset.testing.server import CossetServer
from support.command import cosset
from support.logged import messages
from support.patience import until
from support.role import starter_role
from support.zip import make_zip

PASSWORD = "Correct-Horse-7-Battery"
CODE = "import os\ndef handler(event, context):\n    return {name: os.environ[name] for name in os.environ}\n"
FAILS = "def handler(event, context):\n    raise ValueError('on purpose')\n"


def working(server: CossetServer) -> Iterator[str]:
    """Lets the server do much of what touches secrets, well and badly; gives the secrets."""
    iam, sts = server.client("iam"), server.client("sts")
    yield server.credentials.secret_access_key
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    yield key["SecretAccessKey"]
    iam.create_login_profile(UserName="u", Password=PASSWORD)
    yield PASSWORD
    yield iam.create_service_specific_credential(UserName="u", ServiceName="codecommit.amazonaws.com")[
        "ServiceSpecificCredential"
    ]["ServicePassword"]
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="d")["VirtualMFADevice"]
    yield device["Base32StringSeed"].decode()
    session = sts.get_session_token()["Credentials"]
    yield session["SecretAccessKey"]
    yield session["SessionToken"]
    for made in (
        json.loads(cosset(server, "account", "add", "--no-profile", "--json").stdout),
        json.loads(cosset(server, "account", "add", "--no-profile", "--json").stdout),
    ):
        yield made["secret_access_key"]
    yield from functions(server)
    fail(server, key, session)


def functions(server: CossetServer) -> Iterator[str]:
    client = server.client("lambda")
    for name, code in (("shows", CODE), ("fails", FAILS)):
        client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=starter_role(server),
            Handler="index.handler",
            Code={"ZipFile": make_zip({"index.py": code})},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    inside = json.load(client.invoke(FunctionName="shows")["Payload"])
    yield inside["AWS_SECRET_ACCESS_KEY"]
    yield inside["AWS_SESSION_TOKEN"]
    assert client.invoke(FunctionName="fails")["FunctionError"] == "Unhandled"


def fail(server: CossetServer, key: dict[str, Any], session: dict[str, Any]) -> None:
    """What is refused carries secrets too: wrong passwords, wrong regions, tampered tokens, odd bodies."""
    iam, sts = server.client("iam"), server.client("sts")
    refused: list[Callable[[], Any]] = [
        lambda: iam.create_login_profile(UserName="u", Password=PASSWORD),
        lambda: iam.update_login_profile(UserName="nobody", Password=PASSWORD),
        lambda: iam.change_password(OldPassword=PASSWORD, NewPassword=PASSWORD + "1"),
        lambda: sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/none", RoleSessionName="session"),
        lambda: iam.upload_server_certificate(
            ServerCertificateName="c", CertificateBody="x", PrivateKey=key["SecretAccessKey"]
        ),
        lambda: server.client("lambda").invoke(FunctionName="none"),
    ]
    for token in (session["SessionToken"], session["SessionToken"][:-8], session["SessionToken"] + "AAAA"):
        for secret in (session["SecretAccessKey"], "wrong"):
            odd = boto3.client(
                "iam",
                endpoint_url=server.endpoint,
                region_name=server.region,
                aws_access_key_id=session["AccessKeyId"],
                aws_secret_access_key=secret,
                aws_session_token=token,
                config=Config(retries={"total_max_attempts": 1}),
            )
            refused.append(odd.list_users)
    for call in refused:
        with pytest.raises(ClientError) as caught:
            call()
        for secret in (PASSWORD, key["SecretAccessKey"], session["SecretAccessKey"], session["SessionToken"]):
            assert secret not in json.dumps(caught.value.response, default=str)


def processes(server: CossetServer) -> Iterator[tuple[str, bytes]]:
    """The command lines of the server and of all that it started."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                parents[int(name)] = int(Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    ours, before = {server.pid}, 0
    while len(ours) > before:
        before = len(ours)
        ours |= {pid for pid, parent in parents.items() if parent in ours}
    for pid in ours:
        try:
            yield f"the command line of {pid}", Path("/proc", str(pid), "cmdline").read_bytes()
        except OSError:
            continue


def written(server: CossetServer) -> Iterator[tuple[str, bytes]]:
    """Every file that the server made, but for the AWS profile, and the root key that is one."""
    for path in server.root.rglob("*"):
        if path.is_file() and path.parent != server.data / "aws" and path.name != "root.key":
            try:
                yield str(path.relative_to(server.root)), path.read_bytes()
            except OSError:
                continue


def test_no_secret_is_in_logs_files_or_command_lines(new_server: Callable[..., CossetServer]) -> None:
    server = new_server("--log-level", "debug")
    secrets = list(dict.fromkeys(working(server)))
    assert len(secrets) >= 10
    assert all(len(secret) > 15 for secret in secrets)
    secrets += [line for line in (server.data / "root.key").read_text().splitlines() if not line.startswith("#")]
    found = [*processes(server)]
    assert any(b"cosset" in text for _, text in found)
    lines = until(lambda: messages(server, "/aws/lambda/fails"))
    found.append(("the log of a function", json.dumps(lines).encode()))
    server.kill9()
    found += written(server)
    names = {name for name, _ in found}
    assert "server.log" in names
    assert "data/cosset.db" in names
    for place, text in found:
        for index, secret in enumerate(secrets):
            assert secret.encode() not in text, f"secret {index} is in {place}"


SECRET = secret_text(bytes(range(30)))


@pytest.mark.parametrize(
    "value",
    [
        Credentials("AKIA", SECRET, SECRET, 0),
        KnownKey(Credentials("AKIA", SECRET, SECRET), Principal(PrincipalKind.USER, "1", "arn", "AIDA")),
        RootKey(SECRET.encode()),
        Settings(database=f"postgresql://cosset:{SECRET}@host/cosset"),
    ],
)
def test_what_holds_a_secret_does_not_show_it(value: object) -> None:
    for shown in (repr(value), str(value), f"{value}"):
        assert SECRET not in shown


def test_fields_that_are_called_secrets_are_not_shown() -> None:
    """Every dataclass of the server: a field of such a name is left out of repr."""
    import cosset.cli.profile
    import cosset.node
    import cosset.testing.server  # noqa: F401 -- everything that a server imports at its start
    from cosset.services.iam.service import iam_service  # noqa: F401
    from cosset.services.sts.service import sts_service  # noqa: F401

    named = ("secret", "password", "session_token", "private_key", "seed_")
    shown = [
        f"{kind.__module__}.{kind.__qualname__}.{each.name}"
        for kind in gc.get_objects()
        if isinstance(kind, type) and str(kind.__module__).startswith("cosset.") and dataclasses.is_dataclass(kind)
        for each in dataclasses.fields(kind)
        if each.repr and any(word in each.name for word in named)
    ]
    assert sorted(set(shown)) == []
