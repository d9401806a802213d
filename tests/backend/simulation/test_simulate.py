"""Simulated labelling: what it measures, that seeds decide everything, and that a stopped run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from plumbline_app.cli import main
from plumbline_backend.domain.errors import InputError, JobFailedError
from plumbline_backend.registry import STRATEGIES
from plumbline_backend.simulation import many
from plumbline_backend.simulation.baselines import BASELINES
from plumbline_backend.simulation.data import Dataset, load_dataset
from plumbline_backend.simulation.many import run_seeds, simulate
from plumbline_backend.simulation.one_run import SeedCurve, answers_of, run_seed, split
from plumbline_backend.simulation.plot import plot
from plumbline_backend.simulation.setup import Setup
from plumbline_backend.simulation.summary import median_curve, median_needed, needed, result_of

QUICK = Setup("iris", strategy="margin", budget=30, seeds=3)


def curve(accuracy: list[float], full: float = 1.0, seed: int = 0) -> SeedCurve:
    return SeedCurve(seed, [10 * (i + 1) for i in range(len(accuracy))], accuracy, full, 70, 30, 0.1, 0.01)


def test_labels_needed_by_hand() -> None:
    """Full accuracy 0.8: 95 % is 0.76, reached at 30 labels first (a later dip does not count)."""
    found = curve([0.5, 0.7, 0.76, 0.7, 0.8], full=0.8)
    assert [needed(found, p) for p in (90, 95, 99)] == [30, 30, 50]
    assert needed(curve([0.5, 0.7]), 90) is None


def test_a_seed_that_never_gets_there_counts_as_more_than_all() -> None:
    reached, never = curve([0.2, 0.95]), curve([0.2, 0.3])
    assert median_needed([reached, reached, never], 90) == 20
    assert median_needed([reached, never, never], 90) is None
    assert median_needed([reached, replace(reached, accuracy=[0.95, 0.95])], 90) == 15


def test_the_median_curve_uses_points_that_all_seeds_have() -> None:
    rows = median_curve([curve([0.1, 0.4, 0.5]), curve([0.3, 0.6])])
    assert [(n, round(middle, 6)) for n, middle, _, _ in rows] == [(10, 0.2), (20, 0.5)]


def test_seeds_alone_decide() -> None:
    data = load_dataset("iris")
    one, two, other = (run_seed(data, QUICK, seed) for seed in (4, 4, 5))
    assert one.accuracy == two.accuracy
    assert one.labels == list(range(10, 31, 5))
    assert one.accuracy != other.accuracy
    assert one.n_pool + one.n_test == 150
    assert one.n_test == 45


def test_split_is_a_partition() -> None:
    pool, test = split(11, 0.3, np.random.default_rng(0))
    assert sorted([*pool, *test]) == list(range(11))
    assert len(test) == 3
    assert len(split(2, 0.01, np.random.default_rng(0))[1]) == 1


def test_the_oracle_errs_as_often_as_asked_and_never_by_the_truth() -> None:
    """10,000 answers with 20 % noise: 2,000 wrong, +- 5 standard deviations of 40."""
    y = np.random.default_rng(1).integers(4, size=10_000)
    said = answers_of(y, 4, 0.2, np.random.default_rng(0))
    assert abs(int((said != y).sum()) - 2000) < 200
    assert set(said.tolist()) == {0, 1, 2, 3}
    assert (answers_of(y, 4, 0.0, np.random.default_rng(0)) == y).all()


def test_noise_costs_accuracy_in_training_only() -> None:
    data = load_dataset("iris")
    clean, noisy = (run_seed(data, replace(QUICK, noise=noise, budget=80), 0) for noise in (0.0, 0.4))
    assert clean.full_accuracy == noisy.full_accuracy
    assert np.mean(noisy.accuracy) < np.mean(clean.accuracy)


def test_a_strategy_without_a_model_starts_itself_unless_told_otherwise() -> None:
    data = load_dataset("wine")
    setup = replace(QUICK, data="wine", strategy="typiclust", budget=10)
    own, drawn = (run_seed(data, replace(setup, first=first), 1) for first in ("own", "random"))
    assert own.accuracy != drawn.accuracy


def test_one_class_at_the_start_is_waited_out() -> None:
    """199 items of class 0 and 101 of class 1, the first ten questions are all of class 0 for some seeds."""
    draw = np.random.default_rng(0)
    y = (np.arange(300) >= 290).astype(np.int64)
    data = Dataset("rare", draw.normal(size=(300, 3)).astype(np.float32) + 3 * y[:, None], y, ("a", "b"))
    found = [run_seed(data, replace(QUICK, data="rare", start=2, budget=40), seed) for seed in range(3)]
    assert all(0 < each.accuracy[0] <= 1 for each in found)
    assert all(each.labels[-1] >= 40 for each in found)


@pytest.mark.parametrize("strategy", STRATEGIES.names())
def test_every_strategy_runs(strategy: str) -> None:
    if strategy == "zero_label":
        with pytest.raises(InputError, match="without descriptions"):
            run_seed(load_dataset("iris"), replace(QUICK, strategy=strategy), 0)
        return
    found = run_seed(load_dataset("iris"), replace(QUICK, strategy=strategy, budget=20), 0)
    assert found.labels[-1] == 20


@pytest.mark.parametrize("head", ["random_forest", "semantic"])
def test_other_heads_run(head: str) -> None:
    """semantic is given the names of the classes that it knows."""
    found = run_seed(load_dataset("iris"), replace(QUICK, head=head, budget=20), 0)
    assert found.accuracy[-1] > 0.5


@pytest.mark.parametrize("pace", ["linear", "spld"])
def test_a_pace_adds_pseudo_labels_and_counts_its_mistakes(pace: str) -> None:
    setup = replace(QUICK, pace=pace, budget=60, seeds=1)
    result = result_of(setup, [run_seed(load_dataset("wine"), setup, 0)])
    found = result["pseudo_labels"]
    assert found["n"] > 0
    assert 0 <= found["error"] <= 0.2
    assert [row["labels"] for row in result["seeds"][0]["pseudo"]] == result["seeds"][0]["labels"]


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_run_in_the_same_harness(name: str) -> None:
    pytest.importorskip("skactiveml", reason="pip install scikit-activeml")
    found = run_seed(load_dataset("iris"), replace(QUICK, strategy=name, budget=20), 0)
    assert found.labels == [10, 15, 20]


def test_many_seeds_beside_each_other_equal_one_after_the_other(tmp_path: Path) -> None:
    said: list[tuple[float, str]] = []
    beside = simulate(QUICK, tmp_path / "seeds.jsonl", processes=2, report=lambda *each: said.append(each))
    after = simulate(QUICK, processes=1)
    assert [each.accuracy for each in beside] == [each.accuracy for each in after]
    assert len((tmp_path / "seeds.jsonl").read_text().splitlines()) == 3
    shares = [share for share, _ in said]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    kept = tmp_path / "seeds.jsonl"
    first = simulate(replace(QUICK, seeds=2), kept, processes=1)
    with kept.open("a") as out:
        out.write('{"setup": "half a li')
    marked = json.loads(kept.read_text().splitlines()[0])
    marked["curve"]["seconds"] = 1234.5
    kept.write_text("\n".join([json.dumps(marked), *kept.read_text().splitlines()[1:]]) + "\n")
    again = simulate(QUICK, kept, processes=1)
    assert again[0].seconds == 1234.5  # taken from the file, not run again
    assert [each.accuracy for each in again[:2]] == [each.accuracy for each in first]
    assert len(again) == 3
    other = simulate(replace(QUICK, strategy="entropy"), kept, processes=1)
    assert other[0].seconds != 1234.5  # another setup's seeds are not taken


class Deadly:
    """Data that end the process which receives them, as a full memory would."""

    y = np.arange(30) % 2

    def digest(self) -> str:
        return "deadly"

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (9,)


def test_a_lost_process_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(JobFailedError, match="process ended by itself"):
        run_seeds(QUICK, Deadly(), 2, lambda *_: None)  # type: ignore[arg-type]
    monkeypatch.setattr(many, "load_dataset", lambda *_: Deadly())
    code = command(monkeypatch, "--data iris --strategy margin --budget 20 --seeds 2 --processes 2")
    assert code == 1
    said = capsys.readouterr().err
    assert "Failed." in said
    assert "Traceback" not in said


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """kill -9 of the whole process group while seeds are running; the second run finishes what is missing."""
    out = tmp_path / "out.json"
    options = "--data wine --strategy margin --budget 60 --seeds 20 --processes 1"
    run = [sys.executable, "-c", "from plumbline_app.cli import main; main()", "simulate", *options.split()]
    first = subprocess.Popen([*run, "--json", str(out)], start_new_session=True, stderr=subprocess.DEVNULL)
    kept, deadline = out.with_suffix(".jsonl"), time.monotonic() + 300
    while not (kept.exists() and kept.read_text().count("\n") >= 1):
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(30)
    finished = kept.read_text().splitlines(keepends=True)
    before = [json.loads(line)["curve"] for line in finished if line.endswith("\n")]
    assert 1 <= len(before) < 20
    assert not out.exists()
    subprocess.run([*run, "--json", str(out)], check=True, capture_output=True, timeout=300)
    seeds = json.loads(out.read_text())["seeds"]
    assert [each["seed"] for each in seeds] == list(range(20))
    assert [each["seconds"] for each in seeds[: len(before)]] == [each["seconds"] for each in before]


def test_seeds_belong_to_options_data_and_code(monkeypatch: pytest.MonkeyPatch) -> None:
    iris, wine = load_dataset("iris"), load_dataset("wine")
    key = QUICK.key(iris)
    assert replace(QUICK, seeds=9, budget=90).key(iris) == key  # a longer curve holds a shorter one
    paced = replace(QUICK, pace="linear")
    assert replace(paced, budget=90).key(iris) != paced.key(iris)  # the budget freezes a pace
    for other in (replace(QUICK, batch=4), replace(QUICK, start=12), replace(QUICK, noise=0.1), paced):
        assert other.key(iris) != key
    assert QUICK.key(wine) != key
    assert QUICK.key(replace(iris, name="copy")) == key  # content, wherever it lies
    monkeypatch.setattr("plumbline_backend.simulation.setup.code_digest", lambda: "of other code")
    assert QUICK.key(iris) != key


def test_a_longer_curve_serves_a_smaller_budget(tmp_path: Path) -> None:
    kept = tmp_path / "seeds.jsonl"
    long = simulate(QUICK, kept, processes=1)
    short = simulate(replace(QUICK, budget=20), kept, processes=1)
    assert [each.labels for each in short] == [[10, 15, 20]] * 3
    assert [each.accuracy for each in short] == [each.accuracy[:3] for each in long]
    assert len(kept.read_text().splitlines()) == 3  # nothing was run again
    odd = simulate(replace(QUICK, budget=22, seeds=1), kept, processes=1)
    assert odd[0].labels == [10, 15, 20, 22]  # no kept curve has that point


def test_several_strategies_make_one_table_and_one_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    options = f"--data iris --budget 20 --seeds 2 --processes 1 --json {out} --strategy"
    assert command(monkeypatch, f"{options} margin,random") == 0
    result = json.loads(out.read_text())["strategies"]
    assert list(result) == ["margin", "random"]
    assert result["random"]["setup"]["strategy"] == "random"
    rows = out.with_suffix(".csv").read_text().splitlines()
    assert rows[0] == "strategy,seed,labels,accuracy,share_of_full_accuracy"
    assert len(rows) == 1 + 2 * 2 * 3
    assert out.with_suffix(".svg").read_text().count("<polyline") == 2
    assert len(out.with_suffix(".jsonl").read_text().splitlines()) == 4
    shown = capsys.readouterr().out
    assert "margin, random on iris" in shown
    assert command(monkeypatch, f"{options} margin,margin") == 2
    assert "found 2 (margin,margin); expected up to 6 different ones" in capsys.readouterr().err


def command(monkeypatch: pytest.MonkeyPatch, options: str) -> int:
    """Exit status of `plumbline simulate`."""
    monkeypatch.setattr(sys, "argv", ["plumbline", "simulate", *options.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_command_writes_what_is_promised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    given = "--data breast_cancer --strategy margin --start 8 --batch 4 --budget 20 --seeds 2 --processes 1 --pace none"
    monkeypatch.setattr(
        sys, "argv", ["plumbline", "simulate", *given.split(), "--head", "linear_softmax", "--json", str(out)]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    result = json.loads(out.read_text())
    assert set(result["labels_needed"]) == {"90", "95", "99"}
    assert 0.9 < result["full_accuracy"] <= 1
    assert [each["seed"] for each in result["seeds"]] == [0, 1]
    assert result["seeds"][0]["labels"] == [8, 12, 16, 20]
    assert len(result["seeds"][0]["accuracy"]) == 4
    assert (tmp_path / "out.csv").read_text().startswith("seed,labels,accuracy")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 9
    ElementTree.fromstring((tmp_path / "out.svg").read_text())
    assert "full-pool accuracy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--data digts", "neither a file nor a demo; did you mean 'digits'"),
        ("--data iris --strategy margn", "--strategy: 'margn' does not exist; did you mean 'margin'"),
        ("--data iris --pace liner", "--pace: 'liner' does not exist; did you mean 'linear'"),
        ("--data iris --head linear", "--head: 'linear' does not exist"),
        ("--data iris --start 1 --batch 0", "--start: found 1; expected at least 2 --batch: found 0"),
        ("--data iris --budget 5", "--budget: found 5; expected at least --start, which is 10"),
        ("--data iris --noise 1.5", "--noise: found 1.5; expected a share from 0"),
    ],
)
def test_wrong_options_are_refused(
    options: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["plumbline", "simulate", *options.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_files_are_read_as_an_import_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f"{i % 7},{i % 3}.5,{'ab'[i % 2]}" for i in range(30)] + ["1,2,"]
    path.write_text("one,two,kind\n" + "\n".join(rows) + "\n")
    data = load_dataset(str(path), "kind")
    assert data.x.shape[0] == 30  # the row without an answer is left out
    assert data.classes == ("a", "b")
    np.savez(tmp_path / "arrays.npz", X=np.random.default_rng(0).normal(size=(20, 3)), y=np.arange(20) % 2)
    assert load_dataset(str(tmp_path / "arrays.npz")).classes == ("0", "1")


def test_texts_bring_their_class_names(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    words = {"rain": "rain falls on the wet street", "sun": "the sun shines on the warm beach"}
    path.write_text(
        "text,weather\n"
        + "\n".join(f"{words[w]} on day {i}{w[0]},{w}" for i in range(12) for w in words)
        + "\n"
    )
    data = load_dataset(str(path), "weather")
    assert data.descriptions is not None
    found = run_seed(data, replace(QUICK, data=str(path), strategy="zero_label", start=2, budget=8), 0)
    assert found.accuracy[0] == 1.0


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": np.zeros((20, 2))}, r"expected X \(n, d\) and y \(n,\)"),
        ({"X": np.full((20, 2), np.nan), "y": np.arange(20)}, "NaN or infinite"),
        ({"X": np.zeros((20, 2)), "y": np.zeros(19)}, r"y of shape \(19,\)"),
        ({"X": np.zeros((20, 2)), "y": np.zeros(20)}, "1 class; expected at least two"),
        ({"X": np.zeros((4, 2)), "y": np.arange(4)}, "4 labelled items; expected at least 10"),
    ],
)
def test_unusable_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        load_dataset(str(tmp_path / "bad.npz"))


def test_the_picture_names_what_it_shows() -> None:
    found = {"margin": [curve([0.5, 0.9, 0.98]), curve([0.4, 0.8, 0.97], seed=1)]}
    text = plot(found, 'margin on <"digits">')
    root = ElementTree.fromstring(text)
    words = " ".join(element.text or "" for element in root.iter())
    assert 'margin on <"digits">' in words
    assert "median and quartiles of 2 seeds" in words
    assert "95 % of full" in words
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polyline"))) == 1
    both = ElementTree.fromstring(plot({**found, "random <b>": [curve([0.3, 0.5, 0.6])]}, "two"))
    assert len(list(both.iter("{http://www.w3.org/2000/svg}polyline"))) == 2
    assert "random <b>" in [element.text for element in both.iter()]
