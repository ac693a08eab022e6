"""Concurrency counts what runs, and refuses with AWS's reason."""

import pytest

from cosset.invocation.admission import Admission, ThrottledError
from cosset.invocation.limits import check_payload
from cosset.wire.errors import ServiceError
from support.invocations import target


def test_the_account_limit_counts_all_functions_of_one_account() -> None:
    admission = Admission(2)
    with admission.admit(target("a")), admission.admit(target("b")):
        with pytest.raises(ThrottledError) as refused, admission.admit(target("c")):
            pass
        assert refused.value.fields == {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User"}
        assert refused.value.status == 429
        with admission.admit(target("c", account="222222222222")):
            pass
    assert admission.under_way == 0


def test_reserved_concurrency_bounds_one_function_and_zero_stops_it() -> None:
    admission = Admission(10)
    with admission.admit(target("a", reserved=1)):
        with pytest.raises(ThrottledError) as refused, admission.admit(target("a", reserved=1)):
            pass
        assert refused.value.fields["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    with pytest.raises(ThrottledError), admission.admit(target("a", reserved=0)):
        pass
    with admission.admit(target("a", reserved=1)):
        assert admission.under_way == 1


def test_a_place_comes_back_when_the_call_fails() -> None:
    admission = Admission(1)
    with pytest.raises(RuntimeError), admission.admit(target("a")):
        raise RuntimeError
    assert admission.under_way == 0


def test_payload_limits_are_inclusive() -> None:
    check_payload(b"x" * 10, "Event", 10)
    with pytest.raises(ServiceError) as refused:
        check_payload(b"x" * 11, "Event", 10)
    assert refused.value.message == "11 byte payload is too large for the Event invocation type (limit 10 bytes)"
    assert refused.value.status == 413
