"""CRCs counted without AWS's runtime library are the same."""

import random
import zlib

import pytest

from cosset.services.s3 import checksums
from cosset.services.s3.checksums import Digests, combine
from cosset.services.s3.crc import POLYNOMIALS, joined, step

_DATA = random.Random(7).randbytes(1_200_345)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [("CRC32", 0xCBF43926), ("CRC32C", 0xE3069283), ("CRC64NVME", 0xAE8B14860A799888)],
)
def test_the_check_value_of_each(algorithm: str, expected: int) -> None:
    """Of the digits, as every catalogue of CRCs gives it."""
    assert step(POLYNOMIALS[algorithm], b"123456789", 0) == expected


@pytest.mark.parametrize("size", [0, 1, 255, 16_383, 16_384, 70_001, 1_200_345])
def test_strips_side_by_side_count_as_one(size: int) -> None:
    assert step(POLYNOMIALS["CRC32"], _DATA[:size], 0) == zlib.crc32(_DATA[:size])


@pytest.mark.parametrize("algorithm", POLYNOMIALS)
def test_in_pieces_and_joined(algorithm: str) -> None:
    polynomial = POLYNOMIALS[algorithm]
    whole = step(polynomial, _DATA[:100_000], 0)
    first, second = step(polynomial, _DATA[:30_000], 0), step(polynomial, _DATA[30_000:100_000], 0)
    assert step(polynomial, _DATA[30_000:100_000], first) == whole
    assert joined(polynomial, first, second, 70_000) == whole
    assert joined(polynomial, 0, whole, 100_000) == joined(polynomial, whole, 0, 0) == whole


@pytest.mark.parametrize("algorithm", POLYNOMIALS)
def test_nothing_needs_the_runtime_library(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = Digests(algorithm)
    with_it.update(_DATA[:20_000])
    monkeypatch.setattr(checksums, "find_spec", lambda name: None)
    without = Digests(algorithm)
    without.update(_DATA[:20_000])
    value = without.value(algorithm)
    assert value == with_it.value(algorithm)
    assert combine(algorithm, [(value, 20_000)]) == value
