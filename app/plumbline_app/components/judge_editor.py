"""One judge: what it is made of, what it says, and running it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from panel.viewable import Viewable, Viewer

from plumbline_app.components.code_field import code_field, typed_code
from plumbline_app.components.controls import button, checkbox, choice, text_field, typed
from plumbline_app.components.grid import Grid, grid_column
from plumbline_app.components.judge_run import (
    estimate_in_words,
    result_in_words,
    stress_in_words,
    verdicts_in_words,
)
from plumbline_app.components.layout import card, fill, line, place
from plumbline_app.components.llm_form import LlmForm
from plumbline_app.components.stress_view import stress_view
from plumbline_app.components.words import notice, sentence
from plumbline_backend.domain.errors import PlumblineError
from plumbline_backend.domain.grades import Criterion, GradingJudge
from plumbline_backend.judges.assertion import DRAFTED_FROM
from plumbline_backend.judges.head import HEADS_FOR_GRADES
from plumbline_backend.registry import GRADING_JUDGES

if TYPE_CHECKING:
    from plumbline_backend.grading import GradingProject

KIND_WORDS = {
    "assertion": "Python assertion",
    "llm": "LLM grader",
    "head": "Trained head",
    "imported": "Imported verdicts",
}
FIRST_CODE = "def check(output, context):\n    return len(output.split()) <= 120\n"
CODE_HELP = (
    "check(output, context) returns True (pass), False (fail) or None (does not apply). context holds prompt, vars, "
    "reference and system. It runs in a sandbox: no files, no network."
)
SHOWN_VERDICTS = 200


class JudgeEditor(Viewer):
    """Edits a judge, or makes one of `kind` when there is none yet.

    on_save(id) follows a change; on_run(id, again) and on_stress(id) start a job; draft() asks a model for code.
    """

    def __init__(
        self,
        project: GradingProject,
        criterion: Criterion,
        judge: GradingJudge | None,
        kind: str,
        dark: bool,
        on_save: Callable[[int], None],
        on_run: Callable[[int, bool], None],
        draft: Callable[[], None],
        on_stress: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._project = project
        self._criterion = criterion
        self._judge = judge
        self._kind = kind
        self._dark = dark
        self._on_save = on_save
        self._on_run = on_run
        self._draft = draft
        self._on_stress = on_stress
        self._drafted_from: list[int] = [] if judge is None else list(judge.spec.get(DRAFTED_FROM, []))
        self._said = place()
        self._verdicts = place()

    def __panel__(self) -> Viewable:
        judge = self._judge
        spec: Mapping[str, Any] = {} if judge is None else judge.spec
        self._name = text_field(
            "Name", "" if judge is None else judge.name, sizing_mode="stretch_width", max_length=200
        )
        self._name.visible = judge is None
        below = "" if self._kind == "imported" else GRADING_JUDGES.get(self._kind).explanation
        title = f"New {KIND_WORDS[self._kind]}" if judge is None else f"{judge.name}, version {judge.version}"
        return card(
            title,
            below,
            self._said,
            self._name,
            *self._fields(spec),
            self._buttons(),
            *self._running(),
            self._verdicts,
        )

    def writes(self, criterion_id: int, judge_id: int) -> bool:
        """Whether the code of this judge of this criterion is written here; judge 0 is one that is new."""
        here = self._kind == "assertion" and self._criterion.id == criterion_id
        return here and (0 if self._judge is None else self._judge.id) == judge_id

    def shows(self, judge_id: int) -> bool:
        """Whether this judge is the one that is open."""
        return self._judge is not None and self._judge.id == judge_id

    def refresh(self) -> None:
        """Count its verdicts again after a run, and put away those that are shown; the fields stay as they are."""
        if self._judge is None:
            return
        self._counts.object = sentence(verdicts_in_words(self._project, self._judge)).object
        if self._judge.kind != "imported":
            self._tell_estimate()
        fill(self._verdicts)

    def put_code(self, code: str, explanation: str, shown: Sequence[int]) -> None:
        """Put drafted code into the editor; it is saved and run only when the person says so.

        shown: the graded outputs that the model saw; they go into the specification.
        """
        self._code.value = code
        self._drafted_from = sorted({*self._drafted_from, *shown})
        fill(
            self._said,
            notice("Drafted by the model", f"{explanation}\nRead it before you save it.", tone="warn"),
        )

    def put_stress(self, result: Mapping[str, Any]) -> None:
        """Show what the judge did under stress, and what that took."""
        took = result_in_words(result)
        fill(self._verdicts, stress_view(result), *([sentence(took)] if took else []))

    def _fields(self, spec: Mapping[str, Any]) -> list[Any]:
        if self._kind == "assertion":
            self._code = code_field(spec.get("code", FIRST_CODE), self._dark)
            return [self._code, sentence(CODE_HELP), line(button("Draft it with a model", self._draft))]
        if self._kind == "head":
            chosen = spec.get("head", HEADS_FOR_GRADES[0])
            names = list(dict.fromkeys([*HEADS_FOR_GRADES, chosen]))
            self._head = choice("Head", names, chosen, width=260)
            return [line(self._head)]
        if self._kind == "llm":
            self._form = LlmForm(self._project, self._criterion, spec)
            return [self._form]
        return []

    def _buttons(self) -> Viewable:
        parts = []
        if self._kind != "imported":
            parts.append(
                button("Save" if self._judge else "Add the judge", self._save, strong=self._judge is None)
            )
        if self._judge is not None:
            judge_id = self._judge.id
            selected = self._criterion.selected == judge_id
            if not selected:
                parts.append(button("Use it for this criterion", lambda: self._select(judge_id)))
            else:
                parts.append(button("Let the best be chosen", lambda: self._select(None)))
            parts.append(button("Retire", self._retire))
        return line(*parts)

    def _running(self) -> list[Any]:
        judge = self._judge
        if judge is None:
            return []
        self._counts = sentence(verdicts_in_words(self._project, judge))
        show = button("Show what it said", self._show_verdicts)
        if judge.kind == "imported":
            return [self._counts, line(show)]
        self._again = checkbox("All outputs again", judge.kind == "head")
        self._again.param.watch(lambda _: self._tell_estimate(), "value")
        self._estimate = sentence("")
        self._tell_estimate()
        run = button("Run it", lambda: self._on_run(judge.id, bool(self._again.value)), strong=True)
        parts = [run, self._again, show]
        if judge.kind != "head":
            parts.append(button("Stress it", lambda: self._offer_stress(judge)))
        return [self._counts, line(*parts), self._estimate]

    def _offer_stress(self, judge: GradingJudge) -> None:
        """Say what stress tests would take before anything is asked."""
        try:
            told = stress_in_words(self._project, judge)
        except PlumblineError as error:
            fill(self._verdicts, notice("It cannot be stress-tested", str(error), tone="warn"))
            return
        below = "Outputs that it judged are spoilt, or changed where it should not matter. Nothing of it is stored."
        start = button("Start the stress tests", lambda: self._on_stress(judge.id), strong=True)
        fill(self._verdicts, card("Stress tests", below, sentence(told), line(start)))

    def _tell_estimate(self) -> None:
        if self._judge is None:
            return
        try:
            told = estimate_in_words(self._project, self._judge, bool(self._again.value))
        except PlumblineError as error:
            told = str(error)
        self._estimate.object = sentence(told).object

    def _save(self) -> None:
        def save() -> int:
            spec = self._spec()
            if self._judge is not None:
                return self._project.edit_judge(self._judge.id, spec).id
            name = typed(self._name).strip() or f"{self._criterion.name}: {KIND_WORDS[self._kind]}"
            return self._project.add_judge(self._criterion.id, self._kind, name, spec).id

        self._change(save)

    def _spec(self) -> dict[str, Any]:
        if self._kind == "assertion":
            kept = {} if self._judge is None else self._judge.spec
            shown = {DRAFTED_FROM: self._drafted_from} if self._drafted_from else {}
            return {**kept, **shown, "code": typed_code(self._code)}
        return self._form.spec() if self._kind == "llm" else {"head": self._head.value}

    def _select(self, judge_id: int | None) -> None:
        shown = 0 if self._judge is None else self._judge.id

        def select() -> int:
            self._project.select_judge(self._criterion.id, judge_id)
            return shown

        self._change(select)

    def _retire(self) -> None:
        def retire() -> int:
            if self._judge is not None:
                self._project.bench.retire(self._judge.id)
            return 0

        self._change(retire)

    def _change(self, change: Callable[[], int]) -> None:
        try:
            changed = change()
        except PlumblineError as error:
            fill(self._said, notice("Not saved", str(error), tone="bad"))
            return
        self._on_save(changed)

    def _show_verdicts(self) -> None:
        if self._judge is None:
            return
        order = {"error": 0, "fail": 1, "abstain": 2, "pass": 3}
        found = sorted(self._project.verdicts(self._judge.id), key=lambda v: (order[v.state], v.output))
        shown = found[:SHOWN_VERDICTS]
        outputs = self._project.outputs([verdict.output for verdict in shown])
        columns = [
            grid_column("Verdict", "name"),
            grid_column("P(pass)", "number"),
            grid_column("Why"),
            grid_column("Output", "long"),
        ]
        rows = [
            [
                f"{v.state} (older wording)" if v.stale else v.state,
                None if v.p_pass is None else f"{v.p_pass:.2f}",
                v.note or None,
                output.response[:300],
            ]
            for v, output in zip(shown, outputs, strict=True)
        ]
        grid = Grid(caption=f"Verdicts of {self._judge.name}", rows_height=420, empty="It was not run yet.")
        grid.show(columns, rows)
        more = f" The first {SHOWN_VERDICTS} are shown." if len(found) > SHOWN_VERDICTS else ""
        fill(self._verdicts, sentence(f"Errors first, then what fails.{more}"), grid)
