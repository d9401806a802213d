"""Feature sets: by role, saved whole, finite, replaced in one step; and the demos that come with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.pool import FeaturePart, FeatureSpec, Pool, default_spec, fit_features, load_features
from plumbline_backend.pool.demos import build_demo, demo_named, demo_names
from plumbline_backend.pool.features import column_chunks, columns_at

N = 9_000


@pytest.fixture
def pool(make_pool):
    generator = np.random.default_rng(0)
    return make_pool(
        {
            "id": ("id", [f"k{i}" for i in range(N)]),
            "x": ("numeric", [float(i) if i % 5 else None for i in range(N)]),
            "y": ("numeric", list(range(N))),
            "kind": ("category", ["a", "b", ""] * (N // 3)),
            "text": ("text", [f"word{i % 9} and word{i % 7}" for i in range(N)]),
            "v": ("features", generator.normal(size=(N, 3))),
            "label": ("label", ["p", "q"] * (N // 2)),
            "other": ("metadata", ["z"] * N),
        }
    )


def test_the_default_spec_goes_by_role(pool):
    assert default_spec(pool).parts == (
        FeaturePart("numeric", ("x", "y")),
        FeaturePart("numeric", ("v",)),
        FeaturePart("category", ("kind",)),
        FeaturePart("text", ("text",)),
    )


def test_features_are_those_of_the_fitted_parts(pool):
    seen: list[float] = []
    fitted = fit_features(pool, progress=lambda fraction, _: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert pool.features.shape == (N, fitted.d)
    assert pool.features.names == fitted.names
    assert fitted.names[:3] == ("x", "y", "x is missing")
    assert [(p.start, p.stop) for p in fitted.parts][:2] == [(0, 3), (3, 6)]
    positions = np.array([N - 1, 0, 5_000])
    columns = columns_at(pool, ["x", "y", "v", "kind", "text"], positions)
    assert np.allclose(pool.features.gather(positions), fitted.apply(columns), atol=1e-6)
    assert all(np.isfinite(rows).all() for _, rows in pool.features.chunks())


def test_a_saved_set_is_the_fitted_one(pool):
    fitted = fit_features(pool)
    loaded = load_features(Pool.open(pool.folder))
    columns = columns_at(pool, ["x", "y", "v", "kind", "text"], np.arange(50))
    assert np.array_equal(loaded.apply(columns), fitted.apply(columns))
    assert (loaded.spec, loaded.names) == (fitted.spec, fitted.names)
    assert json.loads(json.dumps(fitted.spec.to_dict())) == fitted.spec.to_dict()


def test_the_seed_decides_and_data_hash_stays(pool):
    before = pool.data_hash
    fit_features(pool)
    first = pool.features.gather(np.arange(N))
    fit_features(pool)
    assert np.array_equal(pool.features.gather(np.arange(N)), first)
    assert Pool.open(pool.folder).data_hash == before


def test_two_sets_side_by_side(pool):
    fit_features(pool)
    only = FeatureSpec((FeaturePart("numeric", ("y",)),))
    fit_features(pool, only, name="small")
    assert pool.features_named("small").d == 1
    assert pool.features.d > 1
    with pytest.raises(NotFoundError, match="has no features 'large' yet"):
        load_features(pool, "large")


def test_a_failure_leaves_the_old_set(pool):
    fit_features(pool)
    d = pool.features.d

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_features(pool, FeatureSpec((FeaturePart("numeric", ("y",)),)), stop)
    assert Pool.open(pool.folder).features.d == d
    assert [p.name for p in (pool.folder / "features").iterdir()] == ["default"]


def test_parts_without_features_are_told(make_pool):
    pool = make_pool({"t": ("text", ["?", "!"]), "x": ("numeric", [1, 2])})
    fitted = fit_features(pool)
    assert fitted.notes == ("text gives no features for t: nothing varies in it",)
    assert fitted.names == ("x",)


def test_a_pool_with_nothing_to_learn_from_is_refused(make_pool):
    pool = make_pool({"label": ("label", ["a", "b"])})
    with pytest.raises(
        InputError, match=r"^made.test: no column to learn from; expected at least one with the role"
    ):
        fit_features(pool)
    pool = make_pool({"t": ("text", ["?", "!"])})
    with pytest.raises(InputError, match="no features to learn from; text gives no features for t"):
        fit_features(pool)


def test_one_item(make_pool):
    pool = make_pool({"x": ("numeric", [3.0]), "t": ("text", ["a word"])})
    fit_features(pool)
    assert pool.features.n == 1
    assert np.isfinite(pool.features.gather([0])).all()


def test_chunks_are_in_order_and_bounded(pool):
    parts = list(column_chunks(pool, ["y", "v"], rows=1_000))
    assert all(len(part["y"]) <= 1_000 for part in parts)
    assert [value for part in parts for value in part["y"].to_pylist()] == list(range(N))


@pytest.mark.parametrize(
    ("name", "n", "accuracy"), [("digits", 1797, 0.93), ("wine", 178, 0.93), ("breast_cancer", 569, 0.93)]
)
def test_a_demo_can_be_learned(tmp_path, name, n, accuracy):
    summary = build_demo(name, tmp_path / name)
    pool = Pool.open(tmp_path / name)
    assert summary.n_items == n == pool.features.n
    (label,) = pool.columns_of("label")
    y = np.array(pool.column_values(label.name, range(n)))
    X = pool.features.gather(np.arange(n))
    order = np.random.default_rng(0).permutation(n)
    fit, test = order[: n // 2], order[n // 2 :]
    assert LogisticRegression(max_iter=2_000).fit(X[fit], y[fit]).score(X[test], y[test]) > accuracy
    assert pool.manifest.source["licence"] == "CC BY 4.0"
    if name == "digits":
        assert pool.image(0)[1] == "image/png"


def test_unknown_demos_suggest_the_nearest():
    assert demo_names() == ("digits", "wine", "breast_cancer")
    with pytest.raises(InputError, match="did you mean 'digits'"):
        demo_named("digit")
