"""What IAM keeps. Names are unique without regard to case (`name_key`) and shown as they were given.

`owner_kind` is `user` or `role`. Times are epoch milliseconds.
"""

from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, String, Table, Text

from cosset.store.schema import metadata

accounts = Table(
    "iam_accounts",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)

server_secrets = Table(
    "iam_server_secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

users = Table(
    "iam_users",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name_key", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("path", String(512), nullable=False),
    Column("user_id", String(32), nullable=False),
    Column("permissions_boundary", Text),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

access_keys = Table(
    "iam_access_keys",
    metadata,
    Column("access_key_id", String(128), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    Column("user_key", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    # In clear: SigV4 is an HMAC with the secret itself, so a hash would not do. See docs/decisions/0009.
    Column("secret", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

roles = Table(
    "iam_roles",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name_key", String(64), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("path", String(512), nullable=False),
    Column("role_id", String(32), nullable=False),
    Column("trust_policy", Text, nullable=False),
    Column("description", Text),
    Column("max_session_s", Integer, nullable=False),
    Column("permissions_boundary", Text),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

policies = Table(
    "iam_policies",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name_key", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("policy_id", String(32), nullable=False),
    Column("description", Text),
    Column("default_version", Integer, nullable=False),
    # The highest number ever given: a deleted version's is not given again.
    Column("last_version", Integer, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)

policy_versions = Table(
    "iam_policy_versions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("policy_key", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

attachments = Table(
    "iam_attachments",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("owner_kind", String(8), primary_key=True),
    Column("owner_key", String(64), primary_key=True),
    Column("policy_arn", String(700), primary_key=True),
    Column("attached_ms", BigInteger, nullable=False),
)

inline_policies = Table(
    "iam_inline_policies",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("owner_kind", String(8), primary_key=True),
    Column("owner_key", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("document", Text, nullable=False),
)
