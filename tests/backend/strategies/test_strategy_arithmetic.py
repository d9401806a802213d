"""Each strategy against its formula, by hand or by the direct computation that it avoids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plumbline_backend.domain.asking import ArrayRows, Descriptions, Labelled, PoolView, Ranking
from plumbline_backend.domain.errors import InputError
from plumbline_backend.domain.selection import PoolScores
from plumbline_backend.heads.linear_softmax import LinearSoftmax
from plumbline_backend.registry import STRATEGIES
from plumbline_backend.strategies import badge, bids, maxherding, mig
from plumbline_backend.strategies import diversify_and_conquer as divide
from plumbline_backend.strategies.bald import mutual_information
from plumbline_backend.strategies.base import apart, ask, checked
from plumbline_backend.strategies.committee import bootstrapped
from plumbline_backend.strategies.contract import made_view, scores_of
from plumbline_backend.strategies.density_weighted import density
from plumbline_backend.strategies.easy_to_hard import reach
from plumbline_backend.strategies.query_by_committee import vote_entropy
from plumbline_backend.strategies.typical_then_margin import TypicalThenMargin
from plumbline_backend.strategies.zero_label import prompt_weights

THREE = np.array([[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.9, 0.1, 0.0]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def view_of(x: np.ndarray, **known: object) -> PoolView:
    x = np.asarray(x, dtype=np.float32)
    return PoolView(np.ones(len(x), dtype=bool), features=ArrayRows(x), **known)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["margin", "entropy", "least_confident"])
def test_uncertain_before_certain(name: str) -> None:
    view = PoolView(np.ones(3, dtype=bool), scores=scores_of(THREE), proba=lambda _: THREE)
    assert ask(STRATEGIES.get(name)(), view, 3, rng()).items.tolist() == [1, 2, 0]


def test_mutual_information_by_hand() -> None:
    """Members sure of different classes: H(mean) - 0 = ln 2. Members that agree: 0."""
    proba = np.array([[[1.0, 0.0], [0.3, 0.7]], [[0.0, 1.0], [0.3, 0.7]]])
    np.testing.assert_allclose(mutual_information(proba), [np.log(2), 0], atol=1e-9)


def test_vote_entropy_by_hand() -> None:
    """Three votes for one class and one for another: -(3/4 ln 3/4 + 1/4 ln 1/4) = 0.5623, plus 0.001 x 1 - margin."""
    proba = np.array([[[0.9, 0.1]], [[0.9, 0.1]], [[0.9, 0.1]], [[0.1, 0.9]]])
    np.testing.assert_allclose(vote_entropy(proba), [0.56234 + 0.001 * (1 - 0.4)], atol=1e-5)


def test_the_share_of_a_cluster_by_hand() -> None:
    """Two clusters. Left: margins .2 and .4, so utilities .8 and .6, mean .7; its labelled item has p(answer) .9, so
    .7 + .1 = .8. Right: margins .9 and .7, mean utility .2; p(answer) .4, so .2 + .6 = .8 too. A third without labels
    and with a utility of .4 has .4. Of 3,000 first draws 1,200, 1,200 and 600 fall on them (sd below 28)."""
    member = np.array([0, 0, 1, 1, 2])
    utility = np.array([0.8, 0.6, 0.1, 0.3, 0.4])
    share = divide.mean_of(member, utility, 3) + divide.mean_of(np.array([0, 1]), np.array([0.1, 0.6]), 3)
    np.testing.assert_allclose(share, [0.8, 0.8, 0.4])
    draw = rng()
    first = [member[divide.drawn(member, utility, share, 1, draw)[0]] for _ in range(3000)]
    np.testing.assert_allclose(np.bincount(first), [1200, 1200, 600], atol=140)
    everything = divide.drawn(member, utility, share, 9, draw)
    assert sorted(everything.tolist()) == [0, 1, 2, 3, 4]  # an empty cluster is not drawn from again


def test_the_default_never_asks_what_was_not_scored_after_the_cold_phase() -> None:
    """Forty labels of two classes: margins count. Items 40 to 49 have NaN scores, 50 to 59 are ever closer calls."""
    top1 = np.r_[np.full(40, 0.9), np.full(10, np.nan), np.linspace(0.9, 0.6, 10)].astype(np.float32)
    scores = PoolScores(top1, 1 - top1, np.zeros(60), np.where(np.isfinite(top1), 0, -1))
    candidates = np.arange(60) >= 40
    view = PoolView(
        candidates,
        scores=scores,
        features=ArrayRows(np.arange(60, dtype=np.float32)[:, None]),
        labelled=Labelled(np.arange(40), np.arange(40) % 2, 2),
    )
    found = ask(TypicalThenMargin(), view, 20, rng())
    assert found.items.tolist() == list(range(59, 49, -1))
    assert np.isfinite(found.utility).all()


def test_committee_members_differ_and_know_every_class() -> None:
    draw = rng()
    y = np.r_[np.zeros(18, int), 1, 2]
    x = draw.normal(size=(20, 3)) + 2 * np.eye(3)[y]
    members = bootstrapped(LinearSoftmax, x, Labelled(np.arange(20), y, 3), rng(1), 5)
    proba = np.stack([member(x) for member in members])
    assert proba.shape == (5, 20, 3)
    assert proba.std(axis=0).max() > 0.02


def test_k_center_goes_to_the_far_ends() -> None:
    """Labelled at 0; candidates at 1, 4, 10: first 10, then 4 (4 from 0), then 1."""
    view = view_of([[0.0], [1], [4], [10]], labelled=Labelled(np.array([0]), np.array([0]), 1))
    view = replace(view, candidates=np.array([False, True, True, True]))
    found = ask(STRATEGIES.get("k_center")(), view, 3, rng())
    assert found.items.tolist() == [3, 2, 1]
    np.testing.assert_allclose(found.utility, [10, 4, 1], rtol=1e-5)


def test_badge_factors_equal_the_explicit_gradients() -> None:
    draw = rng()
    a, x = draw.normal(size=(12, 3)).astype(np.float32), draw.normal(size=(12, 4)).astype(np.float32)
    explicit = (a[:, :, None] * np.c_[x, np.ones(12)][:, None, :]).reshape(12, -1)
    factors = badge._Factors(a, x)
    np.testing.assert_allclose(factors.left, (explicit**2).sum(axis=1), rtol=1e-5)
    factors.choose(5)
    factors.choose(7)
    d2 = ((explicit[:, None] - explicit[[5, 7]][None]) ** 2).sum(axis=2).min(axis=1)
    np.testing.assert_allclose(factors.left, np.minimum(d2, (explicit**2).sum(axis=1)), atol=1e-4)


def test_badge_never_asks_twice_even_when_gradients_vanish() -> None:
    view = made_view(40)
    sure = replace(view, proba=lambda x: np.eye(3)[np.zeros(len(x), int)])
    found = ask(STRATEGIES.get("badge")(), sure, 20, rng()).items
    assert len(set(found.tolist())) == 20


def test_typiclust_asks_the_middle_of_every_uncovered_blob() -> None:
    """Three blobs, one of them labelled: the first two questions are from the other two, near their centres."""
    draw = rng()
    centres = np.array([[0, 0], [30, 0], [0, 30]], dtype=float)
    x = np.concatenate([centre + draw.normal(size=(30, 2)) for centre in centres])
    view = replace(view_of(x, labelled=Labelled(np.array([0]), np.array([0]), 1)))
    view.candidates[0] = False
    found = ask(STRATEGIES.get("typiclust")(), view, 2, rng()).items
    assert sorted(found // 30) == [1, 2]
    assert np.linalg.norm(x[found] - centres[found // 30], axis=1).max() < 1.0


def test_probcover_asks_one_of_each_uncovered_group() -> None:
    """Three groups of 40, of which the labelled item covers one: each of the others is covered by one question."""
    draw = rng()
    x = np.concatenate([c + 0.1 * draw.normal(size=(40, 2)) for c in ([0, 0], [10, 0], [0, 10])])
    view = view_of(x, labelled=Labelled(np.array([0]), np.array([0]), 3))
    found = ask(STRATEGIES.get("probcover")(), view, 2, rng())
    assert sorted(found.items // 40) == [1, 2]
    np.testing.assert_allclose(found.utility, 1 / 3)


def test_maxherding_is_lazy_and_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lazy order equals the order of a greedy search that computes every gain every time."""
    monkeypatch.setattr(maxherding, "TRIED", 3)
    x = rng().normal(size=(60, 3)).astype(np.float32)
    herd = maxherding._Herd(x, x[:2], 1.5)
    order, gain = herd.greedy(8)
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(axis=2) / 1.5)
    cover, expected = kernel[:, :2].max(axis=1), []
    for _ in range(8):
        gains = np.maximum(kernel - cover, 0).sum(axis=1)
        expected.append(int(gains.argmax()))
        np.testing.assert_allclose(gain[len(expected) - 1], gains.max(), rtol=1e-3)
        cover = np.maximum(cover, kernel[expected[-1]])
    assert order.tolist() == expected


def test_density_is_told_by_the_nearest_neighbours() -> None:
    """Twenty others at distance 1 from the first row and 3 from the second: one third of its density."""
    others = np.zeros((20, 2), dtype=np.float32)
    found = density(np.array([[1.0, 0.0], [0.0, 3.0]], dtype=np.float32), others)
    np.testing.assert_allclose(found, [1, 1 / 3], rtol=1e-4)


def test_an_uncertain_outlier_is_passed_over() -> None:
    """All margins are equal; 39 items lie together, one far away."""
    x = rng().normal(size=(40, 2))
    x[7] += 50
    half = np.full(40, 0.5, dtype=np.float32)
    scores = PoolScores(half, half, half, np.zeros(40, int))
    view = view_of(x, scores=scores, proba=lambda rows: np.full((len(rows), 2), 0.5))
    assert 7 not in ask(STRATEGIES.get("density_weighted")(), view, 20, rng()).items


def test_class_balanced_margin_serves_the_class_with_fewest_answers() -> None:
    """All margins equal; class 1 has no answers yet, class 0 has three: the first three asked look like class 1."""
    argmax = np.array([0] * 10 + [1] * 10)
    half = np.full(20, 0.5, dtype=np.float32)
    view = PoolView(
        np.ones(20, dtype=bool),
        scores=PoolScores(half, half, half, argmax),
        proba=lambda x: np.full((len(x), 2), 0.5),
        labelled=Labelled(np.array([0, 1, 2]), np.array([0, 0, 0]), 2),
    )
    view.candidates[:3] = False
    found = ask(STRATEGIES.get("class_balanced_margin")(), view, 3, rng()).items
    assert (argmax[found] == 1).all()


def test_mig_is_the_greedy_maximum() -> None:
    draw = rng()
    member, weight = draw.integers(3, size=12), draw.random(12)
    passed = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]])
    order, gain = mig._greedy(member, weight, passed, np.zeros(3), 6)
    information, free = np.zeros(3), set(range(12))
    for row, value in zip(order.tolist(), gain, strict=True):
        gains = {
            i: ((information + weight[i] * passed[member[i]]) ** 0.8 - information**0.8).sum() for i in free
        }
        assert value == pytest.approx(max(gains.values()))
        assert gains[row] == pytest.approx(value)
        free.remove(row)
        information = information + weight[row] * passed[member[row]]


def test_bids_influence_is_the_inner_product_of_gradients() -> None:
    view = made_view(60)
    items, judged = np.array([20, 21, 22, 23]), np.arange(6)
    x = view.the_features().gather(np.arange(60))
    proba = view.the_proba()(x)
    likeliest, answers = np.eye(3)[proba.argmax(axis=1)], np.eye(3)[view.the_labels().targets]
    ours = ((proba - likeliest)[items][:, :, None] * np.c_[x, np.ones(60)][items][:, None, :]).reshape(4, -1)
    theirs = ((proba[:6] - answers)[:, :, None] * np.c_[x, np.ones(60)][:6][:, None, :]).reshape(6, -1)
    explicit = ours @ theirs.T
    explicit = (explicit - explicit.mean(axis=0)) / explicit.std(axis=0)
    np.testing.assert_allclose(bids._influence(view, items, judged), explicit, atol=1e-3)


def test_reach_grows_with_the_square_root() -> None:
    """c(0) = 0.1; c(20 K) = 1; half-way sqrt(0.5 x 0.99 + 0.01) = 0.7106."""
    assert reach(3, 0) == pytest.approx(0.1)
    assert reach(3, 30) == pytest.approx(0.7106, abs=1e-4)
    assert reach(3, 60) == reach(3, 600) == 1.0


def test_zero_label_finds_an_item_of_every_class_and_trusts_the_better_prompt() -> None:
    """Texts lie near their class's direction; one prompt points there, the other nowhere."""
    draw = rng()
    y = np.arange(40) % 4
    x = np.eye(4, 6)[y] + 0.1 * draw.normal(size=(40, 6))
    prompts = np.stack([np.eye(4, 6), draw.normal(size=(4, 6))])
    view = replace(view_of(x), descriptions=Descriptions(prompts, 0, 6))
    found = ask(STRATEGIES.get("zero_label")(), view, 4, rng()).items
    assert sorted(y[found].tolist()) == [0, 1, 2, 3]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    good, bad = prompt_weights(unit, prompts / np.linalg.norm(prompts, axis=-1, keepdims=True))
    assert good > bad


def test_the_default_starts_cold_and_then_follows_the_margins() -> None:
    few, many = made_view(60, n_labelled=6), made_view(60, n_labelled=30)
    assert TypicalThenMargin.is_cold(replace(few, scores=None))
    assert TypicalThenMargin.is_cold(few)
    assert not TypicalThenMargin.is_cold(many)
    one, two = (ask(STRATEGIES.get(name)(), many, 5, rng()) for name in ("typical_then_margin", "margin"))
    assert one.items.tolist() == two.items.tolist()
    assert "close" in one.why
    assert "typical" in ask(TypicalThenMargin(), few, 5, rng()).why


def test_a_missing_need_is_named_with_what_would_bring_it() -> None:
    with pytest.raises(
        InputError, match=r"'badge' cannot rank the items without features: .*; proba: class prob"
    ):
        ask(STRATEGIES.get("badge")(), PoolView(np.ones(3, dtype=bool)), 1, rng())


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([1, 2], "answered list; expected a Ranking"),
        ((np.array([[1]]), np.array([1.0]), ""), r"items of shape \(1, 1\)"),
        ((np.array([1.0]), np.array([1.0]), ""), r"float64"),
        ((np.array([1, 2]), np.array([1.0]), ""), r"utility of shape \(1,\)"),
        ((np.array([1, 1]), np.array([1.0, 2.0]), ""), "the same item more than once"),
        ((np.array([7]), np.array([1.0]), ""), "positions 7 to 7; expected them within 0 to 3"),
        ((np.array([0]), np.array([1.0]), ""), "1 items that may not be asked"),
        ((np.array([1]), np.array([np.nan]), ""), "not finite"),
        ((np.array([1, 2, 3]), np.array([1.0, 2, 3]), ""), "3 items; expected at most 2"),
    ],
)
def test_nonsense_is_refused_in_words(found: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked("mine", found, np.array([False, True, True, True]), 2)


def test_apart_keeps_the_best_of_equal_items() -> None:
    x = np.array([[0.0, 0], [0, 0], [5, 5], [9, 0]])
    ranking = Ranking(np.array([1, 0, 2, 3]), np.array([4.0, 3, 2, 1]), "")
    assert apart(ranking, view_of(x), 3).items.tolist() == [1, 2, 3]
