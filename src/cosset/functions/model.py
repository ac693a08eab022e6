"""What a function is, as frozen values. Parsed once at the wire, kept as rows, read by invocation and environments.

The field names are AWS's (FunctionConfiguration), in snake case, with units last. None means unset, which AWS omits.
"""

import hashlib
import re
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


@dataclass(frozen=True, slots=True)
class LayerUse:
    """A layer as a function version has it: it stays when the layer is deleted."""

    arn: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionVersion:
    """One version of a function: `$LATEST`, or a published number, which never changes again.

    `variables` are the user's environment variables, None when no Environment was given. `extra` holds settings that
    are kept and answered as their AWS members (VpcConfig, KMSKeyArn, FileSystemConfigs, DeadLetterConfig); what they
    do, docs/lambda.md says. `runtime_update_on` and `runtime_pin` are the runtime management config.

    `serving_id` changes whenever idle environments of this version must not serve any more (new code, new settings),
    and not with `revision_id`, which every call that touches the function changes. `fingerprint` says what a version
    was published from: PublishVersion answers the last version while `$LATEST` is still the same.
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
    last_update_status: UpdateStatus | None = UpdateStatus.SUCCESSFUL
    last_update_status_reason: str | None = None
    last_update_status_reason_code: str | None = None
    layers: tuple[LayerUse, ...] = ()
    snap_start: str = "None"
    serving_id: str = ""
    fingerprint: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    runtime_update_on: str = "Auto"
    runtime_pin: str | None = None

    @property
    def qualified_arn(self) -> str:
        return self.key.qualified_arn(self.version)

    @property
    def runtime_version(self) -> str:
        """As INIT_START names it: `python:3.13.v1`. AWS counts its own patches behind the `v`; here there is one."""
        parts = re.match(r"([a-z]+)([0-9.]*)(\w*)", self.runtime or "none")
        assert parts is not None
        language, digits, rest = parts.groups()
        return f"{language}:{digits.rstrip('.') or rest}.v1"

    @property
    def runtime_version_arn(self) -> str:
        """Names the runtime as AWS does; the same runtime has the same name everywhere and always."""
        digest = hashlib.sha256(f"cosset {self.runtime}".encode()).hexdigest()
        return f"arn:aws:lambda:{self.key.region}::runtime:{digest}"

    @property
    def number(self) -> int:
        """The order of versions: `$LATEST` is 0."""
        return 0 if self.version == LATEST else int(self.version)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for a version. `weights` sends a share (0.0 to 1.0) of the calls to other versions."""

    key: FunctionKey
    name: str
    version: str
    description: str
    revision_id: str
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingChange:
    """The members of LoggingConfig that a caller gave; None was not given."""

    log_format: str | None = None
    log_group: str | None = None
    application_log_level: str | None = None
    system_log_level: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What CreateFunction and UpdateFunctionConfiguration may set. None was not given, and stays as it was.

    `layers` are ARNs of layer versions. `extra` holds members as AWS names them; a value of None takes one away.
    """

    runtime: str | None = None
    role: str | None = None
    handler: str | None = None
    description: str | None = None
    timeout_s: int | None = None
    memory_mb: int | None = None
    ephemeral_storage_mb: int | None = None
    variables: Mapping[str, str] | None = None
    tracing_mode: str | None = None
    snap_start: str | None = None
    logging: LoggingChange | None = None
    architectures: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FunctionSettings:
    """What belongs to a function and not to one of its versions."""

    key: FunctionKey
    tags: Mapping[str, str]
    reserved_concurrency: int | None


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """What belongs to a whole function and few have set. `recursive_loop` is `Terminate` or `Allow`;
    `code_signing_config` an ARN."""

    recursive_loop: str = "Terminate"
    code_signing_config: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInvokeConfig:
    """How the asynchronous events of one qualifier (`$LATEST`, a version, an alias) are treated. None was not set."""

    key: FunctionKey
    qualifier: str
    max_retries: int | None = None
    max_age_s: int | None = None
    on_success: str | None = None
    on_failure: str | None = None
    modified_ms: int = 0

    @property
    def arn(self) -> str:
        return self.key.qualified_arn(self.qualifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInvokeChange:
    """What a caller gave of an event-invoke config. None was not given; `on_success` and `on_failure` are meant only
    when `has_destinations`."""

    max_retries: int | None = None
    max_age_s: int | None = None
    has_destinations: bool = False
    on_success: str | None = None
    on_failure: str | None = None

    @property
    def is_empty(self) -> bool:
        return self.max_retries is None and self.max_age_s is None and not self.has_destinations


@dataclass(frozen=True, slots=True)
class ProvisionedConfig:
    """How many environments one version or alias wants ready."""

    key: FunctionKey
    qualifier: str
    requested: int
    modified_ms: int

    @property
    def arn(self) -> str:
        return self.key.qualified_arn(self.qualifier)


@dataclass(frozen=True, slots=True)
class CodeSigningKey:
    """Where a code signing configuration lives; `id` is `csc-` and 17 characters."""

    account: str
    region: str
    id: str

    @property
    def arn(self) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:code-signing-config:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSigningConfig:
    """Whose signatures a function's code must bear. `policy` is `Warn` or `Enforce`; `publishers` are ARNs of signing
    profiles."""

    key: CodeSigningKey
    publishers: tuple[str, ...]
    policy: str
    description: str | None
    last_modified: str
    tags: Mapping[str, str] = field(default_factory=dict)
