"""The units of metrics, in CloudWatch's own order; a query that names none is answered in all, the last first."""

UNITS = (
    *("Seconds", "Microseconds", "Milliseconds"),
    *("Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes"),
    *("Bits", "Kilobits", "Megabits", "Gigabits", "Terabits"),
    *("Percent", "Count"),
    *("Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second"),
    *("Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second"),
    *("Count/Second", "None"),
)


def in_answer_order(units: set[str]) -> list[str]:
    """Recorded: test_handle_different_units, test_get_metric_data_different_units_no_unit_in_query."""
    return sorted(units, key=UNITS.index, reverse=True)
