"""What S3 keeps of buckets and objects. The bytes of objects are files (`object_files.py`), named by rows here.

Keys of objects are bytes, so that every database orders them as S3 does: by their UTF-8.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, text

from cosset.store.schema import WHERE, Serial, metadata

s3_buckets = Table(
    "s3_buckets",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("account", String(12), nullable=False),
    Column("region", String(32), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    # "" until it was first set, then Enabled or Suspended.
    Column("versioning", String(16), nullable=False),
    Column("has_object_lock", Boolean, nullable=False),
    Index("s3_buckets_of_account", "account", "name"),
)

# One row for every configuration of a bucket: `kind` says which (policy, cors, lifecycle ...), `id` is its own where a
# bucket has several of a kind, else empty. `document` is JSON.
s3_bucket_settings = Table(
    "s3_bucket_settings",
    metadata,
    Column("bucket", String(63), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("document", Text, nullable=False),
)

# Every version of every object, delete markers among them; the newest has the highest number.
s3_versions = Table(
    "s3_versions",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("bucket", String(63), nullable=False),
    Column("key", LargeBinary, nullable=False),
    # `null` where the bucket was not versioned.
    Column("version", String(64), nullable=False),
    Column("is_latest", Boolean, nullable=False),
    Column("is_marker", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    # The files that hold its bytes, in order: [[name, size], ...]; of a small object, the bytes.
    Column("files", JSON, nullable=False),
    Column("inline", LargeBinary),
    # Headers, metadata, tags, lock, checksum, owner.
    Column("facts", JSON, nullable=False),
    # Of what was uploaded in parts: [[number, size, checksum], ...]. May be long; lists do not read it.
    Column("parts", JSON),
    Index("s3_versions_version", "bucket", "key", "version", unique=True),
    Index("s3_versions_newest_first", "bucket", "key", "seq"),
    sqlite_autoincrement=True,
)
Index(
    "s3_versions_latest",
    s3_versions.c.bucket,
    s3_versions.c.key,
    unique=True,
    info={WHERE: s3_versions.c.is_latest},
)

IS_LATEST = text("s3_versions.is_latest")
"""The condition as the index has it: SQLite uses a partial index only for the very same words."""

# Every file that a version or a part names, so that the sweep can tell an orphan by its name.
s3_files = Table(
    "s3_files",
    metadata,
    Column("name", String(32), primary_key=True),
)

s3_uploads = Table(
    "s3_uploads",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("bucket", String(63), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("initiated_ms", BigInteger, nullable=False),
    Column("facts", JSON, nullable=False),
    Index("s3_uploads_of_bucket", "bucket", "key", "id"),
)

s3_parts = Table(
    "s3_parts",
    metadata,
    Column("upload", String(128), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("etag", String(64), nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
    Column("files", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
)
