"""What the API takes and gives, for its OpenAPI description."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from plumbline_backend.domain.answer_forms import MAX_ANSWER
from plumbline_backend.domain.types import JobState, State, Stratum

MAX_PAGE = 1_000
MAX_POSITION = 2**53
Slug = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$", description="the project's name in URLs")]
Position = Annotated[int, Field(ge=0, le=MAX_POSITION, description="position of an item in its pool")]
RowId = Annotated[int, Field(ge=0, le=2**62)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="rows of one page")]
After = Annotated[int, Query(ge=-1, le=2**62, description="`next` of the page before")]
Uuid = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
Text = Annotated[str, Field(max_length=10_000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class ProjectOut(BaseModel):
    """A project. `purpose`: "label" items, or "grade" outputs of language models."""

    slug: str
    name: str
    purpose: Literal["label", "grade"]
    n_items: int
    created_at: str


class ProjectsPage(BaseModel):
    """A page of projects. `next` is null on the last page."""

    projects: list[ProjectOut]
    next: int | None


class ImportIn(Body):
    """An uploaded file as a new project.

    `roles`: a column's role where the guessed one is wrong. `embed`: the sentence-embedding model, a folder of the
    server or a name on the hub, for text columns whose words are not to be counted.
    """

    upload: str
    name: Name
    roles: dict[str, str] = Field(default={}, max_length=10_000)
    embed: dict[str, Annotated[str, Field(max_length=1_000)]] = Field(default={}, max_length=1_000)
    label_use: Literal["reference", "training", "ignore"] = "reference"
    kind: Annotated[str, Field(max_length=40)] = "choice"
    question: Text = ""
    skip_bad_rows: bool = False


class ItemOut(BaseModel):
    """An item. Images are fetched from `/api/projects/{slug}/items/{position}/image`."""

    position: int
    key: str
    fields: dict[str, Any]


class ItemsPage(BaseModel):
    """A page of items."""

    items: list[ItemOut]
    next: int | None


class JudgementIn(Body):
    """One answer. The same `uuid` again changes nothing, so that a request can be sent again."""

    uuid: Uuid
    item: Position
    class_id: Annotated[str, Field(max_length=MAX_ANSWER)] | None = None
    """A class id; of several classes "+c1 -c4": yes to c1, no to c4, nothing of the others."""
    state: State = "answered"
    note: Text = ""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    query_id: RowId | None = None
    stratum: Stratum = "browse"


class JudgementsIn(Body):
    """Answers, each recorded or refused by itself."""

    judgements: list[JudgementIn] = Field(min_length=1, max_length=MAX_PAGE)


class HeadIn(Body):
    """The head to train. `settings`: by name, as `GET .../heads` lists them; null is the default."""

    head: Name
    settings: dict[str, Any] = Field(default={}, max_length=100)
    options: dict[str, Any] | None = None


class HeadSettingOut(BaseModel):
    """A setting of a head. `value`: what the project has set, null where the default holds; a `default` of null is
    worked out from the features."""

    name: str
    title: str
    meaning: str
    expected: str
    default: Any
    value: Any


class HeadOut(BaseModel):
    """A head. `refused`: why it cannot be trained here; `seconds` and `mib`: what a training takes, about."""

    name: str
    explanation: str
    refused: str | None
    seconds: float
    mib: float
    settings: list[HeadSettingOut]


class HeadsOut(BaseModel):
    """The heads of a project, the one in force, and the options of its trainings that are not at their defaults."""

    chosen: str
    options: dict[str, Any]
    heads: list[HeadOut]


class JudgeNameIn(Body):
    """A judge that is no person, whose answers with probabilities are brought by the API."""

    name: Name
    kind: Literal["llm", "rule", "assertion"] = "llm"


class StatedIn(Body):
    """What such a judge says of one item. `proba`: of every class by id, summing to 1 where an item has one class;
    without `class_id` the likeliest class is the answer."""

    uuid: Uuid
    item: Position
    proba: dict[str, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]] = Field(max_length=100_000)
    class_id: Annotated[str, Field(max_length=MAX_ANSWER)] | None = None
    note: Text = ""


class StatedManyIn(Body):
    """Answers with probabilities, each recorded or refused by itself."""

    judgements: list[StatedIn] = Field(min_length=1, max_length=MAX_PAGE)


class Ack(BaseModel):
    """What became of one answer. `ok` false: `error` says why, and sending it again would not help."""

    uuid: str
    ok: bool
    judgement_id: int | None = None
    error: str = ""


class Acks(BaseModel):
    """One `Ack` for each answer, in order."""

    acks: list[Ack]


class UndoIn(Body):
    """Takes back a judgement of the caller's: the named one, else the newest."""

    uuid: Uuid
    judgement_id: RowId | None = None


class UndoOut(BaseModel):
    """The judgement that was taken back; null when there was none."""

    judgement_id: int | None


class JudgementOut(BaseModel):
    """A row of the ledger. `in_force`: it is what its judge says today."""

    id: int
    item: int
    judge_id: int
    state: State
    class_id: str | None
    note: str
    seconds: float | None
    stratum: str
    query_id: int | None
    question_version: int
    uuid: str
    created_at: str | None
    supersedes: int | None
    revokes: int | None
    in_force: bool


class JudgementsPage(BaseModel):
    """A page of the ledger, oldest first."""

    judgements: list[JudgementOut]
    next: int | None


class NextIn(Body):
    """Asks for items. `holder` names one worker: the same one gets the same items until they are answered."""

    holder: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
    n: Annotated[int, Field(ge=1, le=100)] = 10


class AskOut(BaseModel):
    """An item leased to the holder. Give `query_id` and `stratum` back with the answer."""

    item: ItemOut
    query_id: int | None
    stratum: Stratum
    reason: str


class NextOut(BaseModel):
    """Items in the order in which to answer them. Empty when nothing is left to ask."""

    asks: list[AskOut]


class ReleaseIn(Body):
    """Gives leased items back; all of the holder's without `items`."""

    holder: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
    items: list[Position] | None = Field(default=None, max_length=MAX_PAGE)


class PredictIn(Body):
    """Asks the newest model."""

    items: list[Position] = Field(min_length=1, max_length=MAX_PAGE)


class PredictOut(BaseModel):
    """Calibrated probabilities, one row for each item, one column for each class. `model` null: there is none.

    none_of_these: for each item whether it belongs to no class, by the project's open-set rule; null without a rule.
    """

    model: int | None
    classes: list[str]
    items: list[int]
    proba: list[list[float]]
    none_of_these: list[bool] | None = None


class JobOut(BaseModel):
    """A job. `result` is there once it is done."""

    id: int
    kind: str
    state: JobState
    progress: float
    message: str
    created_at: str
    finished_at: str | None
    result: dict[str, Any] | None


class JobsOut(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobOut]


class ExportIn(Body):
    """Exports in the background; the job's result names the file. `format`, `history` are for labels."""

    what: Literal["labels", "classifier"]
    format: Literal["csv", "parquet", "jsonl"] = "csv"
    history: bool = False
    spreadsheet_safe: bool = True


class TokenIn(Body):
    """A new token of the caller's. days: until it ends; null: it does not."""

    name: Name
    days: Annotated[float, Field(gt=0, le=3650, allow_inf_nan=False)] | None = None


class TokenOut(BaseModel):
    """A token. `secret` is given once, when it is made, and cannot be read again."""

    id: int
    name: str
    start: str
    created_at: str
    expires_at: str | None
    secret: str | None = None


class WebhookIn(Body):
    """An address to tell of "judgements" and of a new "model"."""

    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    events: list[Literal["judgements", "model"]] = Field(default=["judgements", "model"], min_length=1)


class WebhookOut(BaseModel):
    """A webhook. `failures`: deliveries that failed since the last success."""

    id: int
    url: str
    events: list[str]
    by: str
    failures: int
    last_error: str


class VerdictIn(Body):
    """What an outside judge says of one output. `answer`: of a rating, "1" to "5"."""

    output: Position
    state: Literal["pass", "fail", "error", "abstain"]
    answer: Literal["1", "2", "3", "4", "5"] | None = None
    p_pass: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    note: Text = ""


class VerdictsIn(Body):
    """Verdicts of one run. The same `batch` again adds only what was not there yet."""

    batch: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[\w.-]+$")]
    verdicts: list[VerdictIn] = Field(min_length=1, max_length=MAX_PAGE)


class JudgeIn(Body):
    """An outside judge, whose verdicts are brought by the API. `criterion` null: of the overall question."""

    name: Name
    criterion: RowId | None = None
