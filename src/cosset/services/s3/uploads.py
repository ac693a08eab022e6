"""Uploads in parts, in the database. Runs inside the caller's transactions.

An upload is there until it is completed or aborted; its parts are files already. Its id begins with when it was
initiated, so that lists of uploads are in that order.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, and_, delete, insert, select

from cosset.services.s3.file_book import forget_files, name_files
from cosset.services.s3.object_files import Stored
from cosset.services.s3.tables import s3_parts, s3_uploads
from cosset.store.transaction import Transaction
from cosset.wire.errors import ServiceError

MOST_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Upload:
    """`facts` are those of the object to be, and `algorithm`, `type`: how its checksum is counted; `asked`: whether
    the caller wanted one; `there`: the number of the version that it found (0: none)."""

    id: str
    bucket: str
    key: str
    initiated_ms: int
    facts: Mapping[str, Any] = field(repr=False)

    @property
    def algorithm(self) -> str:
        return str(self.facts["algorithm"])

    @property
    def checksum_type(self) -> str:
        return str(self.facts["type"])

    @property
    def is_asked(self) -> bool:
        return bool(self.facts["asked"])

    @property
    def object_facts(self) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self.facts["object"]
        return facts


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """`checksum` is the part's own, by the upload's algorithm, in base64."""

    number: int
    size: int
    etag: str
    modified_ms: int
    stored: Stored
    checksum: str


def new_upload_id(now_ms: int) -> str:
    return f"{now_ms:012x}" + secrets.token_urlsafe(87).replace("-", ".")


def initiated_ms_of(upload_id: str) -> int:
    return int(upload_id[:12], 16)


def add_upload(tx: Transaction, upload: Upload) -> None:
    tx.execute(
        insert(s3_uploads).values(
            id=upload.id,
            bucket=upload.bucket,
            key=upload.key.encode(),
            initiated_ms=upload.initiated_ms,
            facts=dict(upload.facts),
        )
    )


def find_upload(tx: Transaction, bucket: str, key: str, upload_id: str) -> Upload | None:
    row = tx.execute(select(s3_uploads).where(s3_uploads.c.id == upload_id)).one_or_none()
    upload = None if row is None else read_upload(row)
    return upload if upload is not None and (upload.bucket, upload.key) == (bucket, key) else None


def need_upload(tx: Transaction, bucket: str, key: str, upload_id: str) -> Upload:
    """Raises: ServiceError NoSuchUpload."""
    upload = find_upload(tx, bucket, key, upload_id)
    if upload is None:
        raise no_such_upload(upload_id)
    return upload


def no_such_upload(upload_id: str) -> ServiceError:
    sentence = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed."
    )
    return ServiceError("NoSuchUpload", sentence, status=404, fields={"UploadId": upload_id})


def put_part(tx: Transaction, upload: Upload, part: UploadedPart) -> tuple[str, ...]:
    """In the place of one with its number; the files of that one, which nothing names any more."""
    columns = s3_parts.c
    where = and_(columns.upload == upload.id, columns.number == part.number)
    there = tx.execute(select(s3_parts).where(where)).one_or_none()
    orphans = () if there is None else forget_files(tx, read_part(there).stored)
    tx.execute(delete(s3_parts).where(where))
    name_files(tx, part.stored.names)
    tx.execute(
        insert(s3_parts).values(
            upload=upload.id,
            number=part.number,
            size=part.size,
            etag=part.etag,
            modified_ms=part.modified_ms,
            files=[list(each) for each in part.stored.files],
            facts={"checksum": part.checksum},
        )
    )
    return orphans


def parts_of(tx: Transaction, upload_id: str, after: int = 0, limit: int = MOST_PARTS) -> list[UploadedPart]:
    query = select(s3_parts).where(s3_parts.c.upload == upload_id, s3_parts.c.number > after)
    return [read_part(row) for row in tx.execute(query.order_by(s3_parts.c.number).limit(limit))]


def end_upload(tx: Transaction, upload: Upload, keeping: frozenset[int] = frozenset()) -> tuple[str, ...]:
    """Forgets it with its parts; the files of those that are not kept, which nothing names any more."""
    orphans: list[str] = []
    for part in parts_of(tx, upload.id):
        if part.number not in keeping:
            orphans += forget_files(tx, part.stored)
    tx.execute(delete(s3_parts).where(s3_parts.c.upload == upload.id))
    tx.execute(delete(s3_uploads).where(s3_uploads.c.id == upload.id))
    return tuple(orphans)


def read_upload(row: Row[Any]) -> Upload:
    return Upload(row.id, row.bucket, bytes(row.key).decode(), row.initiated_ms, dict(row.facts))


def read_part(row: Row[Any]) -> UploadedPart:
    stored = Stored(tuple((name, size) for name, size in row.files))
    return UploadedPart(row.number, row.size, row.etag, row.modified_ms, stored, row.facts["checksum"])
