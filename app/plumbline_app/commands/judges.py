"""`plumbline judges`: import LLM outputs, run judges, measure them against grades, export them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline_app.commands.progress import follow
from plumbline_backend.domain.errors import InputError, NotFoundError, did_you_mean

if TYPE_CHECKING:
    from plumbline_backend.domain.grades import GradingJudge
    from plumbline_backend.grading import GradingProject
    from plumbline_backend.workspace import Workspace

judges_app = typer.Typer(no_args_is_help=True, help="Grade LLM outputs and align validators with the grades.")
WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder that holds everything")]
DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="Postgres URL; default: SQLite in the workspace")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output")]
ProjectArgument = Annotated[str, typer.Argument(help="The grading project's name in its URL")]


@judges_app.command()
def align(
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines of {output, grade, verdicts: {judge: true, false or null}}"),
    ],
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures here; - prints them")
    ] = None,
    min_coverage: Annotated[float, typer.Option(help="Share of bad outputs that the set should fail")] = 0.8,
    max_ffr: Annotated[float, typer.Option(help="Share of good outputs that the set may fail")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the simulated intervals")] = 0,
) -> None:
    """Coverage, false failures and alignment of each judge and of the chosen set, with intervals."""
    from plumbline_backend.judges.align_file import align as align_rows
    from plumbline_backend.judges.align_file import read_graded

    if seed < 0:
        raise InputError(f"--seed: found {seed}; expected a whole number from 0")
    found = align_rows(read_graded(file), min_coverage, max_ffr, seed)
    document = json.dumps(found, indent=1, allow_nan=False)
    if json_out is not None and str(json_out) == "-":
        print(document)
        return
    if json_out is not None:
        json_out.write_text(document + "\n", encoding="utf-8")
    _print_alignment(found)


@judges_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or JSONL of outputs, promptfoo's or Inspect's results")],
    name: Annotated[str | None, typer.Option(help="Project name; default: the file's name")] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="JSON file: what each column of a CSV or JSONL is")
    ] = None,
    skip_bad_rows: Annotated[bool, typer.Option(help="Import the rest and list what was skipped")] = False,
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Import LLM outputs as a new grading project."""
    chosen = None if mapping is None else _mapping(mapping)
    with _opened(workspace, database) as opened:
        job = opened.start_import_outputs(
            file, name or file.stem, chosen, on_problem="skip" if skip_bad_rows else "refuse"
        )
        result = dict(follow(opened, job).result or {})
    if as_json:
        print(
            json.dumps({key: result[key] for key in ("slug", "n_items", "n_skipped", "n_alike", "problems")})
        )
        return
    print(
        f"Imported {result['n_items']:,} outputs as grading project {result['slug']!r}; {result['n_skipped']:,} rows "
        f"skipped, {result['n_alike']:,} outputs repeat another."
    )


@judges_app.command()
def scores(
    project: ProjectArgument,
    file: Annotated[
        Path, typer.Argument(help="Score rows of LangSmith, Phoenix or Langfuse: JSON, JSON Lines or CSV")
    ],
    criterion: Annotated[
        str | None, typer.Option(help="What they judge; default: the outputs as a whole")
    ] = None,
    skip_bad_rows: Annotated[bool, typer.Option(help="Take the rest and list what was left out")] = False,
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Join verdicts and grades of another tool to the outputs of a project, by their ids."""
    with _opened(workspace, database) as opened:
        found = opened.grading(project)
        chosen = None if criterion is None else found.book.named(criterion).id
        joined = found.import_scores(file, "skip" if skip_bad_rows else "refuse", chosen)
    if as_json:
        problems = [str(problem) for problem in joined.problems]
        print(
            json.dumps({"n_grades": joined.n_grades, "n_verdicts": joined.n_verdicts, "problems": problems})
        )
        return
    print(
        f"{joined.n_verdicts:,} verdicts and {joined.n_grades:,} grades; {len(joined.problems):,} left out."
    )
    for problem in joined.problems[:20]:
        print(problem)


@judges_app.command()
def run(
    project: ProjectArgument,
    judge: Annotated[list[str] | None, typer.Option(help="Only this judge (may be given again)")] = None,
    again: Annotated[
        bool, typer.Option(help="Judge every output anew, not only those without a verdict")
    ] = False,
    calibrated_in: Annotated[
        str | None,
        typer.Option(help="Graded project with the same judges: correct the pass rates by their errors"),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Ask models after showing the estimate, within the budget that is set"),
    ] = False,
    budget: Annotated[
        float | None,
        typer.Option(
            help="USD that the run of each LLM judge may cost; kept as the project's. Stands for --yes"
        ),
    ] = None,
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the judges of a grading project over its outputs. What models would cost is shown before they are asked."""
    from plumbline_app.commands.judges_cost import agree_on_cost

    with _opened(workspace, database) as opened:
        found = opened.grading(project)
        results = []
        to_run = _chosen(found, judge)
        agree_on_cost(found, to_run, again, yes, budget)
        for chosen in to_run:
            job = follow(opened, found.run_judge(chosen.id, again=again))
            counts = dict(job.result or {})["counts"]
            row = {"judge": chosen.name, "kind": chosen.kind, **counts}
            if calibrated_in is not None:
                row["pass_rate"] = found.pass_rate_by(chosen.id, opened.grading(calibrated_in))._asdict()
            results.append(row)
    if as_json:
        print(json.dumps(results))
        return
    for row in results:
        print(
            f"{row['judge']:<40} pass {row['pass']:>6,}  fail {row['fail']:>6,}  error {row['error']:>6,}  "
            f"does not apply {row['abstain']:>6,}"
            + (f"  true pass rate {_in_words(row['pass_rate'])}" if calibrated_in is not None else "")
        )


@judges_app.command()
def export(
    project: ProjectArgument,
    what: Annotated[str, typer.Argument(help="pytest, promptfoo, json or grades")],
    out: Annotated[Path, typer.Argument(help="Folder (pytest) or file to write")],
    workspace: WorkspaceOption = Path("workspace"),
    database: DatabaseOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the chosen judges as tests, as promptfoo's configuration or as JSON, or the grades."""
    from plumbline_backend.exporters.judges import export_notes

    with _opened(workspace, database) as opened:
        found = opened.grading(project)
        path = found.export(what, out)
        notes = export_notes(found, what)
    if as_json:
        print(json.dumps({"path": str(path), **({"notes": notes} if notes else {})}))
        return
    print("\n".join([f"Wrote {path}", *(f"Not carried over: {note}" for note in notes)]))


def _opened(workspace: Path, database: str | None) -> Workspace:
    from plumbline_backend.workspace import open_workspace  # a second to import; align does without

    return open_workspace(workspace, database_url=database)


def _chosen(project: GradingProject, names: list[str] | None) -> list[GradingJudge]:
    """The judges that can be run, or those named. Raises NotFoundError with the nearest name."""
    judges = {judge.name: judge for judge in project.judges()}
    for name in names or []:
        if name not in judges:
            raise NotFoundError(f"judge {name!r} does not exist; {did_you_mean(name, judges)}")
    if names:
        return [judges[name] for name in names]
    return [judge for judge in judges.values() if judge.kind != "imported"]


def _mapping(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--mapping {path}: {error}; expected a JSON file") from error


def _print_alignment(found: dict[str, Any]) -> None:
    n, n_graded = found["n_outputs"], found["n_graded"]
    print(f"{n_graded:,} of {n:,} outputs graded: {found['n_good']:,} good, {found['n_bad']:,} bad")
    selected = found["selected"]
    rows = [*found["judges"].items(), (f"selected: {', '.join(selected['judges']) or 'none'}", selected)]
    for name, figures in rows:
        shown = "  ".join(f"{part} {_in_words(figures[part])}" for part in ("coverage", "ffr", "alignment"))
        print(f"{name:<32} {shown}")
    print(f"The selected set's figures: {selected['method']}. {selected['reason']}".rstrip())


def _in_words(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return f"unknown (n {figure['n']})"
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}] (n {figure['n']})"
