"""The credential report: what credentials an account's users have, and when they last used them, as AWS's CSV.

There is no root user, so there is no line for one.
"""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, insert, select

from cosset.clock import Clock
from cosset.services.iam.records import User, user_of
from cosset.services.iam.requirements import on_everything
from cosset.services.iam.tables import (
    access_keys,
    credential_reports,
    login_profiles,
    mfa_devices,
    password_policies,
    public_keys,
    users,
)
from cosset.services.iam.uses import find_key_use
from cosset.services.operation import Context, Params, Result, operation
from cosset.store.database import Store, Transaction
from cosset.wire.errors import ServiceError

_GOOD_FOR_MS = 4 * 3_600_000
_COLUMNS = (
    *("user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed"),
    *("password_next_rotation", "mfa_active"),
    *(
        f"access_key_{number}_{what}"
        for number in (1, 2)
        for what in ("active", "last_rotated", "last_used_date", "last_used_region", "last_used_service")
    ),
    *(f"cert_{number}_{what}" for number in (1, 2) for what in ("active", "last_rotated")),
)
_NONE = "N/A"
_DAY_MS = 86_400_000


class CredentialReport:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @operation("GenerateCredentialReport", on_everything("GenerateCredentialReport"))
    async def generate(self, ctx: Context, params: Params) -> Result:
        """Made at once; a report of the last four hours is kept, as on AWS."""
        now_ms = self._clock.now_ms()

        def work(tx: Transaction) -> bool:
            if (row := _kept(tx, ctx.account)) is not None and now_ms - row.generated_ms < _GOOD_FOR_MS:
                return False
            content = _write(tx, ctx.account)
            tx.execute(delete(credential_reports).where(credential_reports.c.account == ctx.account))
            tx.execute(insert(credential_reports).values(account=ctx.account, content=content, generated_ms=now_ms))
            return True

        if await self._store.write(work):
            return {"State": "STARTED", "Description": "No report exists. Starting a new report generation task"}
        return {"State": "COMPLETE"}

    @operation("GetCredentialReport", on_everything("GetCredentialReport"))
    async def get(self, ctx: Context, params: Params) -> Result:
        row = await self._store.read(lambda tx: _kept(tx, ctx.account))
        if row is None:
            sentence = "Report doesn't exist. Use GenerateCredentialReport to create one."
            raise ServiceError("ReportNotPresent", sentence, status=410)
        if self._clock.now_ms() - row.generated_ms >= _GOOD_FOR_MS:
            sentence = "Report has expired. Use GenerateCredentialReport to create a new one."
            raise ServiceError("ReportExpired", sentence, status=410)
        content = row.content.encode()
        return {"Content": content, "ReportFormat": "text/csv", "GeneratedTime": row.generated_ms // 1000}


def _kept(tx: Transaction, account: str) -> Any:
    return tx.execute(select(credential_reports).where(credential_reports.c.account == account)).one_or_none()


def _write(tx: Transaction, account: str) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    rows = tx.execute(select(users).where(users.c.account == account).order_by(users.c.name_key))
    max_age = _password_age_days(tx, account)
    for row in rows.all():
        lines.writerow(_line(tx, user_of(row), max_age))
    return text.getvalue().rstrip("\n")


def _line(tx: Transaction, user: User, max_age_days: int | None) -> list[str]:
    mine = {table: _of(tx, table, user) for table in (login_profiles, access_keys, mfa_devices, public_keys)}
    password = next(iter(mine[login_profiles]), None)
    certificates = [row for row in mine[public_keys] if row.kind == "signing"]
    shown = [user.name, user.arn, _time(user.created_ms), _bool(password is not None)]
    shown += _password(password, max_age_days)
    shown.append(_bool(bool(mine[mfa_devices])))
    shown += [text for row in _two(mine[access_keys], "created_ms") for text in _key(tx, row)]
    shown += [text for row in _two(certificates, "uploaded_ms") for text in _certificate(row)]
    return shown


def _of(tx: Transaction, table: Any, user: User) -> list[Any]:
    mine = (table.c.account == user.account, table.c.user_key == user.name.lower())
    return list(tx.execute(select(table).where(*mine)))


def _password(row: Any, max_age_days: int | None) -> list[str]:
    """Last used, last changed, next rotation. Nobody signs in with one here."""
    if row is None:
        return [_NONE, _NONE, _NONE]
    rotation = _time(row.created_ms + max_age_days * _DAY_MS) if max_age_days else _NONE
    return ["no_information", _time(row.created_ms), rotation]


def _password_age_days(tx: Transaction, account: str) -> int | None:
    policy = tx.execute(select(password_policies.c.policy).where(password_policies.c.account == account)).scalar()
    age = (policy or {}).get("MaxPasswordAge")
    return int(age) if age else None


def _two(rows: list[Any], made: str) -> Iterator[Any]:
    ordered = sorted(rows, key=lambda row: getattr(row, made))[:2]
    yield from [*ordered, None, None][:2]


def _key(tx: Transaction, row: Any) -> list[str]:
    if row is None:
        return ["false", _NONE, _NONE, _NONE, _NONE]
    use = find_key_use(tx, row.access_key_id)
    used = [_NONE, _NONE, _NONE] if use is None else [_time(use.used_ms), use.region, use.service]
    return [_bool(row.status == "Active"), _time(row.created_ms), *used]


def _certificate(row: Any) -> list[str]:
    return ["false", _NONE] if row is None else [_bool(row.status == "Active"), _time(row.uploaded_ms)]


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat()
