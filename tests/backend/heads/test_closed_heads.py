"""LDA, class means, naive Bayes and neighbours: exact by hand, and beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.datasets import load_digits, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.naive_bayes import GaussianNB, MultinomialNB

from plumbline_backend.domain.errors import InputError
from plumbline_backend.heads.checks import labelled
from plumbline_backend.heads.lda import LDA, oas_shrinkage
from plumbline_backend.heads.moments import added, moments_of
from plumbline_backend.heads.naive_bayes import GaussianNaiveBayes, MultinomialNaiveBayes
from plumbline_backend.heads.nearest_mean import NearestMean
from plumbline_backend.heads.neighbours import KNearest, SingularKernel
from plumbline_backend.heads.prototypes import Prototypes


def wine() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_wine(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), y


def test_lda_is_scikit_learns() -> None:
    """Their covariance divides by N, ours by N - K: the same weights times (N - K) / N without shrinkage."""
    x, y = wine()
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(x, y)
    ours = LDA(shrinkage=0).fit(x, y, 3)
    factor = (len(y) - 3) / len(y)
    np.testing.assert_allclose(
        ours.weight_ - ours.weight_[0], factor * (theirs.coef_ - theirs.coef_[0]), rtol=1e-4, atol=1e-4
    )


def test_seven_sessions_equal_one_batch() -> None:
    """Classes that come later included, and sessions of one class."""
    x, y = load_digits(return_X_y=True)
    order = np.argsort(y, kind="stable")
    order = np.r_[np.random.default_rng(0).permutation(order[:900]), order[900:]]
    x, y = x[order], y[order]
    batch = LDA().fit(x, y, 10)
    parts = np.array_split(np.arange(len(y)), 7)
    known = 1 + int(y[parts[0]].max())
    stepwise = LDA().fit(x[parts[0]], y[parts[0]], known)
    for rows in parts[1:]:
        stepwise.update(x[rows], y[rows], 10)
    one, other = (log_softmax(head.logits(x), axis=1) for head in (stepwise, batch))
    np.testing.assert_allclose(one, other, atol=1e-9)
    assert stepwise.n_ == batch.n_ == len(y)
    assert LDA().fit(x[:100], y[:100], 10).update(x[-3:], y[-3:], 10).n_ == 103


def test_moments_of_other_origins_do_not_add_up() -> None:
    x, y = wine()
    items = labelled(x, y, 3)
    with pytest.raises(InputError, match="different origins"):
        added(moments_of(items, np.zeros(13)), moments_of(items, np.ones(13)))


def test_oas_is_full_for_spheres_and_falls_with_items() -> None:
    assert oas_shrinkage(np.eye(5), 10) == 1.0
    stretched = np.diag([1.0, 2, 3, 4, 5])
    assert 0 < oas_shrinkage(stretched, 1000) < oas_shrinkage(stretched, 10) <= 1


def test_nearest_mean_by_hand() -> None:
    """Means 0 and 4: the border lies at 2."""
    head = NearestMean().fit(np.array([[-1.0], [1], [3], [5]]), np.array([0, 0, 1, 1]), 2)
    np.testing.assert_array_equal(head.means_, [[0.0], [4.0]])
    np.testing.assert_allclose(head.proba(np.array([[2.0]])), [[0.5, 0.5]])
    assert head.proba(np.array([[1.9], [2.1]])).argmax(axis=1).tolist() == [0, 1]


def test_gaussian_naive_bayes_is_scikit_learns_without_leaning() -> None:
    x, y = wine()
    theirs = GaussianNB(var_smoothing=0).fit(x, y).predict_proba(x)
    ours = GaussianNaiveBayes(prior_items=0).fit(x, y, 3).proba(x)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_multinomial_naive_bayes_is_scikit_learns() -> None:
    x, y = load_digits(return_X_y=True)
    theirs = MultinomialNB().fit(x, y).predict_log_proba(x)
    ours = log_softmax(MultinomialNaiveBayes().fit(x, y, 10).logits(x), axis=1)
    np.testing.assert_allclose(ours, theirs, atol=1e-8)


def test_neighbours_explain_their_vote() -> None:
    x = np.array([[0.0, 0], [0, 1], [5, 5], [5, 6]])
    head = KNearest(k=2).fit(x, np.array([0, 0, 1, 1]), 2)
    rows = head.explain(np.array([0.0, 0.2]))
    assert [row for row, _ in rows] == [0, 1]
    assert sum(share for _, share in rows) == pytest.approx(1)
    assert rows[0][1] > rows[1][1]


def test_the_singular_kernel_fits_every_label() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(80, 3)), draw.integers(3, size=80)
    head = SingularKernel(exponent=16).fit(x, y, 3)
    assert (head.proba(x).argmax(axis=1) == y).all()


def test_prototypes_are_labelled_items_and_say_what_they_added() -> None:
    x, y = wine()
    head = Prototypes().fit(x, y, 3)
    assert len(head.rows_) == 15
    np.testing.assert_allclose(head.prototypes_, x[head.rows_])
    rows = head.explain(x[0])
    assert y[rows[0][0]] == y[0], "what tells most is an item of the class itself"
    assert abs(rows[0][1]) >= abs(rows[-1][1])
    assert (head.proba(x).argmax(axis=1) == y).mean() > 0.95


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LDA(shrinkage=2), "shrinkage is 2; expected 0 to 1"),
        (lambda: KNearest(k=-1), "k is -1; expected one neighbour or more"),
        (lambda: SingularKernel(exponent=3), "exponent is 3; expected one of 0, 2, 4, 8, 16, 32"),
        (lambda: GaussianNaiveBayes(prior_items=-1), "prior_items is -1"),
        (lambda: MultinomialNaiveBayes(smoothing=0), "smoothing is 0"),
        (lambda: Prototypes(trivial=0), "trivial is 0"),
    ],
)
def test_impossible_settings_are_refused(make: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()  # type: ignore[operator]
