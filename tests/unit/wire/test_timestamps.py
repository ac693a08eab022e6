from datetime import UTC, datetime, timedelta, timezone

import pytest

from cosset.wire.errors import SerializationError
from cosset.wire.timestamps import read_timestamp, write_epoch, write_iso8601, write_rfc822, write_timestamp

MOMENT = datetime(2019, 12, 16, 23, 48, 18, tzinfo=UTC)
WITH_MILLIS = MOMENT.replace(microsecond=123_000)


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        (1576540098, MOMENT),
        (1576540098.123, WITH_MILLIS),
        ("1576540098.123", WITH_MILLIS),
        ("1.576540098E9", MOMENT),
        ("2019-12-16T23:48:18Z", MOMENT),
        ("2019-12-16T22:48:18-01:00", MOMENT),
        ("2019-12-16T23:48:18.123Z", WITH_MILLIS),
        ("Mon, 16 Dec 2019 23:48:18 GMT", MOMENT),
        ("Mon, 16 Dec 2019 23:48:18.123 GMT", WITH_MILLIS),
    ],
)
def test_every_form_is_read(sent: object, moment: datetime) -> None:
    assert read_timestamp(sent) == moment


@pytest.mark.parametrize(
    "sent", ["", "yesterday", "Mon, 16 Foo 2019 23:48:18 GMT", 1e300, float("inf"), -1e18, True, None, "9" * 30, {}]
)
def test_what_is_no_time_is_refused(sent: object) -> None:
    with pytest.raises(SerializationError):
        read_timestamp(sent)


def test_every_form_is_written() -> None:
    assert write_iso8601(MOMENT) == "2019-12-16T23:48:18Z"
    assert write_iso8601(WITH_MILLIS) == "2019-12-16T23:48:18.123Z"
    assert write_rfc822(WITH_MILLIS) == "Mon, 16 Dec 2019 23:48:18 GMT"
    assert write_epoch(MOMENT) == 1576540098
    assert write_epoch(WITH_MILLIS) == 1576540098.123
    assert write_timestamp(MOMENT, "unixTimestamp") == "1576540098"


def test_a_handler_may_give_seconds_or_any_zone() -> None:
    assert write_iso8601(1576540098) == "2019-12-16T23:48:18Z"
    assert write_iso8601(MOMENT.astimezone(timezone(timedelta(hours=5)))) == "2019-12-16T23:48:18Z"
    assert write_iso8601(MOMENT.replace(tzinfo=None)) == "2019-12-16T23:48:18Z"
