"""Server certificates, SSH public keys and signing certificates: checked when they come, kept, and shown."""

import datetime
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from cosset.services.iam.tables import server_certificates
from support.iam_bench import Bench, Run, run_with_iam

ENDS = datetime.datetime(2040, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return run_with_iam(tmp_path)


@cache
def certificate(name: str) -> tuple[str, str]:
    """A certificate and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(ENDS.replace(year=2020)).not_valid_after(ENDS)
    body = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return body, private.decode()


@cache
def ssh_key(bits: int = 2048) -> tuple[str, str]:
    """In OpenSSH's form and in PEM."""
    key = rsa.generate_private_key(65537, bits).public_key()
    ssh = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return ssh, pem


def test_the_life_of_a_server_certificate(run: Run) -> None:
    body, private_key = certificate("one")

    async def scenario(bench: Bench) -> None:
        uploaded = await bench.call(
            "UploadServerCertificate", ServerCertificateName="c", CertificateBody=body, PrivateKey=private_key
        )
        metadata = uploaded["ServerCertificateMetadata"]
        assert metadata["Arn"] == f"arn:aws:iam::{bench.account}:server-certificate/c"
        assert metadata["Expiration"] == int(ENDS.timestamp())
        assert metadata["ServerCertificateId"].startswith("ASCA")
        shown = (await bench.call("GetServerCertificate", ServerCertificateName="c"))["ServerCertificate"]
        assert shown == {"ServerCertificateMetadata": metadata, "CertificateBody": body.strip(), "Tags": []}
        kept = await bench.iam.store.read(lambda tx: tx.execute(select(server_certificates.c.private_key)).scalar_one())
        assert kept.startswith("sealed:")
        await bench.call("TagServerCertificate", ServerCertificateName="c", Tags=[{"Key": "k", "Value": "v"}])
        assert (await bench.call("ListServerCertificateTags", ServerCertificateName="c"))["Tags"]
        await bench.call("UntagServerCertificate", ServerCertificateName="c", TagKeys=["k"])
        renamed = {"NewServerCertificateName": "d", "NewPath": "/p/"}
        await bench.call("UpdateServerCertificate", ServerCertificateName="c", **renamed)
        listed = (await bench.call("ListServerCertificates", PathPrefix="/p/"))["ServerCertificateMetadataList"]
        assert [each["ServerCertificateName"] for each in listed] == ["d"]
        assert (await bench.call("GetAccountSummary"))["SummaryMap"]["ServerCertificates"] == 1
        again = {"CertificateBody": body, "PrivateKey": private_key}
        taken = await bench.refused("UploadServerCertificate", ServerCertificateName="D", **again)
        assert taken == ("EntityAlreadyExists", "The Server Certificate with name D already exists.", 409)
        await bench.call("DeleteServerCertificate", ServerCertificateName="d")
        gone = await bench.refused("GetServerCertificate", ServerCertificateName="d")
        assert gone == ("NoSuchEntity", "The Server Certificate with name d cannot be found.", 404)

    run(scenario)


def test_what_is_no_certificate_is_refused(run: Run) -> None:
    body, private_key = certificate("one")
    other = certificate("two")[1]

    async def scenario(bench: Bench) -> None:
        for given, code in (
            ({"CertificateBody": "x", "PrivateKey": private_key}, "MalformedCertificate"),
            ({"CertificateBody": private_key, "PrivateKey": private_key}, "MalformedCertificate"),
            ({"CertificateBody": body, "PrivateKey": "x"}, "MalformedCertificate"),
            ({"CertificateBody": body, "PrivateKey": body}, "MalformedCertificate"),
            ({"CertificateBody": body, "PrivateKey": other}, "KeyPairMismatch"),
            ({"CertificateBody": body, "PrivateKey": private_key + " " * 5_000}, "MalformedCertificate"),
            ({"CertificateBody": body, "PrivateKey": private_key, "CertificateChain": "x"}, "MalformedCertificate"),
        ):
            refusal = await bench.refused("UploadServerCertificate", ServerCertificateName="c", **given)
            assert refusal[0] == code
            assert private_key not in refusal[1]

    run(scenario)


def test_the_life_of_an_ssh_key(run: Run) -> None:
    ssh, pem = ssh_key()

    async def scenario(bench: Bench) -> None:
        await bench.call("CreateUser", UserName="u")
        made = (await bench.call("UploadSSHPublicKey", UserName="u", SSHPublicKeyBody=ssh))["SSHPublicKey"]
        assert made["SSHPublicKeyId"].startswith("APKA")
        assert len(made["Fingerprint"].split(":")) == 16
        named = {"UserName": "u", "SSHPublicKeyId": made["SSHPublicKeyId"]}
        for encoding, body in (("SSH", ssh), ("PEM", pem.strip())):
            shown = (await bench.call("GetSSHPublicKey", **named, Encoding=encoding))["SSHPublicKey"]
            assert shown["SSHPublicKeyBody"] == body
        for same in (ssh, pem):
            again = await bench.refused("UploadSSHPublicKey", UserName="u", SSHPublicKeyBody=same)
            assert again[0] == "DuplicateSSHPublicKey"
        await bench.call("UpdateSSHPublicKey", **named, Status="Inactive")
        listed = (await bench.call("ListSSHPublicKeys", UserName="u"))["SSHPublicKeys"]
        assert [each["Status"] for each in listed] == ["Inactive"]
        assert (await bench.refused("DeleteUser", UserName="u"))[0] == "DeleteConflict"
        await bench.call("DeleteSSHPublicKey", **named)
        assert (await bench.refused("GetSSHPublicKey", **named, Encoding="SSH"))[0] == "NoSuchEntity"
        await bench.call("DeleteUser", UserName="u")

    run(scenario)


def test_what_is_no_ssh_key_is_refused(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        small, _ = ssh_key(1024)
        for body in ("ssh-rsa", "ssh-rsa AAAA", "x" * 2000, "-----BEGIN PUBLIC KEY-----", small, certificate("one")[0]):
            refusal = await bench.refused("UploadSSHPublicKey", UserName="administrator", SSHPublicKeyBody=body)
            assert refusal[0] == "InvalidPublicKey"

    run(scenario)


def test_the_life_of_a_signing_certificate(run: Run) -> None:
    async def scenario(bench: Bench) -> None:
        made = []
        for name in ("one", "two"):
            answer = await bench.call("UploadSigningCertificate", CertificateBody=certificate(name)[0])
            assert answer["Certificate"]["UserName"] == "administrator"
            made.append(answer["Certificate"]["CertificateId"])
        again = await bench.refused("UploadSigningCertificate", CertificateBody=certificate("two")[0])
        assert again[0] == "DuplicateCertificate"
        full = await bench.refused("UploadSigningCertificate", CertificateBody=certificate("three")[0])
        assert full[0] == "LimitExceeded"
        await bench.call("UpdateSigningCertificate", CertificateId=made[0], Status="Inactive")
        listed = (await bench.call("ListSigningCertificates"))["Certificates"]
        assert {each["CertificateId"]: each["Status"] for each in listed} == {made[0]: "Inactive", made[1]: "Active"}
        await bench.call("DeleteSigningCertificate", CertificateId=made[0])
        assert (await bench.refused("DeleteSigningCertificate", CertificateId=made[0]))[0] == "NoSuchEntity"

    run(scenario)
