"""Pages that change many labels at once are for those who may edit the project."""

from __future__ import annotations

import pytest

from plumbline_app.access import decide
from plumbline_backend.domain.people import Access, Membership, Person, Role


def access(role: Role) -> Access:
    person = Person(1, "Ada", False, False, True, None)  # type: ignore[arg-type]
    return Access(person, {"digits": Membership(role, blind=False)})


@pytest.mark.parametrize("page", ["review", "map", "health"])
@pytest.mark.parametrize(("role", "status"), [("editor", 200), ("annotator", 403), ("reader", 403)])
def test_bulk_pages_need_the_right_to_edit(page: str, role: Role, status: int) -> None:
    assert decide(access(role), "GET", f"/p/digits/{page}").status == status
    assert decide(access(role), "WEBSOCKET", f"/p/digits/{page}/ws").status == status


@pytest.mark.parametrize("path", ["points", "colours", "picture"])
def test_the_maps_figures_are_read_by_those_who_may_read(path: str) -> None:
    assert decide(access("reader"), "GET", f"/api/projects/digits/map/{path}").status == 200
    assert decide(None, "GET", f"/api/projects/digits/map/{path}").status == 401
    assert decide(access("editor"), "GET", f"/api/projects/wine/map/{path}").status == 404
