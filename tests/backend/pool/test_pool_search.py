"""Search and filters: against a plain loop over the items, and paging of one scan."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.pool import Between, Contains, Missing, OneOf

N = 9_000


@pytest.fixture
def pool(make_pool):
    return make_pool(
        {
            "id": ("id", [f"k{i}" for i in range(N)]),
            "text": ("text", [("Hello WORLD" if i % 3 == 0 else "bye <b>%_") + f" {i}" for i in range(N)]),
            "x": ("numeric", [float(i) if i % 5 else None for i in range(N)]),
            "label": ("label", ["cat", "dog", ""][:] * (N // 3)),
            "v": ("features", np.zeros((N, 2))),
        }
    )


def rows(keep):
    return [i for i in range(N) if keep(i)]


CASES = {
    "everything": ("", {}, lambda i: i >= 0),
    "text whatever the case": ("hello world", {}, lambda i: i % 3 == 0),
    "no pattern characters": ("<b>%_", {}, lambda i: i % 3 != 0),
    "a key": ("k8999", {}, lambda i: i == 8999),
    "one value": ("", {"label": "cat"}, lambda i: i % 3 == 0),
    "several values": ("", {"label": ["cat", "dog"]}, lambda i: i % 3 != 2),
    "missing": ("", {"label": None}, lambda i: i % 3 == 2),
    "missing or a value": ("", {"label": [None, "dog"]}, lambda i: i % 3 != 0),
    "not missing": ("", {"x": Missing(False)}, lambda i: i % 5 != 0),
    "a range": ("", {"x": Between(10, 20)}, lambda i: 10 <= i <= 20 and i % 5 != 0),
    "an open range": ("", {"x": Between(low=8990)}, lambda i: i >= 8990 and i % 5 != 0),
    "a number": ("", {"x": 7}, lambda i: i == 7),
    "several numbers": ("", {"x": OneOf((7, 8.0))}, lambda i: i in (7, 8)),
    "contains": ("", {"text": Contains("BYE")}, lambda i: i % 3 != 0),
    "all together": (
        "hello",
        {"label": "cat", "x": Between(0, 100)},
        lambda i: i <= 100 and i % 3 == 0 and i % 5 != 0,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_finds_what_a_loop_finds(pool, case):
    text, filters, keep = CASES[case]
    wanted = rows(keep)
    page = pool.search(text, filters, limit=N)
    assert page.positions.tolist() == wanted
    assert page.n_total == len(wanted)
    second = pool.search(text, filters, offset=3, limit=4)
    assert second.positions.tolist() == wanted[3:7]
    assert second.n_total == len(wanted)


def test_within_keeps_its_own_order(pool):
    within = np.array([8_000, 3, 6, 4], dtype=np.int64)
    assert pool.search(within=within).positions.tolist() == [8_000, 3, 6, 4]
    page = pool.search("hello", within=within)
    assert (page.positions.tolist(), page.n_total) == ([3, 6], 2)


def test_nothing_found(pool):
    page = pool.search("no such text")
    assert (len(page.positions), page.n_total) == (0, 0)


def test_a_page_of_a_known_result_scans_nothing(pool, monkeypatch):
    pool.search("hello", {"label": "cat"})
    monkeypatch.setattr(pool, "scan", lambda: pytest.fail("the pool is scanned again"))
    assert pool.search("hello", {"label": "cat"}, offset=50).n_total == N // 3


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"x": "seven"}, "column 'x' holds double; none of ['seven'] can be one"),
        ({"label": Between(0, 1)}, "column 'label' holds text; expected a column of numbers for a range"),
        ({"v": 1}, "column 'v' cannot be filtered; it has the role features"),
    ],
)
def test_filters_that_do_not_fit_are_refused(pool, filters, message):
    with pytest.raises(InputError) as refused:
        pool.search(filters=filters)
    assert str(refused.value).startswith(message)


def test_unknown_columns_and_negative_pages_are_refused(pool):
    with pytest.raises(NotFoundError, match="did you mean 'label'"):
        pool.search(filters={"labl": "cat"})
    with pytest.raises(InputError, match="offset -1, limit 50; expected both at least 0"):
        pool.search(offset=-1)
