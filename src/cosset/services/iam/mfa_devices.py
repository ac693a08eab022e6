"""The operations on virtual MFA devices: a seed, sealed at rest, and the user whose second factor it is.

Codes are verified (identity/one_time_codes.py), and none is taken twice. STS asks `verify` for sessions with a second
factor. Picture codes (QRCodePNG) are not made: devices take the seed as text. Hardware devices cannot be registered.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from cosset.clock import Clock
from cosset.identity.key_material import RandomBytes
from cosset.identity.one_time_codes import AROUND, SEED_BYTES, STEP_MS, find_step, find_steps
from cosset.services.iam.errors import already_exists, delete_conflict, limit_exceeded, no_such_entity
from cosset.services.iam.owners import need_user
from cosset.services.iam.paging import page
from cosset.services.iam.records import User, find_user
from cosset.services.iam.requirements import on_arn, on_everything, on_new, on_user
from cosset.services.iam.shapes import read_tags, tag_list, tags_shown, user_in_list, without_tags
from cosset.services.iam.tables import mfa_devices, mfa_failures, users
from cosset.services.iam.users import caller_or_named
from cosset.services.operation import Context, Params, Requirements, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_QUOTA = 8
_RESYNC_STEPS = 120
"""An hour to either side: what a device's clock may be off when its owner sets it right."""
_FREE_FAILURES = 5
_LONGEST_PAUSE_MS = 3_600_000
_SEED = mfa_devices.c.seed


@dataclass(frozen=True, slots=True)
class MfaDevice:
    """`user_key` and `enabled_ms` are None until a user has it. `last_step`: of the newest code that was taken."""

    account: str
    serial: str
    user_key: str | None
    enabled_ms: int | None
    last_step: int
    tags: Mapping[str, str]


def _on_device(action: str) -> Requirements:
    """On the device, which carries the user's name by custom and not by need."""
    return on_arn(action, "SerialNumber")


class MfaDevices:
    def __init__(self, store: Store, clock: Clock, random_bytes: RandomBytes) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    @operation("CreateVirtualMFADevice", on_new("CreateVirtualMFADevice", "mfa", "VirtualMFADeviceName"))
    async def create(self, ctx: Context, params: Params) -> Result:
        """The seed is told once."""
        serial = f"arn:aws:iam::{ctx.account}:mfa{params.get('Path', '/')}{params['VirtualMFADeviceName']}"
        seed = base64.b32encode(self._random_bytes(SEED_BYTES)).decode("ascii")
        tags, now_ms = read_tags(params.get("Tags", [])), self._clock.now_ms()

        def work(tx: Transaction) -> None:
            if tx.execute(select(mfa_devices.c.serial).where(mfa_devices.c.serial == serial)).first() is not None:
                raise already_exists("MFADevice entity at the same path and name already exists.")
            tx.execute(
                insert(mfa_devices).values(
                    serial=serial,
                    account=ctx.account,
                    seed=tx.seal(_SEED, (serial,), seed),
                    last_step=0,
                    tags=tags,
                    created_ms=now_ms,
                )
            )

        await self._store.write(work)
        return {"VirtualMFADevice": {"SerialNumber": serial, "Base32StringSeed": seed.encode()} | tags_shown(tags)}

    @operation("DeleteVirtualMFADevice", _on_device("DeleteVirtualMFADevice"))
    async def delete(self, ctx: Context, params: Params) -> None:
        def work(tx: Transaction) -> None:
            device = need_mfa_device(tx, ctx.account, params["SerialNumber"])
            if device.user_key is not None:
                raise delete_conflict("Cannot delete entity, must deactivate MFA device first.")
            tx.execute(delete(mfa_devices).where(mfa_devices.c.serial == device.serial))
            tx.execute(delete(mfa_failures).where(mfa_failures.c.serial == device.serial))

        await self._store.write(work)

    @operation("EnableMFADevice", on_user("EnableMFADevice"))
    async def enable(self, ctx: Context, params: Params) -> None:
        """Two codes that follow each other prove that the user has the device."""
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            user = need_user(tx, ctx.account, params["UserName"])
            device = need_mfa_device(tx, ctx.account, params["SerialNumber"])
            if device.user_key is not None:
                raise already_exists(f"MFA device {device.serial} is already in use.")
            taken = select(mfa_devices.c.serial).where(*_of_user(user))
            if len(tx.execute(taken).all()) >= _QUOTA:
                raise limit_exceeded(f"Cannot exceed quota for MFADevicesPerUser: {_QUOTA}")
            step = _need_steps(tx, device, params, now_ms)
            changes = {"user_key": user.name.lower(), "enabled_ms": now_ms, "last_step": step}
            tx.execute(update(mfa_devices).where(mfa_devices.c.serial == device.serial).values(**changes))

        await self._store.write(work)

    @operation("ResyncMFADevice", on_user("ResyncMFADevice"))
    async def resync(self, ctx: Context, params: Params) -> None:
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> None:
            device = _need_own(tx, need_user(tx, ctx.account, params["UserName"]), params["SerialNumber"])
            step = _need_steps(tx, device, params, now_ms, around=_RESYNC_STEPS)
            if step <= device.last_step:
                raise _invalid_code()
            tx.execute(update(mfa_devices).where(mfa_devices.c.serial == device.serial).values(last_step=step))

        await self._store.write(work)

    @operation("DeactivateMFADevice", on_user("DeactivateMFADevice"))
    async def deactivate(self, ctx: Context, params: Params) -> None:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> None:
            device = _need_own(tx, need_user(tx, ctx.account, name), params["SerialNumber"])
            changes = {"user_key": None, "enabled_ms": None}
            tx.execute(update(mfa_devices).where(mfa_devices.c.serial == device.serial).values(**changes))

        await self._store.write(work)

    @operation("GetMFADevice", on_user("GetMFADevice"))
    async def get(self, ctx: Context, params: Params) -> Result:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> dict[str, Any]:
            user = need_user(tx, ctx.account, name)
            return _in_use(user, _need_own(tx, user, params["SerialNumber"]))

        return await self._store.read(work)

    @operation("ListMFADevices", on_user("ListMFADevices"))
    async def list_of_user(self, ctx: Context, params: Params) -> Result:
        name = caller_or_named(ctx, params)

        def work(tx: Transaction) -> list[dict[str, Any]]:
            user = need_user(tx, ctx.account, name)
            rows = tx.execute(select(mfa_devices).where(*_of_user(user)))
            return [_in_use(user, _device_of(row)) for row in rows]

        found = await self._store.read(work)
        return page("MFADevices", found, lambda each: str(each["SerialNumber"]), lambda each: each, params)

    @operation("ListVirtualMFADevices", on_everything("ListVirtualMFADevices", "mfa/"))
    async def list_all(self, ctx: Context, params: Params) -> Result:
        wanted = params.get("AssignmentStatus", "Any")

        def work(tx: Transaction) -> list[dict[str, Any]]:
            rows = tx.execute(select(mfa_devices).where(mfa_devices.c.account == ctx.account))
            return [_in_list(tx, _device_of(row)) for row in rows]

        found = [
            each
            for each in await self._store.read(work)
            if wanted == "Any" or (wanted == "Assigned") == ("User" in each)
        ]
        return page("VirtualMFADevices", found, lambda each: str(each["SerialNumber"]), lambda each: each, params)

    @operation("TagMFADevice", _on_device("TagMFADevice"))
    async def tag(self, ctx: Context, params: Params) -> None:
        await self._store.write(lambda tx: _keep_tags(tx, ctx, params, lambda tags: read_tags(params["Tags"], tags)))

    @operation("UntagMFADevice", _on_device("UntagMFADevice"))
    async def untag(self, ctx: Context, params: Params) -> None:
        await self._store.write(
            lambda tx: _keep_tags(tx, ctx, params, lambda tags: without_tags(tags, params["TagKeys"]))
        )

    @operation("ListMFADeviceTags", _on_device("ListMFADeviceTags"))
    async def list_tags(self, ctx: Context, params: Params) -> Result:
        device = await self._store.read(lambda tx: need_mfa_device(tx, ctx.account, params["SerialNumber"]))
        return page("Tags", tag_list(device.tags), lambda tag: tag["Key"], lambda tag: tag, params)


class MfaBook:
    """What other services may know of second factors: whether somebody has one in hand."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def verify(self, account: str, user_name: str, serial: str, code: str) -> bool:
        """Whether this is a fresh code of that user's own device. It is taken: the same one is not fresh again.

        A million codes are soon tried, so after a few wrong ones the device takes none for a while, and ever longer.
        """
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> bool:
            user, device = find_user(tx, account, user_name), find_mfa_device(tx, account, serial)
            if user is None or device is None or device.user_key != user.name.lower():
                return False
            wrong = tx.execute(select(mfa_failures).where(mfa_failures.c.serial == serial)).one_or_none()
            if wrong is not None and wrong.until_ms > now_ms:
                return False
            step = find_step(_seed(tx, device), code, now_ms, after=device.last_step)
            tx.execute(delete(mfa_failures).where(mfa_failures.c.serial == serial))
            if step is not None:
                tx.execute(update(mfa_devices).where(mfa_devices.c.serial == serial).values(last_step=step))
                return True
            failures = 1 if wrong is None else int(wrong.failures) + 1
            until_ms = now_ms + _pause_ms(failures)
            tx.execute(insert(mfa_failures).values(serial=serial, failures=failures, until_ms=until_ms))
            return False

        return await self._store.write(work)


def _pause_ms(wrong_codes: int) -> int:
    """After the first few: half a minute, twice as long each time, an hour at most."""
    beyond = wrong_codes - _FREE_FAILURES
    return 0 if beyond < 0 else min(STEP_MS << min(beyond, 10), _LONGEST_PAUSE_MS)


def find_mfa_device(tx: Transaction, account: str, serial: str) -> MfaDevice | None:
    mine = (mfa_devices.c.account == account, mfa_devices.c.serial == serial)
    row = tx.execute(select(mfa_devices).where(*mine)).one_or_none()
    return None if row is None else _device_of(row)


def need_mfa_device(tx: Transaction, account: str, serial: str) -> MfaDevice:
    """The device. Raises ServiceError NoSuchEntity."""
    device = find_mfa_device(tx, account, serial)
    if device is None:
        raise no_such_entity(f"VirtualMFADevice with serial number {serial} doesn't exist.")
    return device


def _need_own(tx: Transaction, user: User, serial: str) -> MfaDevice:
    device = find_mfa_device(tx, user.account, serial)
    if device is None or device.user_key != user.name.lower():
        raise no_such_entity(f"MFA Device {serial} is not enabled for user {user.name}.")
    return device


def _need_steps(tx: Transaction, device: MfaDevice, params: Params, now_ms: int, around: int = AROUND) -> int:
    codes = params["AuthenticationCode1"], params["AuthenticationCode2"]
    step = find_steps(_seed(tx, device), *codes, now_ms, around)
    if step is None:
        raise _invalid_code()
    return step


def _seed(tx: Transaction, device: MfaDevice) -> bytes:
    kept = tx.execute(select(_SEED).where(mfa_devices.c.serial == device.serial)).scalar_one()
    return base64.b32decode(tx.unseal(_SEED, (device.serial,), kept))


def _keep_tags(
    tx: Transaction, ctx: Context, params: Params, change: Callable[[Mapping[str, str]], dict[str, str]]
) -> None:
    device = need_mfa_device(tx, ctx.account, params["SerialNumber"])
    tx.execute(update(mfa_devices).where(mfa_devices.c.serial == device.serial).values(tags=change(device.tags)))


def _device_of(row: Any) -> MfaDevice:
    return MfaDevice(row.account, row.serial, row.user_key, row.enabled_ms, row.last_step, dict(row.tags))


def _of_user(user: User) -> tuple[Any, ...]:
    return mfa_devices.c.account == user.account, mfa_devices.c.user_key == user.name.lower()


def _in_use(user: User, device: MfaDevice) -> dict[str, Any]:
    assert device.enabled_ms is not None
    return {"UserName": user.name, "SerialNumber": device.serial, "EnableDate": device.enabled_ms // 1000}


def _in_list(tx: Transaction, device: MfaDevice) -> dict[str, Any]:
    shown: dict[str, Any] = {"SerialNumber": device.serial}
    mine = (users.c.account == device.account, users.c.name_key == device.user_key)
    owner = None if device.user_key is None else tx.execute(select(users.c.name).where(*mine)).scalar()
    user = None if owner is None else find_user(tx, device.account, owner)
    if user is not None and device.enabled_ms is not None:
        shown |= {"User": user_in_list(user), "EnableDate": device.enabled_ms // 1000}
    return shown


def _invalid_code() -> ServiceError:
    return ServiceError("InvalidAuthenticationCode", "Authentication code for device is not valid.", status=403)
