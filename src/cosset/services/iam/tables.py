"""What IAM keeps. Names are unique without regard to case (`name_key`) and shown as they were given.

`owner_kind` is `user`, `group` or `role`. Times are epoch milliseconds.
"""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from cosset.store.schema import SEALED, metadata

accounts = Table(
    "iam_accounts",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)

# Those that `cosset account add` made. The others are the installation's own: the real one and the development account.
added_accounts = Table(
    "iam_added_accounts",
    metadata,
    Column("account", String(12), primary_key=True),
)

server_secrets = Table(
    "iam_server_secrets",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False, info=SEALED),
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
    # Sealed and not hashed: SigV4 is an HMAC with the secret itself. See docs/decisions/0021.
    Column("secret", Text, nullable=False, info=SEALED),
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

# Whom a role's trust policy meant when it was set: a successor of the same name is somebody else, as on AWS.
trusted_ids = Table(
    "iam_trusted_ids",
    metadata,
    Column("role_id", String(32), primary_key=True),
    # As the policy names it.
    Column("principal", String(700), primary_key=True),
    Column("unique_id", String(32), nullable=False),
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
    Column("owner_key", String(128), primary_key=True),
    Column("policy_arn", String(700), primary_key=True),
    Column("attached_ms", BigInteger, nullable=False),
)

inline_policies = Table(
    "iam_inline_policies",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("owner_kind", String(8), primary_key=True),
    Column("owner_key", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("document", Text, nullable=False),
)

groups = Table(
    "iam_groups",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name_key", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("group_id", String(32), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

group_members = Table(
    "iam_group_members",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("user_key", String(64), primary_key=True),
    Column("group_key", String(128), primary_key=True),
)

instance_profiles = Table(
    "iam_instance_profiles",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name_key", String(128), primary_key=True),
    Column("name", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("profile_id", String(32), nullable=False),
    # At most one, as on AWS.
    Column("role_key", String(64)),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

login_profiles = Table(
    "iam_login_profiles",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("user_key", String(64), primary_key=True),
    # scrypt with its parameters and salt (`passwords.py`); `former` are hashes that may not be used again.
    Column("password", Text, nullable=False),
    Column("former", JSON, nullable=False),
    Column("reset_required", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

service_credentials = Table(
    "iam_service_credentials",
    metadata,
    Column("credential_id", String(32), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    Column("user_key", String(64), nullable=False),
    Column("service", String(128), nullable=False),
    Column("service_user", String(200), nullable=False),
    Column("password", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

mfa_devices = Table(
    "iam_mfa_devices",
    metadata,
    # The device's ARN.
    Column("serial", String(700), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    # In base32, as devices take it.
    Column("seed", Text, nullable=False, info=SEALED),
    Column("user_key", String(64)),
    Column("enabled_ms", BigInteger),
    # Of thirty seconds since the epoch: the newest whose code was taken.
    Column("last_step", BigInteger, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

# Wrong codes in a row, and until when no code at all is looked at.
mfa_failures = Table(
    "iam_mfa_failures",
    metadata,
    Column("serial", String(700), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

server_certificates = Table(
    "iam_server_certificates",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("certificate_id", String(32), primary_key=True),
    Column("name_key", String(128), nullable=False),
    Column("name", String(128), nullable=False),
    Column("path", String(512), nullable=False),
    Column("body", Text, nullable=False),
    Column("chain", Text),
    Column("private_key", Text, nullable=False, info=SEALED),
    Column("expires_ms", BigInteger, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("uploaded_ms", BigInteger, nullable=False),
    UniqueConstraint("account", "name_key"),
)

# Public keys and certificates of users: what they may be known by elsewhere. `kind` is `ssh` or `signing`.
public_keys = Table(
    "iam_public_keys",
    metadata,
    Column("key_id", String(128), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    Column("user_key", String(64), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("body", Text, nullable=False),
    Column("fingerprint", String(128), nullable=False),
    Column("status", String(16), nullable=False),
    Column("uploaded_ms", BigInteger, nullable=False),
)

credential_reports = Table(
    "iam_credential_reports",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("content", Text, nullable=False),
    Column("generated_ms", BigInteger, nullable=False),
)

access_jobs = Table(
    "iam_access_jobs",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    Column("services", JSON, nullable=False),
    # The user or role that it is about.
    Column("entity", JSON),
    Column("created_ms", BigInteger, nullable=False),
)

# The last use of each long-term access key.
key_uses = Table(
    "iam_key_uses",
    metadata,
    Column("access_key_id", String(128), primary_key=True),
    Column("service", String(64), nullable=False),
    Column("region", String(64), nullable=False),
    Column("used_ms", BigInteger, nullable=False),
)

# The last use of each service by a user or role, by its unique id.
entity_uses = Table(
    "iam_entity_uses",
    metadata,
    Column("unique_id", String(32), primary_key=True),
    Column("service", String(64), primary_key=True),
    Column("region", String(64), nullable=False),
    Column("used_ms", BigInteger, nullable=False),
)

account_aliases = Table(
    "iam_account_aliases",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("alias", String(63), nullable=False, unique=True),
)

password_policies = Table(
    "iam_password_policies",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("policy", JSON, nullable=False),
)

oidc_providers = Table(
    "iam_oidc_providers",
    metadata,
    Column("account", String(12), primary_key=True),
    # Without its scheme, as the ARN has it.
    Column("url", String(255), primary_key=True),
    Column("client_ids", JSON, nullable=False),
    Column("thumbprints", JSON, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

saml_providers = Table(
    "iam_saml_providers",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("provider_id", String(64), nullable=False),
    Column("metadata_document", Text, nullable=False),
    Column("valid_until_ms", BigInteger, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

deletion_tasks = Table(
    "iam_deletion_tasks",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("task_id", String(300), primary_key=True),
    Column("created_ms", BigInteger, nullable=False),
)
