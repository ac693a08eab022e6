"""What is noted of calls, and that neither a function nor many of them can make it grow."""

import pytest

from cosset.identity.access_book import Access, AccessBook, Tally
from cosset.identity.principal import Principal, PrincipalKind, SessionGrant

ACCOUNT = "111111111111"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
USER = Principal(PrincipalKind.USER, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/u", "AIDA")


def session(function: str = f"{FUNCTION}:live") -> Principal:
    grant = SessionGrant(context=(("lambda:SourceFunctionArn", function),))
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/r/f"
    return Principal(PrincipalKind.ROLE, ACCOUNT, arn, "AROA:f", role_arn=ROLE, session=grant)


def deny(book: AccessBook, principal: Principal, *, let_through: bool, at_ms: int = 1) -> None:
    book.denied(principal, "s3:GetObject", "b", "because", at_ms, let_through=let_through)


def test_a_call_of_a_function_once() -> None:
    book = AccessBook()
    for at_ms in (1, 2):
        book.asked(session(), "s3:GetObject", "b", at_ms)
    book.asked(USER, "s3:GetObject", "b", 3)
    access = Access(ACCOUNT, FUNCTION, "s3:GetObject", "b")
    assert book.take() == {access: Tally(0, None, 2)}
    book.asked(session(), "s3:GetObject", "b", 4)
    assert book.take() == {}


def test_every_refusal_is_counted() -> None:
    book = AccessBook()
    book.asked(session(), "s3:GetObject", "b", 1)
    for at_ms in (1, 2):
        deny(book, session(), let_through=False, at_ms=at_ms)
    access = Access(ACCOUNT, FUNCTION, "s3:GetObject", "b")
    taken = book.take()
    assert taken == {access: Tally(2, "because", 2)}
    deny(book, session(), let_through=False, at_ms=3)
    book.put_back(taken)
    assert book.take() == {access: Tally(3, "because", 3)}


def test_of_others_only_what_audit_let_through() -> None:
    book = AccessBook()
    deny(book, USER, let_through=False)
    assert (book.take(), book.let_through) == ({}, 0)
    deny(book, USER, let_through=True)
    by_role = Principal(PrincipalKind.ROLE, ACCOUNT, "arn:session", "AROA:x", role_arn=ROLE)
    deny(book, by_role, let_through=True)
    assert {each.subject for each in book.take()} == {USER.arn, ROLE}
    assert book.let_through == 2


def test_limits() -> None:
    book = AccessBook(max_per_subject=3, max_waiting=5)
    for number in range(10):
        book.asked(session(), "s3:GetObject", str(number), 1)
    assert (len(book.take()), book.left_out) == (3, 7)
    for number in range(10):
        book.denied(session(), "s3:GetObject", str(number), "because", 1, let_through=False)
    assert (len(book.take()), book.left_out) == (5, 12)
    # Many functions: what was seen is forgotten, and written once more when it is seen again.
    for number in range(20):
        book.asked(session(f"{FUNCTION}{number}"), "s3:GetObject", "b", 1)
        book.take()
    book.asked(session(f"{FUNCTION}0"), "s3:GetObject", "b", 2)
    assert len(book.take()) == 1


@pytest.mark.parametrize("resource", ["a\0b", "\ud800", "\x1b[2J", "a" * 2_049])
def test_what_no_table_holds(resource: str) -> None:
    book = AccessBook()
    book.asked(session(), "s3:GetObject", resource, 1)
    book.denied(session(), "s3:GetObject", resource, "because", 1, let_through=True)
    assert (book.take(), book.left_out, book.let_through) == ({}, 2, 1)
