"""The first step of an import: a file from this computer, a path on the server, or a demo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from panel.viewable import Viewable, Viewer

from plumbline_app.components.controls import button, text_field
from plumbline_app.components.layout import card, line, side_by_side, stack
from plumbline_app.components.upload import Upload


class ImportSource(Viewer):
    """Three ways to say what is to be imported; nothing is stored by any of the first two."""

    def __init__(
        self,
        demos: Sequence[tuple[str, str]],
        suffixes: Sequence[str],
        on_upload: Callable[[str, str], None],
        on_path: Callable[[str], None],
        on_demo: Callable[[str], None],
        folders: Sequence[Path] | None = None,
    ) -> None:
        """folders: where the server's own files may be named; None: anywhere."""
        super().__init__()
        self._demos = demos
        self._upload = Upload(on_upload, accept=",".join(suffixes))
        self._on_path = on_path
        self._on_demo = on_demo
        self._folders = folders
        self._path = text_field("Path of a file or a folder of images", placeholder="/data/items.parquet")
        self._path.sizing_mode = "stretch_width"
        self._path.param.watch(lambda _: self._look(), "enter_pressed")

    def __panel__(self) -> Viewable:
        demos = card(
            "A demo",
            "Built from data that comes with scikit-learn; nothing is downloaded.",
            *map(self._demo, self._demos),
        )
        here = card(
            "From this computer",
            "The file is copied to the workspace; nothing is imported before you say so.",
            self._upload,
        )
        return side_by_side(here, demos if self._folders == () else stack(self._on_server(), demos))

    def _on_server(self) -> Viewable:
        below = "A file, or a folder of images with a folder per class, that the server can read."
        if self._folders is not None:
            below += f" It must lie in {' or '.join(map(str, self._folders))}."
        return card("From the server", below, self._path, line(button("Look at it", self._look)))

    def _demo(self, demo: tuple[str, str]) -> Viewable:
        name, title = demo
        return button(f"Open {title}", lambda: self._on_demo(name), width=240)

    def _look(self) -> None:
        path = self._path.value_input or self._path.value
        if path.strip():
            self._on_path(path.strip())
