"""Trained heads as judges where bad outputs are rare."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from plumbline_backend.judges.head import limit_of

FAULT = "please contact us again, we cannot help with refunds"
FINE = "your parcel is on its way and arrives within four days"


def test_where_most_outputs_are_good_the_bad_ones_are_still_caught(make_project):
    rows = [
        {"id": f"o{i}", "response": f"{FAULT if i % 10 == 0 else FINE}, order {i * 37 % 101}"}
        for i in range(60)
    ]
    project = make_project(rows)
    ada = project.grader("ada")
    for output in range(40):
        project.grade(
            output=output,
            grader=ada,
            client_uuid=uuid.uuid4().hex,
            answer="fail" if output % 10 == 0 else "pass",
        )
    head = project.add_judge(None, "head", "head", {})
    project.wait(project.run_judge(head.id))
    failed = {v.output for v in project.verdicts(head.id) if v.state == "fail"}
    assert {40, 50} <= failed
    assert len([output for output in failed if output >= 40 and output % 10]) <= 6
    note = project.verdicts(head.id, 59)[0].note
    assert note.endswith("which fails as many as are bad among the grades")


def test_the_limit_lets_as_many_fall_below_as_are_bad():
    p_good = np.array([0.91, 0.99, 0.97, 0.95, 0.98])
    assert limit_of(p_good, np.array([0, 1, 0, 0, 0])) == pytest.approx(0.942)  # 0.91 + 0.8 * (0.95 - 0.91)
