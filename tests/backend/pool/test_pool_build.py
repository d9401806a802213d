"""Building: complete or absent, bounded, committed by a manifest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from plumbline_backend.domain.errors import ConflictError, InputError, NotFoundError
from plumbline_backend.domain.types import Column
from plumbline_backend.importers import inspect_file
from plumbline_backend.pool import Pool, build_pool, with_roles
from plumbline_backend.pool.files import sha256_of


def write_csv(tmp_path: Path, n_rows: int = 10) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("id,x,label\n" + "".join(f"k{i},{i}.5,{'ab'[i % 2]}\n" for i in range(n_rows)))
    return path


def test_the_manifest_lists_every_file_with_its_sum(tmp_path):
    path = write_csv(tmp_path)
    summary = build_pool(path, tmp_path / "pool", inspect_file(path).columns)
    pool = Pool.open(tmp_path / "pool")
    assert (summary.n_items, summary.n_skipped, summary.problems) == (10, 0, ())
    listed = {file.path: file.sha256 for file in pool.manifest.files}
    on_disk = {p.relative_to(pool.folder).as_posix() for p in pool.folder.rglob("*") if p.is_file()}
    assert on_disk == {*listed, "manifest.json"}
    assert all(sha256_of(pool.folder / name) == value for name, value in listed.items())
    listing = "".join(f"{value}  {name}\n" for name, value in sorted(listed.items()))
    assert pool.data_hash == hashlib.sha256(listing.encode()).hexdigest()
    assert pool.manifest.source == {"file": "a.csv", "format": "csv"}


def test_the_same_file_gives_the_same_hash_and_another_one_does_not(tmp_path):
    path = write_csv(tmp_path)
    hashes = []
    for name in ("one", "two"):
        build_pool(path, tmp_path / name, inspect_file(path).columns)
        hashes.append(Pool.open(tmp_path / name).data_hash)
    path.write_text(path.read_text().replace("3.5", "3.6"))
    build_pool(path, tmp_path / "three", inspect_file(path).columns)
    assert hashes[0] == hashes[1] != Pool.open(tmp_path / "three").data_hash


def test_progress_rises_to_one(tmp_path):
    path = write_csv(tmp_path, 20_000)
    seen: list[tuple[float, str]] = []
    build_pool(path, tmp_path / "pool", inspect_file(path).columns, progress=lambda f, m: seen.append((f, m)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert seen[-1] == (1.0, "20,000 items")


@pytest.mark.parametrize("stop", [InterruptedError("stop"), KeyboardInterrupt()])
def test_a_stopped_import_leaves_nothing(tmp_path, stop):
    path = write_csv(tmp_path)

    def interrupt(_fraction: float, _message: str) -> None:
        raise stop

    with pytest.raises(type(stop)):
        build_pool(path, tmp_path / "pool", inspect_file(path).columns, progress=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_an_existing_folder_is_not_overwritten(tmp_path):
    path = write_csv(tmp_path)
    build_pool(path, tmp_path / "pool", inspect_file(path).columns)
    with pytest.raises(ConflictError, match=r"^pool: there is something at this place already"):
        build_pool(path, tmp_path / "pool", inspect_file(path).columns)


def test_a_folder_without_manifest_is_not_a_pool(tmp_path):
    with pytest.raises(NotFoundError, match=r"not a pool \(it has no manifest.json\)"):
        Pool.open(tmp_path)


def test_an_unknown_format_is_refused(tmp_path):
    path = write_csv(tmp_path)
    build_pool(path, tmp_path / "pool", inspect_file(path).columns)
    manifest = tmp_path / "pool" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))
    with pytest.raises(InputError, match=r"^pool: pool format 99; expected 1$"):
        Pool.open(tmp_path / "pool")


def test_wrong_columns_are_all_named(tmp_path):
    path = write_csv(tmp_path)
    columns = [Column("a", "string", "id"), Column("b", "string", "id"), Column("b", "string", "tekst")]  # type: ignore[arg-type]
    with pytest.raises(InputError) as refused:
        build_pool(path, tmp_path / "pool", columns)
    assert str(refused.value).splitlines() == [
        "a.csv: column 'b' has the role 'tekst'; did you mean 'text'? Valid: category, features, id, ignore, "
        "image, label, metadata, numeric, text",
        "a.csv: column 'b' appears 2 times",
        "a.csv: columns 'a', 'b' all have the role id; expected at most one",
    ]


def test_a_column_that_the_file_does_not_have_is_named(tmp_path):
    path = write_csv(tmp_path)
    with pytest.raises(InputError, match=r"^a.csv: column 'lable' does not exist; did you mean 'label'\?"):
        build_pool(path, tmp_path / "pool", [Column("lable", "string", "label")])


def test_roles_are_corrected_by_name(tmp_path):
    columns = inspect_file(write_csv(tmp_path)).columns
    corrected = with_roles(columns, {"x": "category"})
    assert [(c.name, c.role, c.reason) for c in corrected][1] == ("x", "category", "chosen by hand")
    with pytest.raises(InputError, match="did you mean 'label'"):
        with_roles(columns, {"labels": "label"})
    with pytest.raises(InputError, match="did you mean 'category'"):
        with_roles(columns, {"x": "categories"})


def test_a_scalar_column_given_as_features_is_a_number(tmp_path):
    path = write_csv(tmp_path)
    build_pool(path, tmp_path / "pool", with_roles(inspect_file(path).columns, {"x": "features"}))
    pool = Pool.open(tmp_path / "pool")
    assert pool.column_named("x").role == "numeric"
    assert pool.column_values("x", [1]) == [1.5]
