"""Pictures of every page for README and docs, and in every size and theme for whoever changes a page.

    python docs/screenshots.py            # 1440 x 900, light, into docs/images
    python docs/screenshots.py --all DIR  # two sizes, both themes, empty and full, into DIR

Starts a real server over a workspace of its own and answers digits as a person would.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright
from sklearn.datasets import load_breast_cancer

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "browser"))

from pages import answer_digits

from conftest import Server, person_context
from plumbline_backend.grading import GradingProject
from plumbline_backend.judges.verdicts import FAILED
from plumbline_backend.people.passwords import hash_password
from plumbline_backend.simulation.setup import Setup
from plumbline_backend.simulation.task import OWN_DATA, start_simulation
from plumbline_backend.store import open_store
from plumbline_backend.workspace import Workspace, open_workspace

IMAGES = Path(__file__).parent / "images"
SIZES = {"wide": (1440, 900), "narrow": (1024, 768)}
SETTLE_MS = 2500
"""For charts that draw themselves after their data has come."""
BUSY = ["is being computed", "Measuring the model", "Reading the pool", "are on their way", "Training …"]
"""Words of a page that is not done yet."""
SHOWN = {"model": "throw-away heads", "agreement": "Krippendorff's alpha"}
"""Words that pages show once what takes them long is done."""
AT_REST = """
busy => {
  const inside = root => [...root.querySelectorAll("*")].flatMap(
    e => e.shadowRoot ? [e, ...inside(e.shadowRoot)] : [e]);
  const all = inside(document);
  const words = all.filter(e => !e.children.length && !["STYLE", "SCRIPT"].includes(e.tagName) && e.checkVisibility());
  const far = e => e.loading === "lazy" && e.getBoundingClientRect().top > innerHeight;
  return all.every(e => e.tagName !== "IMG" || e.complete || far(e))
    && !words.some(e => busy.some(each => e.textContent.includes(each)));
}
"""
"""Whether every picture is there and nothing says that it is still at work, through shadow roots."""
STEP = 30
"""Digits answered between two versions of the model."""
READER = "Ada"
PASSWORD = "correct horse 7"
ERR_EVERY = {"Ada": 100, "Ben": 9, "Cleo": 6}
"""People of the Agreement page, and every how manieth answer of each is wrong."""
KINDS = {
    "several": ("multi_label", "What is the review about?", ("price", "quality", "delivery", "service")),
    "rating": ("rating", "How content is the customer?", ()),
    "tree": ("hierarchical", "What is it about?", ("goods", "delivery", "defect", "size", "late", "damaged")),
}
"""Project to kind, question and classes."""
PARENTS = {"defect": "goods", "size": "goods", "late": "delivery", "damaged": "delivery"}
REVIEWS = [
    f"{thing} {said}. {more}"
    for thing in ("The lamp", "The coat", "The kettle", "The chair")
    for said in ("came two weeks late", "is well made", "was smaller than the picture", "stopped after a day")
    for more in ("Nobody answered my letter.", "For the price I am content.", "I would buy it again.")
]
MODEL = "scripted"
"""Answers by rules, as the language model of the grading pages."""
SIGNED = "def check(output, context):\n    return 'Your Fernweh team' in output\n"
N_GRADED = 48
SIMULATED = ("random", "margin", "typical_then_margin")

PAGES: Mapping[str, str] = {
    "projects": "/",
    "import": "/import",
    "data": "/p/digits/data",
    "label": "/p/digits/label",
    "review": "/p/digits/review",
    "map": "/p/digits/map",
    "health": "/p/digits/health",
    "model": "/p/digits/model",
    "calibration": "/p/digits/calibration",
    "agreement": "/p/breast-cancer/agreement",
    "several": "/p/several/label",
    "rating": "/p/rating/label",
    "tree": "/p/tree/label",
    "simulate": "/p/wine/simulate",
    "export": "/p/digits/export",
    "grade": "/p/replies-to-customers/grade",
    "judges": "/p/replies-to-customers/judges",
    "alignment": "/p/replies-to-customers/alignment",
    "validators": "/p/replies-to-customers/validators",
}
LOGIN: Mapping[str, str] = {"login": "/login", "people": "/p/several/people", "audit": "/audit"}
"""Pages of a server with a login; the first is seen before it."""
EMPTY: Mapping[str, str] = {
    "data_empty": "/p/wine/data",
    "label_table": "/p/wine/label",
    "model_empty": "/p/wine/model",
    "export_empty": "/p/wine/export",
    "grade_empty": "/p/outputs/grade",
    "judges_empty": "/p/outputs/judges",
    "alignment_empty": "/p/outputs/alignment",
    "validators_empty": "/p/outputs/validators",
}


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", type=Path, metavar="DIR", help="every size and theme, into this folder")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="pages to take, by name")
    parser.add_argument("--answers", type=int, default=300, help="digits to answer first")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = _server(Path(folder))
        try:
            for answered in range(0, options.answers, STEP):
                answer_digits(server, min(STEP, options.answers - answered), READER)
            _take(server, options.all, options.only, PAGES | (EMPTY if options.all else {}))
        finally:
            server.stop()
        if not options.only or set(options.only) & set(LOGIN):
            _with_login(server, options.all, options.only)


def _with_login(server: Server, everything: Path | None, only: list[str] | None) -> None:
    """The same workspace, served to people with accounts."""
    (server.workspace / "config.toml").write_text("require_login = true\n")
    with open_store(server.workspace / "plumbline.db") as store:
        store.people.create(READER, hash_password(PASSWORD), is_owner=True, may_create=True)
        project = store.projects.get("several").id
        for name, role in (("Ben", "annotator"), ("Cleo", "editor"), ("Dora", "reader")):
            store.people.create(name, hash_password(PASSWORD))
            store.memberships.set_role(project, store.people.get(name).id, role)
    server.start()
    try:
        _take(server, everything, only, LOGIN)
    finally:
        server.stop()


def _server(folder: Path) -> Server:
    with open_workspace(folder / "workspace", settings={"llm_base_url": MODEL}) as workspace:
        for name in ("wine", "digits", "breast_cancer"):
            workspace.create_demo(name)
        _compared(workspace)
        _kinds(workspace, folder)
        _graded(workspace.create_grading_demo())
        _ungraded(workspace, folder)
        setup = Setup(OWN_DATA, budget=60, seeds=5)
        tried = start_simulation(workspace.jobs, workspace.project("wine"), setup, SIMULATED)
        workspace.jobs.wait(tried.id)
    server = Server(folder / "workspace")
    (server.workspace / "config.toml").write_text(f'llm_base_url = "{MODEL}"\n')
    server.start()
    return server


def _compared(workspace: Workspace) -> None:
    """Three people answer the same sixty items; each errs in a way of its own."""
    project = workspace.project("breast-cancer")
    project.set_settings(overlap=len(ERR_EVERY))
    target, ids = load_breast_cancer().target, {c.name: c.id for c in project.question().active}
    for name, every in ERR_EVERY.items():
        judge = project.person(name)
        for item in range(60):
            says = int(target[item]) if item % every else 1 - int(target[item])
            answer = ids[("malignant", "benign")[says]]
            project.record(item=item, judge=judge, client_uuid=f"{name}{item}", answer=answer)


def _kinds(workspace: Workspace, folder: Path) -> None:
    """A project for each other kind of question, over the same short reviews."""
    file = folder / "reviews.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(
            [["key", "review"], *([f"r{i:02}", text] for i, text in enumerate(REVIEWS))]
        )
    for name, (kind, question, classes) in KINDS.items():
        project = workspace.import_items(file, name, kind=kind, text=question)
        for class_name in classes:
            project.add_class(class_name, by=READER)
        ids = {c.name: c.id for c in project.question().active}
        for class_name, above in PARENTS.items() if kind == "hierarchical" else ():
            project.edit_class(ids[class_name], by=READER, parent=ids[above])


def _graded(project: GradingProject) -> None:
    """Criteria with their judges, and grades by what those judges fail and one of ten besides."""
    for key in ("max_words", "no_placeholder", "supported_numbers"):
        project.add_from_library(key, by=READER, parameters={})
    signed = project.add_criterion("Signed", "It is signed as 'Your Fernweh team'.", by=READER)
    project.add_judge(signed.id, "assertion", "signature", {"code": SIGNED})
    project.add_judge(signed.id, "llm", "Signed: LLM grader", {"grader": "binary"})
    for judge in project.judges():
        project.wait(project.run_judge(judge.id))
    failed = project.verdict_table().as_set() == FAILED
    grader = project.grader(READER)
    for turn in range(N_GRADED):
        ask = project.next_output(grader)
        if ask is None:
            break
        bad = bool(failed[ask.output]) != (turn % 10 == 0)
        project.grade(
            output=ask.output,
            grader=grader,
            client_uuid=f"grade{turn}",
            answer="fail" if bad else "pass",
            note="not as we write" if bad else "",
            query_id=ask.query_id,
        )


def _ungraded(workspace: Workspace, folder: Path) -> None:
    """Outputs as they were imported."""
    file = folder / "outputs.csv"
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(
            [["id", "response"], *([f"r{i:02}", each] for i, each in enumerate(REVIEWS))]
        )
    workspace.import_outputs(file, "outputs")


def _take(server: Server, everything: Path | None, only: list[str] | None, pages: Mapping[str, str]) -> None:
    """Pictures of the pages, as one person sees them; with a login, of the owner once the first is taken."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium())
        for size, dark, target in _looks(everything):
            width, height = SIZES[size]
            viewport = {"width": width, "height": height}
            context = person_context(browser.new_context, server, READER, dark=dark, viewport=viewport)
            for name, path in pages.items():
                if not only or name in only:
                    _picture(context, server.url + path, target.with_name(target.name.format(name=name)))
                if name == "login":
                    _sign_in(context, server)
            context.close()
        browser.close()


def _sign_in(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.goto(server.url)
    page.get_by_label("Name").fill(READER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(server.url + "/")
    page.close()


def _looks(everything: Path | None) -> Iterator[tuple[str, bool, Path]]:
    if everything is None:
        yield "wide", False, IMAGES / "{name}.png"
        return
    everything.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        for dark in (False, True):
            yield size, dark, everything / f"{{name}}_{size}_{'dark' if dark else 'light'}.png"


def _picture(context: BrowserContext, url: str, path: Path) -> None:
    page: Page = context.new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    if url.endswith("/calibration"):
        _measure(page)
    if url.endswith("/judges"):
        _open_judge(page)
    for name, words in SHOWN.items():
        if url.endswith(PAGES[name]):
            page.get_by_text(words).first.wait_for(timeout=120_000)
    page.wait_for_function(AT_REST, arg=BUSY, timeout=120_000)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=path)
    page.close()


def _open_judge(page: Page) -> None:
    """Open the last criterion and its first judge, where there are any."""
    criteria = page.get_by_role("region", name="Criteria", exact=True).locator("tbody tr")
    criteria.first.wait_for(timeout=60_000)
    if criteria.count() > 1:
        name = criteria.last.locator("td").first.inner_text()
        criteria.last.click()
        page.get_by_role("region", name=f"Judges of {name}").locator("tbody tr").first.click(timeout=60_000)
        page.get_by_role("button", name="Run it").wait_for(timeout=60_000)


def _measure(page: Page) -> None:
    """Measure what has not been measured yet."""
    figures = page.get_by_role("region", name="All figures")
    measure = page.get_by_role("button", name="Measure", exact=True)
    measure.or_(figures).first.wait_for(timeout=60_000)
    if not figures.count():
        measure.click(timeout=60_000)
    figures.wait_for(timeout=120_000)


def _chromium() -> str | None:
    import shutil

    return shutil.which("chromium")


if __name__ == "__main__":
    main()
