"""Tables of the API: who may call it, and whom it tells."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from plumbline_backend.store.columns import Instant
from plumbline_backend.store.tables import Id, metadata

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("person", Text, nullable=False),
    Column("name", Text, nullable=False, comment="what the person calls it"),
    Column("start", Text, nullable=False, comment="first characters, to tell tokens apart"),
    Column("digest", Text, nullable=False, unique=True, comment="SHA-256 of the token, as hex"),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=True),
    Column("revoked_at", Instant, nullable=True),
    Index("ix_api_tokens_person", "person"),
    sqlite_autoincrement=True,
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("project_id", Id, ForeignKey("projects.id"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False, comment="names of the events that are told"),
    Column("by", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("judgement_id", BigInteger, nullable=False, comment="newest ledger row that was told"),
    Column("model_id", BigInteger, nullable=False, comment="newest model that was told"),
    Column("failures", Integer, nullable=False, comment="deliveries that failed in a row"),
    Column("last_error", Text, nullable=False),
    sqlite_autoincrement=True,
)

requests = Table(
    "requests",
    metadata,
    Column("person", Text, primary_key=True),
    Column("key", Text, primary_key=True, comment="made up by the client"),
    Column("content", Text, nullable=False, comment="SHA-256 of what was asked, as hex"),
    Column("answer", JSON(none_as_null=True), nullable=True, comment="null until it is known"),
    Column("created_at", Instant, nullable=False),
    Index("ix_requests_created_at", "created_at"),
)
