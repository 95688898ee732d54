"""What MongoDB's driver raises, as the store port names it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from chassis.errors import Conflict, StoreDown

_DOWN = (
    ConnectionFailure,
    ServerSelectionTimeoutError,
    NetworkTimeout,
    ExecutionTimeout,
    WTimeoutError,
)
_DUPLICATE_KEY = 11000


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn the driver's errors into ours, at this border only."""
    try:
        yield
    except DuplicateKeyError as error:
        raise Conflict(str(error)) from error
    except BulkWriteError as error:
        codes = {item["code"] for item in error.details.get("writeErrors", [])}
        if codes == {_DUPLICATE_KEY}:
            raise Conflict("a document exists already") from error
        if _is_passing(error) or error.details.get("writeConcernErrors"):
            raise StoreDown(str(error)[:200]) from error
        raise
    except _DOWN as error:
        raise StoreDown(str(error)[:200]) from error
    except OperationFailure as error:
        if _is_passing(error):
            raise StoreDown(str(error)[:200]) from error
        raise


def _is_passing(error: PyMongoError) -> bool:
    labels = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError")
    return any(error.has_error_label(label) for label in labels)
