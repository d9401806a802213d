"""schemathesis reads the OpenAPI description and tries whatever it allows, and more: no answer is a 5xx."""

from __future__ import annotations

import os
import warnings
from typing import Any

import pytest
import schemathesis
from api_app import make_app
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure

from plumbline_app.label_api import label_routes
from plumbline_backend.workspace import Workspace

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "12"))
"""For each of some fifty operations, valid and invalid by turns."""
SLUGS = ("things", "things", "outputs", "nothing")


def cases(operation: Any) -> st.SearchStrategy[Any]:
    """Requests that fit the description, and, where it leaves room for them, some that do not."""
    fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not any((operation.path_parameters, operation.query, operation.body)):
        return fitting
    return fitting | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)


def fuzz(app: FastAPI, examples: int) -> int:
    """Try every operation; how many there were. Raises on the first answer of 500 or more."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    n = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        n += 1

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases(operation), slug=st.sampled_from(SLUGS), own=st.booleans())
        def try_case(case: Any, slug: str, own: bool) -> None:
            if own and "slug" in (case.path_parameters or {}):
                case.path_parameters["slug"] = slug
            response = case.call()
            case.validate_response(response, checks=[schemathesis.checks.not_a_server_error])

        try_case()
    return n


@pytest.mark.slow
def test_no_request_is_answered_with_a_server_error(workspace: Workspace, tmp_path: Any) -> None:
    file = tmp_path / "outputs.jsonl"
    file.write_text("".join(f'{{"prompt": "p{i}", "response": "r{i}"}}\n' for i in range(8)))
    workspace.import_outputs(file, "outputs")
    app = make_app(workspace)
    app.include_router(label_routes(workspace))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # schemathesis's own, about generators it has no use for
        assert fuzz(app, EXAMPLES) >= 40


def test_the_check_would_find_a_server_error() -> None:
    app = FastAPI()

    @app.get("/broken/{number}")
    def broken(number: int) -> float:
        return 1 / (number - number)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((ZeroDivisionError, Failure, BaseExceptionGroup)):
            fuzz(app, 2)
