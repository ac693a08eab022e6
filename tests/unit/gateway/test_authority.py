"""The local certificate authority: its files, what it signs, and how many it keeps."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from cosset.environments.launcher import trust
from cosset.gateway import authority


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data") / authority.FOLDER
    authority.make(made)
    return made


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str | None) -> ssl.SSLObject:
    """In memory, without sockets. Raises: ssl.SSLError, of either side."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(to_client, to_server, server_hostname=host)
    answerer = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [caller, answerer]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return caller


def test_a_client_that_trusts_it_trusts_its_hosts(folder: Path) -> None:
    server = authority.HostCertificates(folder).context()
    client = ssl.create_default_context(cafile=str(folder / authority.CERTIFICATE))
    for host in ("sts.amazonaws.com", "B.s3.eu-west-1.amazonaws.com", "sqs.cn-north-1.amazonaws.com.cn", "x.api.aws"):
        assert shake_hands(server, client, host).version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        shake_hands(server, ssl.create_default_context(), "sts.amazonaws.com")


@pytest.mark.parametrize("host", ["example.com", "xamazonaws.com", "amazonaws.com", "a..amazonaws.com", None])
def test_signs_nothing_but_awss_names(folder: Path, host: str | None) -> None:
    client = ssl.create_default_context(cafile=str(folder / authority.CERTIFICATE))
    client.check_hostname = host is not None
    with pytest.raises((ssl.SSLError, ValueError, UnicodeError)):
        shake_hands(authority.HostCertificates(folder).context(), client, host)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="missing: openssl")
def test_even_its_key_makes_no_certificate_for_other_names(folder: Path, tmp_path: Path) -> None:
    """Whoever were to steal the key could pose as AWS in an environment, and as nobody else."""
    certificates = authority.HostCertificates(folder)
    kept: list[bytes] = []
    for host in ("bank.example", "sts.amazonaws.com"):
        authority_load = authority._load
        try:
            authority._load = lambda context, pem: kept.append(pem)
            certificates._make(host)
        finally:
            authority._load = authority_load
    results = []
    for pem in kept:
        (tmp_path / "host.pem").write_bytes(pem)
        command = ["openssl", "verify", "-CAfile", str(folder / authority.CERTIFICATE), str(tmp_path / "host.pem")]
        results.append(subprocess.run(command, capture_output=True, text=True))
    assert [result.returncode == 0 for result in results] == [False, True]
    assert "permitted subtree violation" in results[0].stderr


@pytest.mark.skipif(shutil.which("openssl") is None, reason="missing: openssl")
def test_its_subject_has_the_hash_that_the_launcher_files_it_under(folder: Path) -> None:
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", str(folder / authority.CERTIFICATE)]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == trust.SUBJECT_HASH


def test_its_key_is_its_owners_alone(folder: Path) -> None:
    assert (folder.stat().st_mode & 0o777, (folder / authority.KEY).stat().st_mode & 0o777) == (0o700, 0o600)


def test_keeps_a_bounded_number_of_hosts(folder: Path) -> None:
    certificates = authority.HostCertificates(folder)
    server = certificates.context()
    client = ssl.create_default_context(cafile=str(folder / authority.CERTIFICATE))
    for number in range(authority.HOSTS_KEPT + 8):
        shake_hands(server, client, f"bucket{number}.s3.amazonaws.com")
    assert len(certificates._contexts) == authority.HOSTS_KEPT


def test_is_made_once_however_many_wait_for_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        made = authority.Authority(tmp_path)
        await asyncio.gather(*(made.ensure() for _ in range(5)))
        content = (tmp_path / authority.FOLDER / authority.CERTIFICATE).read_bytes()
        await authority.Authority(tmp_path).ensure()
        assert (tmp_path / authority.FOLDER / authority.CERTIFICATE).read_bytes() == content
        assert trust.read(tmp_path) is not None
        assert await made.context() is await made.context()

    asyncio.run(scenario())


def test_says_where_none_could_be_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        made = authority.Authority(tmp_path / "nowhere")
        with pytest.raises(OSError, match="no certificate authority could be made"):
            await made.ensure()
        (tmp_path / "nowhere").mkdir()
        await made.ensure()

    asyncio.run(scenario())


def test_the_launcher_shows_a_certificate_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    """What the server put there could be anything, and functions would read it."""
    place = tmp_path / "authority"
    secret = tmp_path / "secret"
    secret.write_bytes((folder / authority.CERTIFICATE).read_bytes())
    assert trust.read(tmp_path) is None
    place.mkdir()
    for content in (b"", b"root:x:0", secret.read_bytes() + b"more", b"-----BEGIN CERTIFICATE-----\n" * 1000):
        (place / "certificate.pem").write_bytes(content)
        assert trust.read(tmp_path) is None
    (place / "certificate.pem").unlink()
    (place / "certificate.pem").symlink_to(secret)
    assert trust.read(tmp_path) is None
    (place / "certificate.pem").unlink()
    (place / "certificate.pem").mkdir()
    assert trust.read(tmp_path) is None
    (place / "certificate.pem").rmdir()
    place.rmdir()
    place.symlink_to(folder)
    assert trust.read(tmp_path) is None
    place.unlink()
    place.mkdir()
    shutil.copy(secret, place / "certificate.pem")
    assert trust.read(tmp_path) is not None
