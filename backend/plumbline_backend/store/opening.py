"""The store: one object with a repository for each kind of row."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from plumbline_backend.store.audit import Audit
from plumbline_backend.store.comments import Comments
from plumbline_backend.store.database import Database
from plumbline_backend.store.draws import Draws
from plumbline_backend.store.jobs import Jobs
from plumbline_backend.store.judges import Judges
from plumbline_backend.store.leases import Leases
from plumbline_backend.store.ledger import Ledger
from plumbline_backend.store.memberships import Memberships
from plumbline_backend.store.migrate import migrate
from plumbline_backend.store.models import Models
from plumbline_backend.store.people import People
from plumbline_backend.store.progress import Progress
from plumbline_backend.store.projects import Projects
from plumbline_backend.store.queries import Queries
from plumbline_backend.store.questions import Questions
from plumbline_backend.store.requests import Requests
from plumbline_backend.store.tokens import Tokens
from plumbline_backend.store.webhooks import Webhooks


class Store:
    """Repositories over one database. Safe to use from many threads."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.projects = Projects(database)
        self.questions = Questions(database)
        self.judges = Judges(database)
        self.ledger = Ledger(database)
        self.queries = Queries(database)
        self.draws = Draws(database)
        self.leases = Leases(database)
        self.models = Models(database)
        self.jobs = Jobs(database)
        self.tokens = Tokens(database)
        self.webhooks = Webhooks(database)
        self.requests = Requests(database)
        self.people = People(database)
        self.memberships = Memberships(database)
        self.comments = Comments(database)
        self.audit = Audit(database)
        self.progress = Progress(database)

    def close(self) -> None:
        """Finishes what was asked and closes the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str | Path) -> Store:
    """Opens a database (a path, sqlite:///path or postgresql://...) and brings it to the newest schema.

    Raises InputError for a URL that cannot be used or a database of a newer Plumbline, DatabaseError
    when the database cannot be reached.
    """
    database = Database(url)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return Store(database)
