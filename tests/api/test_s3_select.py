"""SelectObjectContent, as a stock client asks for it: events, what breaks the stream off, and who may ask."""

import gzip
import json
from contextlib import closing
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import EventStreamError

from cosset.testing.server import CossetServer
from support.s3_objects import new_bucket, refusal

HEADED = {"CSV": {"FileHeaderInfo": "USE"}}
LINES = b"".join(b"%d,%s\n" % (number, b"x" * 40) for number in range(20_000))


@pytest.fixture(scope="module")
def s3(server: CossetServer) -> Any:
    return server.client("s3")


@pytest.fixture(scope="module")
def bucket(s3: Any) -> str:
    name: str = new_bucket(s3)
    s3.put_object(Bucket=name, Key="lines", Body=b"number,text\n" + LINES)
    return name


def _asked(bucket: str, statement: str, **more: Any) -> dict[str, Any]:
    asked = {"Bucket": bucket, "Key": "lines", "ExpressionType": "SQL", "Expression": statement}
    return {**asked, "InputSerialization": HEADED, "OutputSerialization": {"CSV": {}}, **more}


def _read(answer: Any) -> tuple[bytes, list[str], dict[str, int]]:
    events = list(answer["Payload"])
    records = b"".join(event["Records"]["Payload"] for event in events if "Records" in event)
    details = next(event["Stats"]["Details"] for event in events if "Stats" in event)
    return records, [name for event in events for name in event], details


def test_a_long_answer_comes_in_events(s3: Any, bucket: str) -> None:
    everything = _asked(bucket, "SELECT * FROM S3Object", RequestProgress={"Enabled": True})
    records, names, details = _read(s3.select_object_content(**everything))
    assert records == LINES
    assert names.count("Records") > 1
    assert "Progress" in names
    assert names[-2:] == ["Stats", "End"]
    size = len(LINES) + len(b"number,text\n")
    assert details == {"BytesScanned": size, "BytesProcessed": size, "BytesReturned": len(LINES)}


def test_what_is_compressed_and_sealed_is_read_too(s3: Any, bucket: str) -> None:
    key = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    packed = gzip.compress(b'{"a":{"b":[1,2.5]}}\n{"a":null}\n')
    s3.put_object(Bucket=bucket, Key="sealed", Body=packed, **key)
    source = {"JSON": {"Type": "LINES"}, "CompressionType": "GZIP"}
    asked = _asked(bucket, "SELECT s.a.b[1] AS second FROM S3Object s", Key="sealed", InputSerialization=source)
    asked["OutputSerialization"] = {"JSON": {}}
    records, _, details = _read(s3.select_object_content(**asked, **key))
    assert records == b'{"second":2.5}\n{}\n'
    assert (details["BytesScanned"], details["BytesProcessed"]) == (len(packed), 31)
    assert refusal(s3.select_object_content, **asked) == ("InvalidRequest", 400)


def test_what_goes_wrong_on_the_way_breaks_the_stream_off(s3: Any, bucket: str) -> None:
    wrong = _asked(bucket, "SELECT CAST(text AS INT) FROM S3Object")
    answer = s3.select_object_content(**wrong)
    with closing(answer["Payload"]), pytest.raises(EventStreamError, match="CastFailed"):
        _read(answer)


def test_what_is_refused_at_once(server: CossetServer, s3: Any, bucket: str) -> None:
    select = s3.select_object_content
    for statement, expected in (
        ("SELECT * FROM people", ("ParseUnexpectedToken", 400)),
        ("SELECT * FROM S3Object WHERE ' ", ("LexerInvalidChar", 400)),
    ):
        assert refusal(select, **_asked(bucket, statement)) == expected
    everything = "SELECT * FROM S3Object"
    assert refusal(select, **_asked(bucket, everything, Key="nowhere")) == ("NoSuchKey", 404)
    scan = {"ScanRange": {"Start": 1}}
    assert refusal(select, **_asked(bucket, everything, **scan)) == ("NotImplementedException", 501)
    s3.put_object(Bucket=bucket, Key="cold", StorageClass="GLACIER")
    assert refusal(select, **_asked(bucket, everything, Key="cold")) == ("InvalidObjectState", 403)
    shared = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": shared}))
    nobody = server.client("s3", config=Config(signature_version=UNSIGNED))
    assert nobody.head_object(Bucket=bucket, Key="lines")["ContentLength"] > len(LINES)
    assert refusal(nobody.select_object_content, **_asked(bucket, everything)) == ("AccessDenied", 403)
