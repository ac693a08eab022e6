"""What older versions of Cosset wrote is read by this one."""

from sqlalchemy import MetaData, create_engine, inspect, text

from cosset.store.migrations import MIGRATIONS, migrate
from cosset.store.queue_tables import deduplications, messages
from cosset.store.schema import schema_version

QUEUE_BEFORE_GROUPS = (
    "CREATE TABLE queue_messages (seq INTEGER NOT NULL PRIMARY KEY, queue VARCHAR NOT NULL, id VARCHAR NOT NULL, "
    "group_id VARCHAR, body BLOB NOT NULL, sent_at_ms BIGINT NOT NULL, visible_at_ms BIGINT NOT NULL, "
    "expires_at_ms BIGINT, due_ms BIGINT, attempts INTEGER NOT NULL, lease VARCHAR)",
    "CREATE INDEX queue_messages_due ON queue_messages (queue, due_ms, seq)",
    "CREATE INDEX queue_messages_group ON queue_messages (queue, group_id, seq) WHERE group_id IS NOT NULL",
    "CREATE TABLE queue_deduplications (queue VARCHAR NOT NULL, deduplication_id VARCHAR NOT NULL, "
    "message_id VARCHAR NOT NULL, until_ms BIGINT NOT NULL, PRIMARY KEY (queue, deduplication_id))",
    "INSERT INTO queue_messages VALUES (7, 'q', 'one', 'g', x'61', 1, 2, NULL, 2, 3, NULL)",
    "INSERT INTO queue_deduplications VALUES ('q', 'd', 'one', 9)",
    "CREATE TABLE schema_version (only INTEGER NOT NULL PRIMARY KEY, version INTEGER NOT NULL)",
)


def test_a_queue_of_the_third_schema_keeps_its_messages_and_has_todays_tables() -> None:
    tables = MetaData()
    for table in (schema_version, messages, deduplications):
        table.to_metadata(tables)
    fresh, old = create_engine("sqlite://"), create_engine("sqlite://")
    with fresh.connect() as new, old.connect() as connection:
        migrate(new, MIGRATIONS, tables)
        for statement in (*QUEUE_BEFORE_GROUPS, "INSERT INTO schema_version VALUES (1, 3)"):
            connection.execute(text(statement))
        migrate(connection, MIGRATIONS, tables)
        (message,) = connection.execute(messages.select())
        assert message._mapping == {
            "seq": 7,
            "queue": "q",
            "id": "one",
            "group_id": "g",
            "sent_at_ms": 1,
            "visible_at_ms": 2,
            "expires_at_ms": None,
            "due_ms": 2,
            "attempts": 3,
            "lease": None,
            "first_received_at_ms": None,
            "body": b"a",
        }
        for table in ("queue_messages", "queue_deduplications"):
            made, migrated = inspect(new), inspect(connection)
            assert [c["name"] for c in migrated.get_columns(table)][: len(made.get_columns(table))] == [
                c["name"] for c in made.get_columns(table)
            ] or table == "queue_deduplications"
            assert {c["name"] for c in migrated.get_columns(table)} == {c["name"] for c in made.get_columns(table)}
        indexes = [
            {index["name"] for index in inspect(each).get_indexes("queue_messages")} for each in (new, connection)
        ]
        assert indexes[0] == indexes[1]
        connection.execute(text("DELETE FROM queue_messages"))
        connection.execute(text("INSERT INTO queue_messages SELECT NULL,'q','two',NULL,1,1,NULL,1,0,NULL,NULL,x'62'"))
        assert connection.execute(text("SELECT seq FROM queue_messages")).scalar() == 8  # no number comes twice
    fresh.dispose()
    old.dispose()
