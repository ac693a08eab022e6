"""Code signing configurations: whose signatures the code of a function must bear.

Signatures are AWS Signer's, and nothing here can make or check one: every package counts as unsigned. So `Enforce`
refuses every new package and layer, and `Warn` takes it and says so in the node's log. The sentences are AWS's
(recorded: TestCodeSigningConfig::test_code_signing_not_found_excs).
"""

import dataclasses
import logging
import secrets
import string
from collections.abc import Callable, Collection, Mapping, Sequence

from cosset.clock import Clock
from cosset.functions import code_signing_records, errors, option_records, records
from cosset.functions.model import CodeSigningConfig, CodeSigningKey, FunctionKey
from cosset.functions.tags import check_tags
from cosset.functions.timestamps import format_timestamp
from cosset.store.database import Store, Transaction

logger = logging.getLogger(__name__)

ENFORCE = "Enforce"
WARN = "Warn"
_CHARACTERS = string.ascii_lowercase + string.digits


def random_config_id() -> str:
    return "csc-" + "".join(secrets.choice(_CHARACTERS) for _ in range(17))


class CodeSigning:
    """The operations, and what deployments ask."""

    def __init__(self, store: Store, clock: Clock, new_id: Callable[[], str] = random_config_id) -> None:
        self._store = store
        self._clock = clock
        self._new_id = new_id

    async def create(
        self,
        account: str,
        region: str,
        *,
        publishers: Sequence[str],
        policy: str | None,
        description: str | None,
        tags: Mapping[str, str],
    ) -> CodeSigningConfig:
        check_tags(tags)
        config = CodeSigningConfig(
            key=CodeSigningKey(account, region, self._new_id()),
            publishers=tuple(publishers),
            policy=policy or WARN,
            description=description,
            last_modified=self._now(),
            tags=tags,
        )
        await self._store.write(lambda tx: code_signing_records.write(tx, config))
        return config

    async def update(
        self, key: CodeSigningKey, *, publishers: Sequence[str] | None, policy: str | None, description: str | None
    ) -> CodeSigningConfig:
        """What was not given (None) stays."""

        def write(tx: Transaction) -> CodeSigningConfig:
            config = _require(tx, key)
            config = dataclasses.replace(
                config,
                publishers=config.publishers if publishers is None else tuple(publishers),
                policy=policy or config.policy,
                description=config.description if description is None else description,
                last_modified=self._now(),
            )
            code_signing_records.write(tx, config)
            return config

        return await self._store.write(write)

    async def get(self, key: CodeSigningKey) -> CodeSigningConfig:
        """Raises:
        ServiceError: ResourceNotFoundException, as all of these.
        """
        return await self._store.read(lambda tx: _require(tx, key))

    async def delete(self, key: CodeSigningKey) -> None:
        """One that a function still has stays."""

        def delete(tx: Transaction) -> None:
            _require(tx, key)
            if code_signing_records.functions_with(tx, key, after="", limit=1):
                raise errors.conflict(
                    f"The code signing configuration {key.arn} cannot be deleted because functions use it."
                )
            code_signing_records.remove(tx, key)

        await self._store.write(delete)

    async def list(self, account: str, region: str, *, after: str, limit: int) -> list[CodeSigningConfig]:
        return await self._store.read(
            lambda tx: code_signing_records.read_all(tx, account, region, after=after, limit=limit)
        )

    async def functions_with(self, key: CodeSigningKey, *, after: str, limit: int) -> Sequence[FunctionKey]:
        def read(tx: Transaction) -> Sequence[FunctionKey]:
            _require(tx, key)
            return code_signing_records.functions_with(tx, key, after=after, limit=limit)

        return await self._store.read(read)

    async def attach(self, function: FunctionKey, arn: str) -> None:
        """From its next deployment on, the function is held to the configuration."""

        def write(tx: Transaction) -> None:
            _find(tx, function, arn)
            _require_function(tx, function)
            option_records.change(tx, function, code_signing_config=arn)

        await self._store.write(write)

    async def attached(self, function: FunctionKey) -> str | None:
        """The ARN of the function's configuration, if it has one."""

        def read(tx: Transaction) -> str | None:
            _require_function(tx, function)
            return option_records.read(tx, function).code_signing_config

        return await self._store.read(read)

    async def detach(self, function: FunctionKey) -> None:
        """Where there is none, nothing happens."""

        def write(tx: Transaction) -> None:
            _require_function(tx, function)
            option_records.change(tx, function, code_signing_config=None)

        await self._store.write(write)

    async def change_tags(
        self, key: CodeSigningKey, *, add: Mapping[str, str] | None = None, remove: Collection[str] = ()
    ) -> None:
        def write(tx: Transaction) -> None:
            config = _require(tx, key)
            tags = {name: value for name, value in {**config.tags, **(add or {})}.items() if name not in remove}
            check_tags(tags)
            code_signing_records.write(tx, dataclasses.replace(config, tags=tags))

        await self._store.write(write)

    def verify(self, tx: Transaction, function: FunctionKey) -> None:
        """Asked before a package or a layer is deployed.

        Raises:
            ServiceError: CodeVerificationFailedException, under Enforce.
        """
        arn = option_records.read(tx, function).code_signing_config
        if arn is not None:
            self.verify_new(tx, function, arn)

    def verify_new(self, tx: Transaction, function: FunctionKey, arn: str) -> None:
        """As `verify`, for a function that is to have the configuration `arn`."""
        if _find(tx, function, arn).policy == ENFORCE:
            raise errors.code_not_signed(function.name)

    async def warn(self, function: FunctionKey) -> None:
        """Says that unsigned code was deployed, where the function's configuration asks for signed code."""
        arn = await self._store.read(lambda tx: option_records.read(tx, function).code_signing_config)
        if arn is not None:
            logger.warning("the code of %s is not signed by any publisher that %s allows", function.arn, arn)

    def _now(self) -> str:
        return format_timestamp(self._clock.now_ms())


def parse_key(arn: str) -> CodeSigningKey:
    """arn:aws:lambda:REGION:ACCOUNT:code-signing-config:ID; its form was checked at the door."""
    parts = arn.split(":")
    return CodeSigningKey(parts[4], parts[3], parts[6])


def _require(tx: Transaction, key: CodeSigningKey) -> CodeSigningConfig:
    config = code_signing_records.read(tx, key)
    if config is None:
        raise errors.code_signing_not_found(key.arn)
    return config


def _find(tx: Transaction, function: FunctionKey, arn: str) -> CodeSigningConfig:
    """A configuration that the function may have: one of its own account and region."""
    key = parse_key(arn)
    config = code_signing_records.read(tx, key)
    if config is None or (key.account, key.region) != (function.account, function.region):
        raise errors.function_code_signing_not_found(arn)
    return config


def _require_function(tx: Transaction, function: FunctionKey) -> None:
    if records.read_settings(tx, function) is None:
        raise errors.function_not_found(function.arn)
