"""Concurrency counts what runs, and refuses with AWS's reason."""

from dataclasses import replace

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


class Warm:
    """Two provisioned environments of the version 1."""

    def allocated(self, function_arn: str, version: str) -> int:
        return 2 if version == "1" else 0


def test_events_take_provisioned_places_first_and_spill_over() -> None:
    admission = Admission(1, Warm())
    provisioned = replace(target("a"), version="1", provisioned_concurrency=2)
    with admission.admit(provisioned), admission.admit(provisioned), admission.admit(provisioned):
        assert admission.under_way == 3
        with pytest.raises(ThrottledError) as refused, admission.admit(provisioned):
            pass
        assert refused.value.fields["Reason"] == "ConcurrentInvocationLimitExceeded"


def test_what_is_provisioned_is_taken_from_what_is_reserved() -> None:
    # recorded: TestLambdaConcurrency::test_reserved_provisioned_overlap, reserved_equals_provisioned_latest_invoke_exc
    admission = Admission(10, Warm())
    latest = replace(target("a", reserved=2), provisioned_concurrency=2)
    with pytest.raises(ThrottledError) as refused, admission.admit(latest):
        pass
    assert refused.value.fields["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    with admission.admit(replace(latest, version="1")):
        assert admission.under_way == 1


def test_what_others_have_reserved_is_not_to_be_had() -> None:
    admission = Admission(3)
    with admission.admit(replace(target("a"), set_aside=2)):
        with pytest.raises(ThrottledError), admission.admit(replace(target("b"), set_aside=2)):
            pass
        with admission.admit(target("c", reserved=2)):
            pass


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
