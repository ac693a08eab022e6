"""Sealed values open with their own key and context only, and tell nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosset.identity.sealing import NONCE_BYTES, OVERHEAD_BYTES, open_sealed, seal

KEY = bytes(range(32))
NONCE = bytes(NONCE_BYTES)


@given(st.binary(max_size=300), st.binary(max_size=40), st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES))
def test_what_is_sealed_opens(plain: bytes, context: bytes, nonce: bytes) -> None:
    sealed = seal(KEY, context, plain, nonce)
    assert len(sealed) == len(plain) + OVERHEAD_BYTES
    assert open_sealed(KEY, context, sealed) == plain


def test_nothing_else_opens() -> None:
    sealed = seal(KEY, b"context", b"a secret of some length", NONCE)
    assert b"secret" not in sealed
    assert open_sealed(KEY[::-1], b"context", sealed) is None
    assert open_sealed(KEY, b"contexu", sealed) is None
    assert open_sealed(KEY, b"", b"context" + sealed) is None
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        assert open_sealed(KEY, b"context", bytes(changed)) is None
        assert open_sealed(KEY, b"context", sealed[:index]) is None
    assert open_sealed(KEY, b"context", sealed + b"\0") is None


def test_nonces_are_whole() -> None:
    assert seal(KEY, b"", b"same", NONCE) != seal(KEY, b"", b"same", b"\1" * NONCE_BYTES)
    with pytest.raises(ValueError, match="nonce"):
        seal(KEY, b"", b"", b"short")
