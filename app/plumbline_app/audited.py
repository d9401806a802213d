"""What goes into the audit log beside what is done with accounts: requests and calls of pages that change something."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Note = Callable[[str, str, str], None]
"""(action, subject, project): writes a line in the name of the person who acts."""
MAX_SUBJECT = 200

CALLS: Mapping[str, str] = {
    "set_settings": "settings changed",
    "set_strategy": "settings changed",
    "add_class": "question changed",
    "edit_class": "question changed",
    "merge_class": "question changed",
    "reorder_classes": "question changed",
    "set_guidelines": "question changed",
    "set_question_text": "question changed",
    "add_criterion": "criteria changed",
    "add_from_library": "criteria changed",
    "edit_criterion": "criteria changed",
    "add_judge": "judges changed",
    "edit_judge": "judges changed",
    "run_judge": "judge run",
    "select_judge": "judges changed",
    "import_scores": "scores imported",
    "fit": "training started",
    "start_export": "export started",
    "heads.choose": "settings changed",
    "desk.batches.label": "items answered at once",
    "desk.batches.write": "items answered at once",
    "desk.batches.undo": "step taken back",
    "desk.review.accept": "proposals accepted",
    "desk.review.make_class": "question changed",
    "desk.team.adjudicate": "last word given",
    "desk.trust.use_calibrator": "settings changed",
    "desk.trust.add_outside": "scores imported",
    "desk.trust.choose_operating_point": "settings changed",
    "desk.trust.scope.choose": "settings changed",
    "start_import": "import started",
    "start_import_outputs": "import started",
    "start_demo": "import started",
    "start_grading_demo": "import started",
}
"""Methods of a project (by their path from it) and of the workspace, and what the log calls them. One answer at a time
is not here: the ledger itself says who gave it, and when."""


class Rule(NamedTuple):
    """A request that is written down: a method, a pattern for the whole path, and what the log calls it."""

    method: str
    pattern: re.Pattern[str]
    action: str


def _rule(method: str, pattern: str, action: str) -> Rule:
    return Rule(method, re.compile(pattern), action)


_PROJECT = r"/api/v1/projects/(?P<project>[^/]+)"
_GRADING = r"/api/v1/grading/(?P<project>[^/]+)"
_PAGES = r"/api/projects/(?P<project>[^/]+)"
REQUESTS: tuple[Rule, ...] = (
    _rule("POST", r"/api/v1/projects", "import started"),
    _rule("DELETE", _PROJECT, "project deleted"),
    _rule("POST", _PROJECT + r"/fit", "training started"),
    _rule("POST", _PROJECT + r"/head", "settings changed"),
    _rule("POST", _PROJECT + r"/exports", "export started"),
    _rule("GET", _PROJECT + r"/exports/(?P<subject>[^/]+)", "export downloaded"),
    _rule("GET", _PAGES + r"/exports/(?P<subject>[^/]+)", "export downloaded"),
    _rule("POST", _PROJECT + r"/jobs/(?P<subject>[^/]+)/cancel", "job cancelled"),
    _rule("POST", _PROJECT + r"/webhooks", "webhook added"),
    _rule("DELETE", _PROJECT + r"/webhooks/(?P<subject>[^/]+)", "webhook removed"),
    _rule("POST", _GRADING + r"/judges", "judges changed"),
    _rule("POST", _GRADING + r"/judges/(?P<subject>[^/]+)/verdicts", "verdicts brought"),
    _rule("POST", r"/api/v1/tokens", "token made"),
    _rule("DELETE", r"/api/v1/tokens/(?P<subject>[^/]+)", "token ended"),
    _rule("POST", r"/api/v1/backups", "backup started"),
    _rule("GET", r"/api/v1/backups/(?P<subject>[^/]+)", "backup downloaded"),
    _rule("POST", _PAGES + r"/label/classes", "question changed"),
    _rule("POST", _PAGES + r"/label/strategy", "settings changed"),
    _rule("POST", _PAGES + r"/grade/(criteria|criterion)(/.*)?", "criteria changed"),
)


class Line(NamedTuple):
    """What the log says of a request."""

    action: str
    subject: str
    project: str


def line_of(method: str, path: str) -> Line | None:
    """What the log says of a request that was carried out; None for one that is not written down. Pure."""
    for rule in REQUESTS:
        match = rule.pattern.fullmatch(path)
        if match is not None and method == rule.method:
            found = match.groupdict()
            return Line(rule.action, found.get("subject") or "", found.get("project") or "")
    return None


def noted(call: Callable[..., Any], path: str, project: str, note: Note) -> Callable[..., Any]:
    """The call itself, written down once it has succeeded; calls that are in no list are left as they are."""
    action = CALLS.get(path)
    if action is None:
        return call

    def call_and_note(*args: Any, **options: Any) -> Any:
        result = call(*args, **options)
        note(action, _subject(args, options), project)
        return result

    return call_and_note


def _subject(args: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """What was acted on, in short: words and numbers as they were given, of settings their names."""
    said = [str(each) for each in args if isinstance(each, str | int) and not isinstance(each, bool)]
    names = [name for name in options if name not in ("by", "note")]
    return ", ".join(said or names)[:MAX_SUBJECT]
