"""One Settings object: every knob of a Cosset node, with unit and default. Reading them is `cli/configuration.py`."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is also a flag of `cosset up` (`--idle-timeout-s`), a variable (`COSSET_IDLE_TIMEOUT_S`) and a key
    of `cosset.toml` (`idle_timeout_s`). Flags win over variables, variables over the file.
    """

    host: str = "127.0.0.1"
    """Address to serve on."""
    port: int = 4566
    """TCP port to serve on; 0 picks a free one."""
    data: Path | None = None
    """Data folder. None: /var/lib/cosset for root, else ~/.local/share/cosset."""
    database: str | None = field(default=None, repr=False)
    """SQLAlchemy URL of a PostgreSQL database. None: SQLite in the data folder."""
    key_file: Path | None = None
    """File of the root key that seals secrets in the database; mode 0600. None: root.key in the data folder. Nodes that
    share a database need the same one."""
    dev: bool = False
    """For laptops and CI: loopback only, account 000000000000, key test/test, unknown roles accepted."""
    profile: bool = True
    """Keep the AWS profile `cosset` in the user's AWS files: made on first start, and brought up to date."""
    region: str = "us-east-1"
    """Region of the profile, and of requests that name none."""
    tier: str = "jail"
    """Isolation tier: `jail`, or `process` (isolates nothing; only by name)."""
    egress: bool = False
    """Let functions reach the internet, as on AWS. Needs nft, without root slirp4netns too; see `cosset doctor`."""
    egress_allow: tuple[str, ...] = ()
    """Networks that functions may reach though they are private or otherwise special: IPv4 in CIDR notation."""
    aws_endpoints: str = "local"
    """Where AWS's own host names lead inside environments: `local`, to Cosset; `real`, to AWS, which needs `egress`."""
    strict_runtimes: bool = False
    """Refuse a runtime that is not installed here instead of serving it with the nearest of its language."""
    legacy_runtimes: bool = False
    """Accept runtime names that AWS has retired."""
    cors_origins: tuple[str, ...] = ()
    """Origins that browser SDKs may call from. Empty: no CORS."""
    concurrency: int = 1000
    """Account concurrency: invocations under way at once."""
    inactive_after_days: int = 0
    """Days without a call after which a function becomes Inactive, as on AWS after some weeks. 0: never."""
    max_environments: int = 200
    """Execution environments alive at once on this node; the longest idle makes room."""
    environment_memory_mb: int = 0
    """Memory that all environments may use together; the longest idle makes room. 0: three quarters of the host's."""
    idle_timeout_s: int = 300
    """How long an idle environment is kept."""
    causes_mb: int = 32
    """Disk for what caused what (`cosset trace`, `cosset map`); the oldest goes first. 0: nothing is kept of it."""
    causes_days: int = 7
    """How long that record is kept at most."""
    events_mb: int = 64
    """Disk for the events that functions ran with, for `cosset replay`; the oldest goes first. 0: none are kept. A
    function with the tag `cosset:record` = `off` has none kept either."""
    events_days: int = 7
    """How long these events are kept at most."""
    event_kb: int = 256
    """Largest event that is kept for `cosset replay`."""
    max_connections: int = 4096
    """Client connections open at once."""
    max_body_mb: int = 70
    """Largest request body (a 50 MB zip in base64 inside JSON, and its fields)."""
    max_clock_skew_s: int = 300
    """How far a signature's date may be from the clock."""
    drain_s: int = 10
    """How long a stop waits for invocations under way."""
    min_free_mb: int = 256
    """Free disk below which writes are refused."""
    log_level: str = "info"
    """Cosset's own log: debug, info, warning, error."""
