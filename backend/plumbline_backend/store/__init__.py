"""Tables, ledger and repositories on SQLite or Postgres. The only package that imports SQLAlchemy."""

from plumbline_backend.store.current import Counts, CurrentArrays
from plumbline_backend.store.database import Database
from plumbline_backend.store.errors import DatabaseError
from plumbline_backend.store.opening import Store, open_store
from plumbline_backend.store.sqlite import SqliteReport, sqlite_report
from plumbline_backend.store.streaming import LedgerRow

__all__ = [
    "Counts",
    "CurrentArrays",
    "Database",
    "DatabaseError",
    "LedgerRow",
    "SqliteReport",
    "Store",
    "open_store",
    "sqlite_report",
]
