"""What a function is, as frozen values. Parsed once at the wire, kept as rows, read by invocation and environments.

The field names are AWS's (FunctionConfiguration), in snake case, with units last. None means unset, which AWS omits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

LATEST = "$LATEST"


class FunctionState(Enum):
    PENDING = "Pending"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    FAILED = "Failed"


class UpdateStatus(Enum):
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    IN_PROGRESS = "InProgress"


@dataclass(frozen=True, slots=True)
class FunctionKey:
    """Where a function lives. Everything is keyed by account and region."""

    account: str
    region: str
    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"

    def qualified_arn(self, qualifier: str) -> str:
        return f"{self.arn}:{qualifier}"


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """`log_format` is `Text` or `JSON`; the levels are set only for JSON."""

    log_format: str
    log_group: str
    application_log_level: str | None = None
    system_log_level: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A deployment package. `digest` names the zip and the extracted folder in the blob store (hex SHA-256),
    `sha256` is the same in base64 as AWS shows it (CodeSha256), `size_bytes` the size of the zip."""

    digest: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One version of a function: `$LATEST`, or a published number, which never changes again.

    `variables` are the user's environment variables, None when no Environment was given. `extra` holds settings
    that are stored and answered but act nowhere yet (VpcConfig, KMSKeyArn ...), as their AWS members.
    """

    key: FunctionKey
    version: str
    runtime: str | None
    role: str
    handler: str | None
    code: Code
    description: str
    timeout_s: int
    memory_mb: int
    ephemeral_storage_mb: int
    last_modified: str
    revision_id: str
    logging: LoggingConfig
    package_type: str = "Zip"
    architectures: tuple[str, ...] = ("x86_64",)
    variables: Mapping[str, str] | None = None
    tracing_mode: str = "PassThrough"
    state: FunctionState = FunctionState.ACTIVE
    state_reason: str | None = None
    state_reason_code: str | None = None
    last_update_status: UpdateStatus = UpdateStatus.SUCCESSFUL
    last_update_status_reason: str | None = None
    last_update_status_reason_code: str | None = None
    layers: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def qualified_arn(self) -> str:
        return self.key.qualified_arn(self.version)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a version. `weights` sends a share (0.0 to 1.0) of the calls to other versions."""

    key: FunctionKey
    name: str
    version: str
    description: str
    revision_id: str
    weights: Mapping[str, float] = field(default_factory=dict)
