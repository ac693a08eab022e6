"""From a reference to what it names: a version, through an alias too. Short functions of a transaction."""

from cosset.functions import alias_records, errors, names, records
from cosset.functions.model import FunctionVersion
from cosset.functions.names import FunctionReference
from cosset.store.database import Transaction


def find_version(tx: Transaction, reference: FunctionReference) -> FunctionVersion:
    """What a reference names. Raises ResourceNotFoundException with the reference's own ARN."""
    version = look_up(tx, reference)
    if version is None:
        raise errors.function_not_found(reference.arn)
    return version


def look_up(tx: Transaction, reference: FunctionReference) -> FunctionVersion | None:
    """What a reference names, None when that is not there."""
    qualifier = names.version_of(reference.qualifier)
    if names.is_alias(qualifier):
        alias = alias_records.read_alias(tx, reference.key, qualifier)
        if alias is None:
            return None
        qualifier = alias.version
    return records.read_version(tx, reference.key, qualifier)


def is_there(tx: Transaction, reference: FunctionReference) -> bool:
    return look_up(tx, reference) is not None
