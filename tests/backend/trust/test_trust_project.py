"""A project's judges measured in a worker, and the chosen calibrator in predictions and exports."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits

from plumbline_backend.domain.errors import InputError, NotFoundError
from plumbline_backend.domain.types import NewJudgement
from plumbline_backend.heads.making import load_head
from plumbline_backend.heads.program import affine, run
from plumbline_backend.jobs.executors import InlineExecutor
from plumbline_backend.project import Project
from plumbline_backend.registry import CALIBRATORS, OUT_OF_SCOPE
from plumbline_backend.trust.calibration import run_calibration, split_rows
from plumbline_backend.trust.document import as_json
from plumbline_backend.trust.measured import OperatingChoice
from plumbline_backend.trust.outside import read_predictions
from plumbline_backend.trust.serving import folded, serving_calibrator
from plumbline_backend.workspace import Workspace, open_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("trust") / "workspace"
    with open_workspace(folder, executor=InlineExecutor()) as opened:
        yield opened


@pytest.fixture(scope="module")
def project(workspace: Workspace) -> Project:
    """Digits with 80 random-stream answers and a head of about 110 labels."""
    made = workspace.create_demo("digits")
    truth = load_digits().target
    judge = made.person("teacher")
    ids = {c.name: c.id for c in made.question().active}
    stream = made.stream_order[:80].tolist()
    others = np.setdiff1d(np.arange(120), made.stream_order).tolist()
    for item, stratum in [*((i, "stream") for i in stream), *((i, "random") for i in others)]:
        answer = ids[str(truth[item])]
        made.record(item=item, judge=judge, client_uuid=f"a{item}", answer=answer, stratum=stratum)
    job = made.fit()
    assert job is not None
    made.wait(job)
    return made


def test_the_head_is_a_judge_on_the_stream(project: Project) -> None:
    (head,) = project.desk.trust.judges()
    assert (head.key, head.n) == ("head", 80)
    found = project.desk.trust.predictions("head")
    assert found.classes == tuple(str(k) for k in range(10))
    assert set(np.unique(found.targets)) <= set(range(10))
    assert (found.proba.argmax(axis=1) == found.targets).mean() > 0.6


def test_a_run_is_kept_and_replaced(project: Project) -> None:
    trust = project.desk.trust
    for _ in range(2):
        project.wait(trust.start(["head"], "half", ["temperature", "vector"]))
    (view,) = trust.measured()
    assert (view["n_fit"], view["n_shown"]) == (40, 40)
    assert view["name"].startswith("Head, version")
    assert set(view["calibrators"]) == {"temperature", "vector"}
    state = view["states"]["as given"]
    gaps = np.abs(np.array(state["bins"]["accuracy"]) - state["bins"]["confidence"])
    count = np.array(state["bins"]["count"])
    assert gaps @ count / count.sum() == pytest.approx(view["before"]["ece"]["value"])
    everything = trust.decided(view, "as given", OperatingChoice("3", 0.0, 1.0, 1.0))
    assert everything.curve.hits[0] + everything.curve.alarms[0] == everything.point.n_yes == 40
    assert len(list((trust.folder / "runs").iterdir())) == 1


def test_outside_predictions_are_kept_and_checked(project: Project, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    good = tmp_path / "given.npz"
    np.savez(
        good, probs=draw.dirichlet([1, 1], size=50), labels=draw.integers(2, size=50), site=["a", "b"] * 25
    )
    judge = project.desk.trust.add_outside(good, "../../their model.npz")
    assert (judge.name, judge.n) == ("their model", 50)
    assert judge in project.desk.trust.judges()
    assert project.desk.trust.predictions(judge.key).slices["site"][1] == "b"
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match=r"bad.csv: found the columns 'a', 'b'"):
        project.desk.trust.add_outside(tmp_path / "bad.csv", "bad.csv")
    with pytest.raises(NotFoundError, match=r"judge '\.\./x' gives no probabilities"):
        project.desk.trust.predictions("../x")


def test_rows_of_the_ledger_that_are_no_probabilities_are_refused(
    workspace: Workspace, project: Project
) -> None:
    """Softmax of their logarithms would have made probabilities of them without a word."""
    question = project.question()
    judge = workspace.store.judges.ensure(project.row.id, "imported", "half sure")
    item = int(project.stream_order[0])
    row = NewJudgement(
        item=item,
        question_id=question.id,
        question_version=question.version,
        judge_id=judge.id,
        client_uuid="half-sure",
        state="answered",
        answer=question.active[0].id,
        proba=(0.05,) * 10,
    )
    project.loop.record(row)
    with pytest.raises(InputError, match=r"half sure: probabilities of row 0 are .* with sum 0\.5"):
        project.desk.trust.predictions(f"judge-{judge.id}")
    project.undo(judge, "half-sure-undone")


def test_too_few_items_and_no_judge_are_refused(project: Project, tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", probs=[[0.5, 0.5]] * 5, labels=[0] * 5)
    few = project.desk.trust.add_outside(tmp_path / "few.npz", "few.npz")
    with pytest.raises(InputError, match=r"few: n = 5 items .* expected at least 20"):
        project.desk.trust.start([few.key], "half")
    with pytest.raises(InputError, match="judges: found none"):
        project.desk.trust.start([], "half")


def test_a_calibrator_with_too_few_answers_is_the_softmax_and_says_so(
    project: Project, tmp_path: Path
) -> None:
    model = project.models()[-1]
    head = load_head(project.folders.models / model.folder)
    project.desk.trust.use_calibrator("matrix")
    try:
        assert "80 of the 100" in serving_calibrator(project, model, head).note_
        served = project.predict(range(200))
        assert served is not None
        logits = head.logits(project.pool.features.gather(np.arange(200)))
        np.testing.assert_allclose(served.proba, softmax(logits, axis=1), atol=1e-9)
        assert project.report() is not None
        folder = project.export_classifier(tmp_path / "matrix")
        assert "matrix scaling was chosen, but 80 of the 100" in (
            (folder / "model_card.md").read_text().lower()
        )
    finally:
        project.desk.trust.use_calibrator("temperature")


def test_a_calibrator_that_does_not_exist_is_not_served(project: Project) -> None:
    with pytest.raises(InputError, match=r"found 'isotonik'; did you mean 'isotonic'"):
        project.desk.trust.use_calibrator("isotonik")


def test_items_of_no_class_are_refused_when_the_project_wants_it(project: Project) -> None:
    """The threshold keeps 95 % of held-out digits, so about 5 % of all digits are refused; noise is refused."""
    scope = project.desk.trust.scope
    before = project.predict(range(5))
    assert before is not None
    assert before.none_of_these is None
    scope.choose("relative_mahalanobis", 0.9)
    try:
        model = project.models()[-1]
        head = load_head(project.folders.models / model.folder)
        served = scope.serving(model, head)
        assert served is not None
        assert served.rule.n == 80
        noise = np.random.default_rng(0).normal(scale=8, size=(50, project.pool.features.d))
        assert served.none_of_these(noise, head.logits(noise)).mean() > 0.9
        assert scope.serving(model, head) is served
        predicted = project.predict(range(1000, 1400))
        assert predicted is not None
        assert predicted.none_of_these is not None
        assert 0.02 < predicted.none_of_these.mean() < 0.35
    finally:
        scope.choose("")
    for name, kept, message in (
        ("abet", 0.9, "found 'abet'"),
        ("energy", 1.0, "found 1.0; expected a number"),
    ):
        with pytest.raises(InputError, match=message):
            scope.choose(name, kept)


def test_scores_are_measured_against_a_marked_class(project: Project) -> None:
    nine = project.question().active[9].id
    found = project.desk.trust.scope.compare(nine)
    assert [each.name for each in found] == list(OUT_OF_SCOPE.names())
    for each in found:
        assert each.report is not None
        assert each.report.n_outside > 5
        assert 0.3 < each.report.auroc.value <= 1
        assert each.report.auroc.low < each.report.auroc.high
    assert all(each.report is None for each in project.desk.trust.scope.compare())
    with pytest.raises(InputError, match="expected a class id"):
        project.desk.trust.scope.compare("nothing")


def test_a_class_chosen_as_out_of_scope_is_no_known_class_of_the_served_rule(project: Project) -> None:
    """Nines are then farther beyond the threshold, which is the comparison's and rests on the other digits."""
    scope, question = project.desk.trust.scope, project.question()
    nine = question.active[9].id
    nines = project.loop.answers.items_with(question, "answered", nine)
    head = load_head(project.folders.models / project.models()[-1].folder)
    features = project.pool.features.gather(nines)
    beyond = {}
    try:
        for marked in (None, nine):
            scope.choose("relative_mahalanobis", 0.9, marked)
            assert scope.outside_class == marked
            served = scope.serving(project.models()[-1], head)
            assert served is not None
            beyond[marked] = (
                served.score.score(features, head.logits(features)) - served.rule.threshold
            ).mean()
        (compared,) = (each for each in scope.compare(nine) if each.name == "relative_mahalanobis")
        assert served.rule == compared.rule
        assert served.rule.n == 80 - np.isin(nines, project.stream_order).sum()
    finally:
        scope.choose("")
    assert scope.outside_class is None
    assert beyond[nine] > beyond[None]
    with pytest.raises(InputError, match="expected a class id"):
        scope.choose("energy", 0.9, "nothing")


def test_a_comparison_runs_beside_and_is_kept(project: Project) -> None:
    """Also with too few held-out items for the promise, where the threshold is unknown and nothing is refused."""
    scope = project.desk.trust.scope
    nine = project.question().active[9].id
    assert scope.last() is None
    project.wait(scope.start(nine))
    found = scope.last()
    assert found is not None
    assert (found["outside_class"], found["kept"]) == (nine, 0.95)
    assert found["scores"][0]["name"] == "relative_mahalanobis"
    assert all(each["auroc"][3] > 20 for each in found["scores"])
    value, low, high, n = found["pool"]["refused"]
    assert 0 <= low <= value <= high <= 1
    assert n == 1797
    scores = [score for _, score in found["pool"]["farthest"]]
    assert scores == sorted(scores, reverse=True)
    scope.choose("energy", 0.99)
    try:
        project.wait(scope.start())
        found = scope.last()
        assert found is not None
        assert found["pool"]["score"] == "energy"
        assert found["pool"]["threshold"] is None
        assert found["pool"]["refused"][0] == 0
        assert all(
            each["threshold"] is None and each["n"] == 80 and "auroc" not in each for each in found["scores"]
        )
    finally:
        scope.choose("")


def test_figures_of_a_threshold_are_its_own_and_not_those_of_the_nearest_hundredth(
    project: Project, tmp_path: Path
) -> None:
    """Class 1 states .333 and .337 for 10 items each, right for the former: from .335 on only alarms are raised.

    The misses are 10 of 40 items at cost 2, the alarms 10 at cost 1: (20 + 10) / 40 = .75.
    """
    high = np.repeat([0.333, 0.337, 0.1, 0.1], 10)
    labels = np.repeat([1, 0, 0, 0], 10)
    file = tmp_path / "close.npz"
    classes = 70
    probs = np.zeros((80, classes))
    probs[:, 1] = np.tile(high, 2)
    probs[:, 0] = 1 - probs[:, 1]
    np.savez(file, probs=probs, labels=np.tile(labels, 2))
    judge = project.desk.trust.add_outside(file, "close.npz")
    project.wait(project.desk.trust.start([judge.key], "half", ["temperature"]))
    (view,) = project.desk.trust.measured()
    found = project.desk.trust.decided(view, "as given", OperatingChoice("1", 0.335, 1.0, 2.0))
    assert found.point.cost.value == pytest.approx(0.75)
    assert found.point.cost.low < 0.75 < found.point.cost.high
    assert (found.point.recall.value, found.point.precision.value, found.point.n_yes) == (0.0, 0.0, 10)
    last = project.desk.trust.decided(view, "as given", OperatingChoice("69", 0.5, 1.0, 1.0))
    assert last.point.cost.value == 0
    with pytest.raises(NotFoundError, match="measured anew since"):
        project.desk.trust.decided(
            {**view, "folder": str(tmp_path)}, "as given", OperatingChoice("1", 0.5, 1, 1)
        )


def test_an_operating_point_is_kept_for_each_judge(project: Project) -> None:
    trust = project.desk.trust
    assert trust.operating_point("head") is None
    chosen = OperatingChoice("3", 0.25, 1.0, 3.0)
    trust.choose_operating_point("head", chosen)
    trust.choose_operating_point("other", OperatingChoice("4", 0.5, 1.0, 1.0))
    assert trust.operating_point("head") == chosen
    with pytest.raises(InputError, match=r"threshold: found 1\.2; expected a number from 0 to 1"):
        trust.choose_operating_point("head", OperatingChoice("3", 1.2, 1.0, 3.0))
    with pytest.raises(InputError, match="cost of a false negative is 0"):
        trust.choose_operating_point("head", OperatingChoice("3", 0.2, 1.0, 0.0))


def test_a_folded_calibrator_is_the_calibrator() -> None:
    """softmax of the folded program's logits over the temperature that is left equals the calibrator's answer."""
    draw = np.random.default_rng(0)
    program = (affine(draw.normal(size=(3, 5)), draw.normal(size=3)),)
    features = draw.normal(size=(300, 5))
    logits = run(program, features)
    targets = draw.integers(3, size=300)
    for name in CALIBRATORS.names():
        calibrator = CALIBRATORS.get(name)().fit(logits, targets)
        inside, temperature = folded(program, calibrator)
        again = softmax(run(inside, features) / temperature, axis=1)
        np.testing.assert_allclose(again, calibrator.proba(logits), atol=1e-10)
    many = (affine(np.zeros((2001, 5))),)
    with pytest.raises(InputError, match="'isotonic' with 2,001 classes: found more than the 2,000"):
        folded(many, CALIBRATORS.get("isotonic")().fit(logits, targets))


def test_the_page_and_the_command_line_say_the_same_of_one_file(project: Project, tmp_path: Path) -> None:
    """Probabilities travel as they were given: rows that sum to 1.0005 and equal confidences stay what they are."""
    draw = np.random.default_rng(3)
    confidence = draw.choice([0.5, 0.6, 0.7, 0.8, 0.9], size=200)
    rest = (1 - confidence)[:, None] * np.array([0.37, 0.63])
    proba = np.column_stack([confidence, rest]) * draw.choice([0.9995, 1.0, 1.0005], size=200)[:, None]
    file = tmp_path / "tied.npz"
    np.savez(file, probs=proba, labels=draw.integers(3, size=200))
    judge = project.desk.trust.add_outside(file, "tied.npz")
    project.wait(project.desk.trust.start([judge.key], "half", ["temperature", "isotonic"]))
    (view,) = project.desk.trust.measured()

    predictions = read_predictions(file)
    fit, words = split_rows(200, "half", {})
    run = run_calibration(predictions, fit, words, ["temperature", "isotonic"], project.seed)
    told = json.loads(json.dumps(as_json(run)))
    for part in ("before", "calibrators", "comparison", "chosen"):
        assert view[part] == told[part], part
    given = np.load(next((project.desk.trust.folder / "runs").glob("*/judge-0.npz")))
    np.testing.assert_array_equal(given["probs"], proba)
    assert view["states"]["as given"]["bins"]["confidence"] == run.before.reliability.confidence.tolist()
