"""Sequence numbers of FIFO queues: twenty digits that ascend, as AWS's do. Texts, compared as texts."""

_BASE = 18_850_000_000_000_000_000


def sequence_number(seq: int) -> str:
    return str(_BASE + 256 * seq)
