"""Public data sets as people have them: what is guessed, and that every value arrives."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from plumbline_backend.pool import fit_features

DATA = Path(__file__).parents[4] / "shared" / "data"


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"shared data {name} is not here")
    return path


def test_htru2_pulsars(import_file):
    source = real("htru2/HTRU_2.csv")
    found = import_file("HTRU_2.csv", source.read_bytes())
    table = pd.read_csv(source)
    assert set(found.roles.values()) == {"numeric", "label"}
    assert found.roles["class"] == "label"
    assert found.pool.n_items == found.preview.n_rows == len(table)
    for name in table.columns[:-1]:
        assert np.array_equal(np.array(found.values(name), dtype=float), table[name].to_numpy())
    assert found.pool.value_counts("class") == {"0": 16_259, "1": 1_639}
    assert fit_features(found.pool).d == 8


def test_clinc150_intents(import_file):
    splits = json.loads(real("clinc150/data_full.json").read_text(encoding="utf-8"))
    rows = [(f"{split}-{i}", *pair) for split, pairs in splits.items() for i, pair in enumerate(pairs)]
    lines = [json.dumps({"id": key, "text": text, "intent": intent}) for key, text, intent in rows]
    found = import_file("clinc.jsonl", "\n".join(lines), {"intent": "label"})
    assert found.roles["id"] == "id"
    assert found.roles["text"] == "text"
    assert found.pool.n_items == len(rows) == 23_700
    assert found.values("text") == [text for _, text, _ in rows]
    assert len(found.pool.value_counts("intent")) == 151
    page = found.pool.search("credit card", {"intent": "credit_score"})
    assert page.n_total == sum("credit card" in t.lower() and i == "credit_score" for _, t, i in rows)


@pytest.mark.parametrize(
    "name",
    [
        "tofueval_meetingbank/meetingbank_factual_eval_dev.csv",
        "tofueval_meetingbank/meetingbank_completeness_final.csv",
        "recipes/cleaned_data_anonymized.csv",
    ],
)
def test_quoted_text_of_many_lines(import_file, name):
    source = real(name)
    with source.open(encoding="utf-8", newline="") as stream:
        first = stream.readline()
        stream.seek(0)
        rows = list(csv.DictReader(stream, delimiter="\t" if "\t" in first else ","))
    columns = list(rows[0])
    roles = {column or "column 1": "metadata" for column in columns}
    found = import_file("a.csv", source.read_bytes(), roles)
    assert found.pool.n_items == len(rows)
    for column in columns:
        assert found.values(column or "column 1") == [row[column] for row in rows]


def test_network_probabilities(import_file):
    source = real("network_probs/wideresnet-16-4-cifar-10.npz")
    with np.load(source) as archive:
        arrays = {name: archive[name] for name in archive.files}
    found = import_file("a.npz", source.read_bytes())
    wide = next(name for name, array in arrays.items() if array.ndim == 2)
    assert found.roles[wide] == "features"
    stored = found.pool.matrix(wide).gather(range(found.pool.n_items))
    assert np.array_equal(stored, arrays[wide].astype(np.float32))
