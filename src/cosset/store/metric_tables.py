"""The tables of metrics and of the bill, and the statements that run often: building one costs more than running it.

Read next: metrics.py, the only module that reads and writes them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from cosset.store.schema import Serial, metadata

series = Table(
    "metric_series",
    metadata,
    Column("id", Serial, primary_key=True),
    # Of all that names it: dimensions are longer than an index may be.
    Column("digest", String(64), nullable=False, unique=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("namespace", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("dimensions", JSON, nullable=False),
    Column("last_s", BigInteger, nullable=False),
)
Index("metric_series_name", series.c.account, series.c.region, series.c.namespace, series.c.name)

points = Table(
    "metric_points",
    metadata,
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("start_s", BigInteger, primary_key=True, autoincrement=False),
    Column("width_s", Integer, primary_key=True, autoincrement=False),
    Column("unit", String(32), primary_key=True),
    Column("count", Float(53), nullable=False),
    Column("total", Float(53), nullable=False),
    Column("lowest", Float(53), nullable=False),
    Column("highest", Float(53), nullable=False),
    Column("value_counts", LargeBinary),
)
Index("metric_points_age", points.c.width_s, points.c.start_s)

usage = Table(
    "function_usage",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("function_name", String(140), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("architecture", String(16), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("billed_ms", BigInteger, nullable=False),
    Column("memory_mb_ms", BigInteger, nullable=False),
    Column("storage_mb_ms", BigInteger, nullable=False),
)

_AT = (
    points.c.series == bindparam("at_series"),
    points.c.start_s == bindparam("at_start_s"),
    points.c.width_s == bindparam("at_width_s"),
    points.c.unit == bindparam("at_unit"),
)
READ_POINTS = select(points).where(
    points.c.start_s == bindparam("the_start_s"), points.c.series.in_(bindparam("the_series", expanding=True))
)
DELETE_POINT = delete(points).where(*_AT)
CHANGE_POINT = (
    update(points)
    .where(*_AT)
    .values({name: bindparam(name) for name in ("count", "total", "lowest", "highest", "value_counts")})
)
ADD_POINT = insert(points)
FIND_SERIES = select(series.c.digest, series.c.id, series.c.last_s).where(
    series.c.digest.in_(bindparam("the_digests", expanding=True))
)
TOUCH_SERIES = update(series).where(series.c.id == bindparam("the_id")).values(last_s=bindparam("the_last_s"))
ADD_SERIES = insert(series)
_OWNER = ("account", "region", "function_name", "month", "architecture")
_AMOUNTS = ("requests", "billed_ms", "memory_mb_ms", "storage_mb_ms")
USE_MORE = (
    update(usage)
    .where(*(usage.c[name] == bindparam(f"the_{name}") for name in _OWNER))
    .values({name: usage.c[name] + bindparam(f"more_{name}") for name in _AMOUNTS})
)
ADD_USAGE = insert(usage)
