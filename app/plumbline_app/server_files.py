"""Which files of the server's own may be named by somebody who only has a browser.

In single-user mode whoever asks sits at the machine and may read what its owner may. Behind a login a path would be a
way around the roles: to another project's export, to the database, to whatever else the server's account can read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from plumbline_backend.people.errors import ForbiddenError

if TYPE_CHECKING:
    from plumbline_backend.workspace import Workspace

_UPLOAD = re.compile(r"[0-9a-f]{32}")


def import_folders(workspace: Workspace) -> tuple[Path, ...]:
    """The folders that the setting `import_folders` names, in order."""
    named = str(workspace.settings["import_folders"]).split(",")
    return tuple(Path(name.strip()).resolve() for name in named if name.strip())


def importable(workspace: Workspace, path: str | Path) -> Path:
    """The file itself, links followed. Raises ForbiddenError unless it was uploaded or lies in an allowed folder."""
    found = Path(path).resolve()
    uploads = (workspace.folder / "uploads").resolve()
    if found.parent.parent == uploads and _UPLOAD.fullmatch(found.parent.name):
        return found
    folders = import_folders(workspace)
    if any(found.is_relative_to(folder) for folder in folders):
        return found
    allowed = ", ".join(map(str, folders)) or "none"
    raise ForbiddenError(
        f"files on the server can be read only from folders that its administrator names in the setting "
        f"import_folders (now: {allowed}); upload the file instead"
    )
