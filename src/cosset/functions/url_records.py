"""Function URLs as rows. Decides nothing; read next: urls.py."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from cosset.functions.model import FunctionKey
from cosset.functions.records import of_function
from cosset.functions.url_tables import function_urls
from cosset.store.database import Transaction

BUFFERED = "BUFFERED"
NONE, AWS_IAM = "NONE", "AWS_IAM"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionUrl:
    """One URL. `qualifier` is an alias, empty for the function itself; `cors` as AWS names its members, None when
    there is none; `created` and `modified` as AWS writes them."""

    key: FunctionKey
    qualifier: str
    url_id: str
    auth_type: str
    invoke_mode: str | None
    cors: Mapping[str, Any] | None
    created: str
    modified: str

    @property
    def arn(self) -> str:
        return self.key.qualified_arn(self.qualifier) if self.qualifier else self.key.arn


def read_url(tx: Transaction, key: FunctionKey, qualifier: str) -> FunctionUrl | None:
    row = tx.execute(select(function_urls).where(_is(key, qualifier))).first()
    return None if row is None else _to_url(row)


def find_url(tx: Transaction, url_id: str) -> FunctionUrl | None:
    row = tx.execute(select(function_urls).where(function_urls.c.url_id == url_id)).first()
    return None if row is None else _to_url(row)


def list_urls(tx: Transaction, key: FunctionKey, *, after: str | None, limit: int) -> list[FunctionUrl]:
    """By qualifier, the function's own first."""
    query = select(function_urls).where(of_function(function_urls, key))
    if after is not None:
        query = query.where(function_urls.c.qualifier > after)
    return [_to_url(row) for row in tx.execute(query.order_by(function_urls.c.qualifier).limit(limit))]


def insert_url(tx: Transaction, url: FunctionUrl) -> None:
    key = url.key
    tx.execute(
        insert(function_urls).values(
            account=key.account,
            region=key.region,
            name=key.name,
            qualifier=url.qualifier,
            url_id=url.url_id,
            created=url.created,
            **_settings(url),
        )
    )


def write_url(tx: Transaction, url: FunctionUrl) -> None:
    tx.execute(update(function_urls).where(_is(url.key, url.qualifier)).values(**_settings(url)))


def delete_url(tx: Transaction, key: FunctionKey, qualifier: str) -> bool:
    return bool(tx.execute(delete(function_urls).where(_is(key, qualifier))).rowcount)


def _is(key: FunctionKey, qualifier: str) -> ColumnElement[bool]:
    return and_(of_function(function_urls, key), function_urls.c.qualifier == qualifier)


def _settings(url: FunctionUrl) -> dict[str, str | None]:
    return {
        "auth_type": url.auth_type,
        "invoke_mode": url.invoke_mode,
        "cors": None if url.cors is None else json.dumps(dict(url.cors)),
        "modified": url.modified,
    }


def _to_url(row: Row[Any]) -> FunctionUrl:
    return FunctionUrl(
        key=FunctionKey(row.account, row.region, row.name),
        qualifier=row.qualifier,
        url_id=row.url_id,
        auth_type=row.auth_type,
        invoke_mode=row.invoke_mode,
        cors=None if row.cors is None else json.loads(row.cors),
        created=row.created,
        modified=row.modified,
    )
