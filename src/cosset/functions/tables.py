"""The tables of this room. Rows are keyed by account and region; what is never searched for is one JSON text.

Read next: records.py, the only module that reads and writes them.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from cosset.store.schema import SEALED, metadata

functions = Table(
    "lambda_functions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("next_version", Integer, nullable=False),
    Column("reserved_concurrency", Integer),
    Column("tags", Text, nullable=False),
)

versions = Table(
    "lambda_versions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", String(20), primary_key=True),
    # 0 for $LATEST: versions are listed by it.
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("last_update_status", String(16)),
    Column("revision_id", String(36), nullable=False),
    Column("code_digest", String(64), nullable=False),
    Column("code_size", BigInteger, nullable=False),
    Column("configuration", Text, nullable=False),
)
Index("lambda_versions_by_code", versions.c.code_digest)

aliases = Table(
    "lambda_aliases",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("alias", String(128), primary_key=True),
    Column("version", String(20), nullable=False),
    Column("description", Text, nullable=False),
    Column("revision_id", String(36), nullable=False),
    Column("weights", Text, nullable=False),
)

# One statement a row, in the order they were added: AWS's resource-based policy of a function, version or alias.
statements = Table(
    "lambda_statements",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    # Empty for the unqualified function.
    Column("qualifier", String(128), primary_key=True),
    Column("sid", String(100), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("statement", Text, nullable=False),
)

# What a policy that was put whole has besides its statements.
policy_heads = Table(
    "lambda_policy_heads",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("qualifier", String(128), primary_key=True),
    Column("head", Text, nullable=False),
)

# How many environments of a version, or of what an alias points at, are kept ready.
provisioned_configs = Table(
    "lambda_provisioned_configs",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("qualifier", String(128), primary_key=True),
    Column("requested", Integer, nullable=False),
    Column("modified_ms", BigInteger, nullable=False),
)

# How one function, version or alias treats its asynchronous events; what is NULL was not set.
event_invoke_configs = Table(
    "lambda_event_invoke_configs",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("qualifier", String(128), primary_key=True),
    Column("max_retries", Integer),
    Column("max_age_s", Integer),
    Column("on_success", String(350)),
    Column("on_failure", String(350)),
    Column("modified_ms", BigInteger, nullable=False),
)

# What belongs to a whole function, and few functions have set.
function_options = Table(
    "lambda_function_options",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("recursive_loop", String(16), nullable=False),
    Column("code_signing_config", String(200)),
)
Index("lambda_function_options_by_signing", function_options.c.code_signing_config)

code_signing_configs = Table(
    "lambda_code_signing_configs",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("configuration", Text, nullable=False),
)

# Every package that has a blob and a folder. A package that no version holds is collected some time after it was
# last wanted, because environments may still run from its folder.
packages = Table(
    "lambda_packages",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("unzipped_bytes", BigInteger, nullable=False),
    Column("wanted_at_ms", BigInteger, nullable=False),
)

# When a function was last called, for those who want to see idle functions become Inactive.
activity = Table(
    "lambda_activity",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("called_ms", BigInteger, nullable=False),
)

layers = Table(
    "lambda_layers",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(140), primary_key=True),
    Column("next_version", Integer, nullable=False),
)

layer_versions = Table(
    "lambda_layer_versions",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(140), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("code_digest", String(64), nullable=False),
    Column("code_size", BigInteger, nullable=False),
    # Of its policy; None until there was one.
    Column("revision_id", String(36)),
    Column("configuration", Text, nullable=False),
)
Index("lambda_layer_versions_by_code", layer_versions.c.code_digest)

# Which packages the layers of which function versions are: a deleted layer lives on in the functions that have it.
layer_uses = Table(
    "lambda_layer_uses",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", String(20), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("code_digest", String(64), nullable=False),
)
Index("lambda_layer_uses_by_code", layer_uses.c.code_digest)

layer_statements = Table(
    "lambda_layer_statements",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(140), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sid", String(100), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("statement", Text, nullable=False),
)

# The server's own secrets (what signs code URLs), made once.
secrets = Table(
    "lambda_secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False, info=SEALED),
)
