"""Backups: a whole workspace in one file, and back, on either database."""

from plumbline_backend.backup.restoring import restore_backup
from plumbline_backend.backup.writing import BackupSummary, write_backup

__all__ = ["BackupSummary", "restore_backup", "write_backup"]
