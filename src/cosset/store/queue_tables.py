"""The tables and statements of the durable queue. Each statement is built once: building costs more than running.

Every parameter is bound by name. Next: `queue.py`, which says what they are for.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    cast,
    delete,
    func,
    insert,
    select,
    update,
)

from cosset.store.prepared import Prepared, PreparedMany
from cosset.store.schema import Serial, metadata

# due_ms is when a message may be received next: when it becomes visible, when its lease ends, or NULL while others of
# its group come first. So a receiver reads one index range, however many wait. Of every group one at least has it.
#
# A number is never given twice, also when its row is gone: messages are known and ordered by it. The body stands last,
# because SQLite walks through all of a long one to what stands behind it.
messages = Table(
    "queue_messages",
    metadata,
    Column("seq", Serial, primary_key=True),
    Column("queue", String, nullable=False),
    Column("id", String, nullable=False),
    Column("group_id", String),
    Column("sent_at_ms", BigInteger, nullable=False),
    Column("visible_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("due_ms", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("lease", String),
    Column("first_received_at_ms", BigInteger),
    Column("body", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index("queue_messages_due", messages.c.queue, messages.c.due_ms, messages.c.seq)
# A partial index on SQLite alone: to say it for PostgreSQL too would load that dialect at every start.
Index(
    "queue_messages_group",
    messages.c.queue,
    messages.c.group_id,
    messages.c.seq,
    sqlite_where=messages.c.group_id.is_not(None),
)
Index(
    "queue_messages_group_due",
    messages.c.queue,
    messages.c.group_id,
    messages.c.due_ms,
    sqlite_where=messages.c.group_id.is_not(None),
)

deduplications = Table(
    "queue_deduplications",
    metadata,
    Column("queue", String, primary_key=True),
    Column("deduplication_id", String, primary_key=True),
    Column("message_id", String, nullable=False),
    Column("seq", BigInteger),
    Column("until_ms", BigInteger, nullable=False),
)
Index("queue_deduplications_until", deduplications.c.queue, deduplications.c.until_ms)


_message, _deduplication = messages.c, deduplications.c
_of_queue = _message.queue == bindparam("the_queue")
_under_lease = (_message.seq == bindparam("the_seq"), _message.lease == bindparam("the_lease"))
_the_same = (
    _deduplication.queue == bindparam("the_queue"),
    _deduplication.deduplication_id == bindparam("the_deduplication_id"),
)

_of_group = (_of_queue, _message.group_id == bindparam("the_group"))
_is_due = _message.due_ms <= bindparam("now")
_seen = (
    _message.seq,
    _message.id,
    _message.group_id,
    _message.sent_at_ms,
    _message.visible_at_ms,
    _message.expires_at_ms,
    _message.attempts,
    _message.first_received_at_ms,
    _message.body,
)

SEND = Prepared(insert(messages))
# The lease of a message that is sent to somebody has its number in it, which is known only then.
ENTRUST = Prepared(update(messages).where(_message.seq == bindparam("the_seq")).values(lease=bindparam("the_lease")))
_GIVEN = [column.name for column in messages.columns if column.name not in ("seq", "lease")]
# Both at once, where the database tells a number before the row is there: PostgreSQL.
_number = select(func.nextval(func.pg_get_serial_sequence(messages.name, "seq")).label("seq")).subquery("number")
SEND_LEASED = Prepared(
    insert(messages)
    .from_select(
        ["seq", *_GIVEN, "lease"],
        select(
            _number.c.seq,
            *[cast(bindparam(name), messages.c[name].type) for name in _GIVEN],
            cast(_number.c.seq, String).concat(bindparam("new_lease")),
        ),
    )
    .returning(_message.seq)
)
SEND_MANY = PreparedMany(
    lambda count: insert(messages).values(
        [{name: bindparam(f"{name}_{row}") for name in _GIVEN} for row in range(count)]
    )
)
FIRST_OF_GROUP = Prepared(
    select(_message.seq, _message.visible_at_ms, _message.expires_at_ms)
    .where(*_of_group)
    .order_by(_message.seq)
    .limit(1)
)
HEADS_OF_GROUP = Prepared(select(*_seen).where(*_of_group).order_by(_message.seq).limit(bindparam("at_most")))
# `>= 0` and not `IS NOT NULL`, for which SQLite would look at every message of the group.
IS_LOOKED_AFTER = Prepared(select(_message.seq).where(*_of_group, _message.due_ms >= 0).limit(1))
IS_UNDER_WAY = Prepared(
    select(_message.seq).where(*_of_group, _message.due_ms > bindparam("now"), _message.lease.is_not(None)).limit(1)
)
STAND_BACK = Prepared(update(messages).where(*_of_group, _is_due).values(due_ms=None))
# On PostgreSQL alone.
_hashed = func.hashtextextended(bindparam("key"), 0)
LOCK_GROUP = Prepared(select(func.pg_advisory_xact_lock(_hashed)))
TRY_GROUP = Prepared(select(func.pg_try_advisory_xact_lock(_hashed)))
PROMOTE = Prepared(update(messages).where(_message.seq == bindparam("the_seq")).values(due_ms=bindparam("due")))
DUE = (
    Prepared(
        select(*_seen)
        .where(_of_queue, _is_due)
        .order_by(_message.due_ms, _message.seq)
        .limit(bindparam("at_most"))
        .with_for_update(skip_locked=True)
    )  # SQLite has one writer, and leaves this out
)
# Of queues with tenants, whose names stand where others have their groups.
_in_flight = (
    select(_message.group_id)
    .where(_of_queue, _message.due_ms > bindparam("now"), _message.lease.is_not(None))
    .limit(bindparam("at_most"))
    .subquery("in_flight")
)
IN_FLIGHT_OF_TENANTS = Prepared(
    select(_in_flight.c.group_id, func.count().label("number")).group_by(_in_flight.c.group_id)
)
NEXT_TENANT = Prepared(
    select(_message.group_id)
    .where(_of_queue, _message.group_id > bindparam("after"))
    .order_by(_message.group_id)
    .limit(1)
)
DUE_OF_TENANT = Prepared(
    select(*_seen)
    .where(_of_queue, _message.group_id == bindparam("tenant"), _is_due)
    .order_by(_message.due_ms)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
# One lease for all that is taken at once: the number of each message is in its own.
LEASE = PreparedMany(
    lambda count: (
        update(messages)
        .where(_message.seq.in_([bindparam(f"the_seq_{row}") for row in range(count)]))
        .values(
            lease=cast(_message.seq, String).concat(bindparam("new_lease")),
            due_ms=bindparam("due"),
            attempts=_message.attempts + 1,
            first_received_at_ms=func.coalesce(_message.first_received_at_ms, bindparam("now")),
        )
    )
)
STANDING = Prepared(
    select(_message.lease, _message.due_ms, _message.group_id).where(_of_queue, _message.seq == bindparam("the_seq"))
)
HELD = Prepared(select(*_seen, _message.lease, _message.due_ms).where(_of_queue, _message.seq == bindparam("the_seq")))
DELETE = Prepared(delete(messages).where(*_under_lease))
# By their numbers: an expression in the place of the queue's name keeps SQLite from going through all of the queue.
REMOVE = PreparedMany(
    lambda count: delete(messages).where(
        _message.queue.concat("") == bindparam("the_queue"),
        _message.seq.in_([bindparam(f"the_seq_{row}") for row in range(count)]),
    )
)
REMOVE_OLD = Prepared(
    delete(messages).where(
        _message.seq.in_(
            select(_message.seq)
            .where(_of_queue, _message.due_ms <= bindparam("until"), _message.group_id.is_(None))
            .limit(bindparam("at_most"))
        )
    )
)
OLD_GROUPS = Prepared(
    select(_message.group_id)
    .where(_of_queue, _message.due_ms <= bindparam("until"), _message.group_id.is_not(None))
    .limit(bindparam("at_most"))
)
REMOVE_OLD_OF_GROUP = Prepared(delete(messages).where(*_of_group, _message.sent_at_ms <= bindparam("until")))
CLEAR = Prepared(
    delete(messages).where(_message.seq.in_(select(_message.seq).where(_of_queue).limit(bindparam("at_most"))))
)
RELEASE = Prepared(
    update(messages)
    .where(*_under_lease)
    .values(
        due_ms=bindparam("due"),
        visible_at_ms=bindparam("visible"),
        lease=None,
        body=func.coalesce(bindparam("new_body", type_=LargeBinary), _message.body),
    )
)
TAKE = Prepared(
    update(messages)
    .where(_of_queue, _message.seq == bindparam("the_seq"))
    .values(lease=bindparam("new_lease"), due_ms=bindparam("due"))
)
EXTEND = Prepared(update(messages).where(*_under_lease).values(due_ms=bindparam("due")))
RECOVER = Prepared(
    update(messages).where(_of_queue, _message.lease.is_not(None)).values(due_ms=bindparam("due"), lease=None)
)
NEXT_DUE = Prepared(
    select(_message.due_ms).where(_of_queue, _message.due_ms.is_not(None)).order_by(_message.due_ms).limit(1)
)
COUNT = Prepared(select(func.count()).select_from(messages).where(_of_queue))
COUNT_AHEAD = Prepared(
    select(
        func.count().label("ahead"),
        func.count(_message.lease).label("leased"),
    ).where(_of_queue, _message.due_ms > bindparam("now"))
)
COUNT_UNDER_WAY = Prepared(
    select(func.count()).select_from(
        select(_message.seq)
        .where(_of_queue, _message.due_ms > bindparam("now"), _message.lease.is_not(None))
        .limit(bindparam("at_most"))
        .subquery()
    )
)
COUNT_DELAYED_BEHIND = Prepared(
    select(func.count()).where(_of_queue, _message.due_ms.is_(None), _message.visible_at_ms > bindparam("now"))
)

EARLIER = Prepared(select(_deduplication.message_id, _deduplication.seq, _deduplication.until_ms).where(*_the_same))
REMEMBER = Prepared(insert(deduplications))
REMEMBER_AGAIN = Prepared(
    update(deduplications)
    .where(*_the_same)
    .values(message_id=bindparam("new_id"), seq=bindparam("new_seq"), until_ms=bindparam("until"))
)
FORGET = Prepared(
    delete(deduplications).where(
        _deduplication.queue == bindparam("the_queue"), _deduplication.until_ms <= bindparam("now")
    )
)
