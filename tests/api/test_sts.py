"""STS through stock boto3."""

import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from cosset.testing.server import CossetServer
from support.identity_provider import serve_provider


@pytest.fixture
def sts(server: CossetServer) -> Any:
    return server.client("sts")


def test_who_am_i(sts: Any, server: CossetServer) -> None:
    identity = sts.get_caller_identity()
    assert identity["Account"] == server.account
    assert identity["Arn"] == f"arn:aws:iam::{server.account}:user/administrator"


def test_a_roles_session_may_do_nothing_but_ask_who_it_is(sts: Any, server: CossetServer) -> None:
    iam = server.client("iam")
    statement = {"Effect": "Allow", "Principal": {"AWS": server.account}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_role(RoleName="sts-role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    try:
        given = sts.assume_role(RoleArn=arn, RoleSessionName="me", DurationSeconds=900)["Credentials"]
        assert given["Expiration"] <= datetime.now(UTC) + timedelta(seconds=901)
        session = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=server.region
        )
        me = session.client("sts", endpoint_url=server.endpoint).get_caller_identity()["Arn"]
        assert me == f"arn:aws:sts::{server.account}:assumed-role/sts-role/me"
        with pytest.raises(ClientError) as caught:
            session.client("lambda", endpoint_url=server.endpoint).list_functions()
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
        assert f"User: {me} is not authorized to perform: lambda:ListFunctions" in str(caught.value)
    finally:
        iam.delete_role(RoleName="sts-role")
    with pytest.raises(ClientError) as caught:
        session.client("sts", endpoint_url=server.endpoint).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_a_forged_token_is_refused(sts: Any, server: CossetServer) -> None:
    given = sts.get_session_token()["Credentials"]
    token = given["SessionToken"]
    forged = ("B" if token[0] == "A" else "A") + token[1:]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], forged, region_name=server.region)
    with pytest.raises(ClientError) as caught:
        session.client("sts", endpoint_url=server.endpoint).get_caller_identity()
    assert caught.value.response["Error"]["Code"] == "InvalidClientTokenId"


def test_a_role_that_trusts_lambda_only(sts: Any, server: CossetServer) -> None:
    with pytest.raises(ClientError) as caught:
        sts.assume_role(RoleArn=f"arn:aws:iam::{server.account}:role/cosset-basic", RoleSessionName="me")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_a_large_grant_travels(sts: Any, server: CossetServer) -> None:
    """A token with as much as may be packed still passes the door."""
    actions = [f"s3:Get{number:04d}{secrets.token_hex(20)}" for number in range(30)]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}],
    }
    answer = sts.get_federation_token(Name="guest", Policy=json.dumps(policy), DurationSeconds=900)
    assert answer["PackedPolicySize"] > 20
    given = answer["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], server.region)
    me = session.client("sts", endpoint_url=server.endpoint).get_caller_identity()
    assert me["Arn"] == f"arn:aws:sts::{server.account}:federated-user/guest" == answer["FederatedUser"]["Arn"]
    with pytest.raises(ClientError) as caught:
        session.client("lambda", endpoint_url=server.endpoint).list_functions()
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_a_message_of_somebody_else(sts: Any) -> None:
    with pytest.raises(ClientError) as caught:
        sts.decode_authorization_message(EncodedMessage="c2VjcmV0")
    assert caught.value.response["Error"]["Code"] == "InvalidAuthorizationMessageException"


def test_a_web_identity_from_its_provider(sts: Any, server: CossetServer) -> None:
    """Without any key of its own: the token is the proof, and the provider's certificate is known by its thumbprint."""
    iam = server.client("iam")
    anonymous = boto3.client(
        "sts", endpoint_url=server.endpoint, region_name=server.region, config=Config(signature_version=UNSIGNED)
    )
    with serve_provider() as (provider, thumbprint):
        arn = iam.create_open_id_connect_provider(
            Url=provider.issuer, ClientIDList=["cosset"], ThumbprintList=[thumbprint]
        )["OpenIDConnectProviderArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringLike": {f"{provider.url}:sub": "repo:fold/*"}},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        role = iam.create_role(RoleName="web-role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        now_s = int(datetime.now(UTC).timestamp())
        claims = {"aud": "cosset", "iat": now_s, "exp": now_s + 300}
        asked = {"RoleArn": role, "RoleSessionName": "run"}
        try:
            token = provider.sign({**claims, "sub": "repo:fold/main"}, "ES256")
            given = anonymous.assume_role_with_web_identity(**asked, WebIdentityToken=token)["Credentials"]
            session = boto3.Session(
                given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], server.region
            )
            me = session.client("sts", endpoint_url=server.endpoint).get_caller_identity()["Arn"]
            assert me == f"arn:aws:sts::{server.account}:assumed-role/web-role/run"
            for sub, code in (("repo:other/main", "AccessDenied"), (None, "InvalidIdentityToken")):
                token = provider.sign({**claims, "sub": sub})
                with pytest.raises(ClientError) as caught:
                    anonymous.assume_role_with_web_identity(**asked, WebIdentityToken=token)
                assert caught.value.response["Error"]["Code"] == code
            with pytest.raises(ClientError) as caught:
                anonymous.get_caller_identity()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        finally:
            iam.delete_role(RoleName="web-role")
            iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
