"""Java: how the client is fetched, what a JVM is started with, and the authorities it is given."""

import base64
import hashlib
import shutil
import subprocess

import pytest

from cosset.runtimes import jvm
from cosset.runtimes.java_client import ARTIFACTS, Artifact, JavaClientError, install_java_client, is_installed
from cosset.runtimes.sealing import java_store


@pytest.fixture
def mirror(tmp_path):
    """A repository of files: URLs of the folder, and a function that puts an artifact there."""
    folder = tmp_path / "mirror"

    def put(name, content, sha256=None):
        artifact = Artifact("org.example", name, "1.0", sha256 or hashlib.sha256(content).hexdigest())
        path = folder / artifact.path
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return artifact

    return folder.as_uri(), put


def test_it_says_what_it_fetches_and_fetches_that(mirror, tmp_path):
    url, put = mirror
    artifacts = [put("one", b"1"), put("two", b"2")]
    said = []
    install_java_client(tmp_path / "java" / "lib", said.append, repository=url, artifacts=artifacts)
    assert said[1:3] == ["  org.example:one:1.0", "  org.example:two:1.0"]
    found = {path.name: path.read_bytes() for path in (tmp_path / "java" / "lib").iterdir()}
    assert found == {"one-1.0.jar": b"1", "two-1.0.jar": b"2"}
    assert [path.name for path in (tmp_path / "java").iterdir()] == ["lib"]


def test_what_is_not_what_it_should_be_replaces_nothing(mirror, tmp_path):
    url, put = mirror
    folder = tmp_path / "java" / "lib"
    install_java_client(folder, lambda _: None, repository=url, artifacts=[put("one", b"1")])
    with pytest.raises(JavaClientError, match="SHA-256"):
        install_java_client(folder, lambda _: None, repository=url, artifacts=[put("two", b"2", "0" * 64)])
    missing = Artifact("org.example", "three", "1.0", "0" * 64)
    with pytest.raises(JavaClientError, match="could not be fetched"):
        install_java_client(folder, lambda _: None, repository=url, artifacts=[missing])
    assert [path.name for path in folder.iterdir()] == ["one-1.0.jar"]
    assert [path.name for path in folder.parent.iterdir()] == ["lib"]


def test_only_the_whole_client_counts(tmp_path):
    for artifact in ARTIFACTS:
        assert not is_installed(tmp_path)
        (tmp_path / artifact.file_name).touch()
    assert is_installed(tmp_path)


def command(variables=(), version=(17, 0, 1), **more):
    given = {"memory_mb": 1000, "handler": "a.B::c", "variables": dict(variables), **more}
    return jvm.command("/bin/java", version, "/lib", **given)


def test_a_jvm_is_started_with_the_functions_memory_and_its_handler():
    started = command()
    assert started[0] == "/bin/java"
    assert "-Xmx850m" in started
    assert started[-4:] == ["-cp", "/lib/*", jvm.MAIN, "a.B::c"]
    assert not [option for option in started if "native" in option]
    assert "--enable-native-access=ALL-UNNAMED" in command(version=(25, 0, 1))


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ("-Xmx64m", "-Xmx850m"),
        ("-XX:MaxRAMPercentage=50", "-Xmx850m"),
        ("-XX:+UseG1GC", "-XX:+UseSerialGC"),
        ("-XX:TieredStopAtLevel=4", "-XX:TieredStopAtLevel=1"),
        ("-Djavax.net.ssl.trustStore=/var/task/mine", "-Djavax.net.ssl.trustStore=/store"),
    ],
)
def test_what_a_function_says_itself_is_not_said_against_it(told, missing):
    assert missing in command(trust_store="/store")
    assert missing not in command({"JAVA_TOOL_OPTIONS": told}, trust_store="/store")


def test_a_wrapper_is_given_the_command():
    assert command({"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}) == ["/opt/wrapper", *command()]


@pytest.mark.skipif(shutil.which("keytool") is None, reason="missing: keytool, of a JDK")
def test_java_reads_the_authorities_that_are_written_for_it(tmp_path):
    certificate = tmp_path / "a.pem"
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null"]
    made = ["openssl", "req", "-x509", *key, "-subj", "/CN=an authority", "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    pem = certificate.read_bytes()
    store = tmp_path / "store.jks"
    store.write_bytes(java_store.of_bundle(b"# a comment\n" + pem + b"\n" + pem))
    keytool = ["keytool", "-list", "-rfc", "-keystore", str(store), "-storetype", "JKS", "-storepass", "changeit"]
    listed = subprocess.run(keytool, check=True, capture_output=True, text=True).stdout
    assert "Your keystore contains 1 entry" in listed
    shown = listed.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
    expected = pem.decode().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
    assert base64.b64decode(shown) == base64.b64decode(expected)
