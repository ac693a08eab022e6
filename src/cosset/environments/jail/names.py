"""Questions of the domain name system as bytes: what is asked for, and the few answers that Cosset gives itself.

Reads one question and refuses whatever is shaped otherwise; follows no pointers. Who is asked about the rest: dns.py.
Source: RFC 1035.
"""

import socket
import struct
from dataclasses import dataclass

A, AAAA = 1, 28
FORMAT_ERROR, REFUSED = 1, 5
HEAD_BYTES = 12
_INTERNET = 1
_TTL_S = 60
_ANSWER, _OPCODE, _AUTHORITATIVE, _RECURSION_WANTED, _RECURSION = 0x8000, 0x7800, 0x0400, 0x0100, 0x0080
_LONGEST_LABEL = 63
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Question:
    """`name` in lower case without the last dot; `kind` of record; `end`: where what follows the question begins."""

    name: str
    kind: int
    end: int


def read_question(query: bytes) -> Question | None:
    """None: it is no plain query with one question of the Internet's."""
    if len(query) < HEAD_BYTES:
        return None
    _, flags, questions, answers, authorities, _ = struct.unpack_from(">6H", query)
    if flags & (_ANSWER | _OPCODE) or (questions, answers, authorities) != (1, 0, 0):
        return None
    labels, place = [], HEAD_BYTES
    while place < len(query) and (length := query[place]):
        if length > _LONGEST_LABEL:
            return None
        labels.append(query[place + 1 : place + 1 + length])
        place += 1 + length
    end = place + 5
    if end > len(query) or place - HEAD_BYTES >= _LONGEST_NAME:
        return None
    kind, family = struct.unpack_from(">HH", query, place + 1)
    if family != _INTERNET:
        return None
    return Question(b".".join(labels).decode("latin-1").lower(), kind, end)


def is_below(name: str, domain: str) -> bool:
    """Or is the domain itself."""
    return name == domain or name.endswith("." + domain)


def write_address(query: bytes, question: Question, address: str) -> bytes:
    """The address where one of version 4 is asked for; of every other kind the name has no record."""
    if question.kind != A:
        return _write(query, question.end, answers=0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", A, _INTERNET, _TTL_S, 4) + socket.inet_aton(address)
    return _write(query, question.end, answers=1) + record


def write_nothing(query: bytes, question: Question) -> bytes:
    """The name is there, with no record of this kind."""
    return _write(query, question.end, answers=0)


def write_refusal(query: bytes, question: Question | None, code: int) -> bytes | None:
    """None: what was sent is too short, or an answer itself, and not to be answered."""
    if len(query) < HEAD_BYTES or query[2] & 0x80:
        return None
    return _write(query, HEAD_BYTES if question is None else question.end, answers=0, code=code)


def _write(query: bytes, end: int, *, answers: int, code: int = 0) -> bytes:
    """The head and the question, without what else the query brought."""
    (asked,) = struct.unpack_from(">H", query, 2)
    flags = _ANSWER | _RECURSION | (asked & (_OPCODE | _RECURSION_WANTED)) | (0 if code else _AUTHORITATIVE) | code
    return query[:2] + struct.pack(">5H", flags, int(end > HEAD_BYTES), answers, 0, 0) + query[HEAD_BYTES:end]
