"""Checksums put together from those of parts are those of the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosset.services.s3 import checksums
from cosset.services.s3.checksums import (
    Digests,
    combine,
    composite,
    given_checksum,
    read_algorithm,
)
from cosset.wire.errors import OperationNotImplementedError, ServiceError


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
@given(parts=st.lists(st.binary(max_size=2000), min_size=1, max_size=5))
def test_a_whole_is_combined_from_its_parts(algorithm: str, parts: list[bytes]) -> None:
    counted = []
    whole = Digests(algorithm)
    for part in parts:
        digests = Digests(algorithm)
        digests.update(part)
        whole.update(part)
        counted.append((digests.value(algorithm), len(part)))
    assert combine(algorithm, counted) == whole.value(algorithm)


def test_a_composite_says_of_how_many_parts_it_is() -> None:
    digests = Digests("CRC32")
    digests.update(b"0" * 6144)
    assert composite("CRC32", [digests.value("CRC32")]).endswith("==-1")


def test_one_checksum_and_a_sound_one() -> None:
    assert given_checksum({}) is None
    assert given_checksum({"ChecksumCRC32": "AAAAAA=="}) == ("CRC32", "AAAAAA==")
    for wrong in (
        {"ChecksumCRC32": "x"},
        {"ChecksumSHA1": "AAAAAA=="},
        {"ChecksumCRC32": "AAAAAA==", "ChecksumSHA1": "x"},
    ):
        with pytest.raises(ServiceError) as caught:
            given_checksum(wrong)
        assert caught.value.code == "InvalidRequest"
    with pytest.raises(ServiceError):
        read_algorithm("ROT13")


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [("XXHASH64", "RLws9a13CZk="), ("XXHASH3", "eK9flIkvOVA="), ("XXHASH128", "BrBatnM6YYV4r1+UiS85UA==")],
)
def test_hashes_of_aws_own_library(algorithm: str, value: str) -> None:
    digests = Digests(algorithm)
    for piece in (b"a", memoryview(b"bc")):
        digests.update(piece)
    assert digests.value(algorithm) == value == digests.value(algorithm)
    assert composite(algorithm, [value]).endswith("-1")


def test_without_that_library_they_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "find_spec", lambda name: None)
    for refuse in (lambda: Digests("XXHASH3"), lambda: read_algorithm("XXHASH3")):
        with pytest.raises(OperationNotImplementedError):
            refuse()
    with pytest.raises(OperationNotImplementedError):
        given_checksum({"ChecksumXXHASH64": "RLws9a13CZk="})
