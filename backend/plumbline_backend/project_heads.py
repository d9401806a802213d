"""A project's choice of head: what there is, what each would take, how they compare, and which is in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plumbline_backend import report
from plumbline_backend.domain.errors import InputError, did_you_mean
from plumbline_backend.domain.intervals import wilson
from plumbline_backend.domain.types import Interval, Job, ModelVersion
from plumbline_backend.explanations import Explanation, explained
from plumbline_backend.heads.base import Cost
from plumbline_backend.heads.making import head_class, make_head, settings_of
from plumbline_backend.heads.memory import free_mib
from plumbline_backend.heads.tuning import HeadSetting, checked, tunable
from plumbline_backend.jobs.executors import Work
from plumbline_backend.model_selection import MAX_ITEMS, Candidate, Comparison, from_json
from plumbline_backend.registry import HEADS
from plumbline_backend.training.asking import told_of
from plumbline_backend.training.doubt import LEAST_TRUSTED
from plumbline_backend.training.gather import probability_columns
from plumbline_backend.training.grown import added_classes, allowing_for
from plumbline_backend.training.recipe import AGGREGATIONS, CHOICES, LABELS, Recipe

if TYPE_CHECKING:
    from plumbline_backend.project import Project


KIND = "compare_heads"
DOMAIN_ROLES = ("category", "metadata", "numeric")
"""Columns of these kinds may say where an item comes from."""


@dataclass(frozen=True)
class HeadOption:
    """One head of the registry, as this project could train it.

    cost: estimated for today's labels; refused: why it cannot be trained here, empty when it can. free_mib: memory
    that is free now, None where the system does not tell.
    """

    name: str
    explanation: str
    cost: Cost
    refused: str
    free_mib: float | None = None


@dataclass(frozen=True)
class OldAndNew:
    """What adding classes did: the version before, the one after, and their accuracy on today's stream answers.

    before, after: on items of the classes that the version before knew; new: on the others, after.
    """

    earlier: ModelVersion
    later: ModelVersion
    before: Interval
    after: Interval
    new: Interval


class ProjectHeads:
    """Which head a project trains. Safe to use from several threads."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @property
    def chosen(self) -> str:
        """Name of the head in force."""
        return self._project.loop.head

    def options(self) -> list[HeadOption]:
        """Every head, in the registry's order."""
        question = self._project.question()
        training, classes = self._project.loop.answers.training(question)
        shape = (len(training.items), self._project.pool.features.d, max(2, len(classes)))
        known = self._project.loop.known_to_head()
        free, found = free_mib(), []
        for name in self.names():
            kind = head_class(name)
            refused = _refused(kind, shape, known)
            found.append(HeadOption(name, kind.explanation, kind.estimate(*shape), refused, free))
        return found

    def names(self) -> Sequence[str]:
        """The heads that answer questions of the project's kind."""
        unordered = [each for each in HEADS.names() if not getattr(HEADS.get(each), "ORDERED", False)]
        return self._project.kind.heads or unordered

    def tunable(self, name: str) -> tuple[HeadSetting, ...]:
        """The head's settings, with the defaults that hold in this project. Raises InputError on an unknown head."""
        l2 = self._project.loop.known_to_head()["l2"]
        return tuple(
            replace(each, default=l2) if each.name == "l2" and l2 is not None else each
            for each in tunable(name)
        )

    def settings(self, name: str) -> dict[str, Any]:
        """What the project has set of the head; the others are at their defaults."""
        return dict(self._project.settings().get("head_settings", {}).get(name, {}))

    @property
    def recipe(self) -> Recipe:
        """What the project's trainings do with the labels."""
        return self._project.loop.recipe

    def choose(
        self, name: str, settings: Mapping[str, Any] | None = None, recipe: Mapping[str, Any] | None = None
    ) -> None:
        """Train this head, with this recipe (None: the one in force), from the next training on, which is due at once.

        settings: of the head, by name (`tunable` lists them); those left out are at their defaults.

        Raises InputError on a head, setting or option that does not exist, that this kind of question or the head has
        no use for, or that the project has no data for.
        """
        loop, kind = self._project.loop, self._project.kind
        options = self.recipe if recipe is None else Recipe.parse(recipe)
        if name not in self.names():
            offered = did_you_mean(name, self.names())
            raise InputError(f"head {name!r} does not answer questions of the kind {kind.title!r}; {offered}")
        if options.changed() and not kind.also_a_choice:
            raise InputError(
                f"training options {', '.join(options.changed())} are for questions with one class per item; the head "
                f"{name!r} of the kind {kind.title!r} has settings of its own"
            )
        own = checked(name, settings or {})
        given = {**options.head_settings(name), **own}
        make_head(name, {**loop.known_to_head(), "unlabelled": ()}, given)
        self._check_material(options)
        kept = self._project.settings().get("head_settings", {})
        self._project.set_settings(
            head=name,
            head_settings={**kept, name: own},
            recipe=options.changed(),
        )
        loop.fit_soon()

    def just_added(self) -> list[str]:
        """Classes added since the first training that have far fewer labels than the others yet."""
        project = self._project
        project.loop.answers.refresh()
        return added_classes(project.loop.answers, project.question(), project.models())

    def explained(self, position: int) -> Explanation | None:
        """The newest model's answer to an item by labelled items, where its head decides by such."""
        return explained(self._project, position)

    def judged_columns(self) -> list[str]:
        """Columns that hold a judge's probability for each trained class; empty where there are none."""
        _, classes = self._project.loop.answers.training(self._project.question())
        names = {each.id: each.name for each in self._project.question().classes}
        columns = [column.name for column in self._project.pool.columns]
        return probability_columns(columns, [names[c] for c in classes]) or [] if classes else []

    def domain_columns(self) -> list[str]:
        """Columns whose groups an aligned training could even out."""
        return [column.name for column in self._project.pool.columns if column.role in DOMAIN_ROLES]

    def compare(self, names: Sequence[str]) -> Job:
        """Try these heads on the training labels by cross-validation, in a worker; `comparison` has the result.

        Each follows the project's recipe; one that cannot is tried without it.
        """
        stored = self._project.settings().get("head_settings", {})
        return self._compare(
            [
                Candidate(name, name, stored.get(name, {}), self._recipe_for(name))
                for name in names
                if self.recipe.domain or "domains" not in settings_of(name)
            ]
        )

    def compare_recipes(self) -> Job:
        """Try the head in force with each option of a training alone; `comparison` has the result."""
        head = self.chosen
        stored = self._project.settings().get("head_settings", {}).get(head, {})
        plain = Candidate(f"{head}, labels as they are", head, stored, Recipe())
        return self._compare([plain, *(Candidate(name, head, stored, r) for name, r in self.variants())])

    def variants(self) -> list[tuple[str, Recipe]]:
        """(name, recipe) of every single option that the head in force can follow with this project's data.

        A teacher is left out: it has learned from the labels that a comparison holds out.
        """
        found = []
        for option, choices in CHOICES.items():
            for choice in choices:
                with_soft = {"soft": "annotators"} if option == "soft_loss" else {}
                recipe = Recipe.parse({option: choice.value, **with_soft})
                if choice.value in (getattr(Recipe(), option), "teacher", 0.0):
                    continue
                if not self.cannot(self.chosen, recipe):
                    found.append((f"{self.chosen}, {LABELS[option].lower()}: {choice.words}", recipe))
        return found

    def cannot(self, head: str, recipe: Recipe) -> str:
        """Why the head cannot follow the recipe with this project's data; empty when it can."""
        if not recipe.domain and "domains" in settings_of(head):
            return f"head {head!r} needs a column that must not matter"
        try:
            recipe.head_settings(head)
            self._check_material(recipe)
        except InputError as error:
            return str(error)
        return ""

    def _recipe_for(self, head: str) -> Recipe:
        """The recipe in force without its teacher, who knows what is held out; none where the head cannot follow."""
        asked = self.recipe
        if asked.soft == "teacher":
            asked = replace(asked, soft="none", soft_loss="cross_entropy")
        followed = Recipe() if self.cannot(head, asked) else asked
        return allowing_for(followed, self.just_added(), head)

    def _check_material(self, recipe: Recipe) -> None:
        """Raises InputError where the project has nothing that the recipe could learn from."""
        loop = self._project.loop
        loop.answers.refresh()
        if recipe.soft == "columns" and not self.judged_columns():
            names = [each.name for each in self._project.question().active]
            raise InputError(
                f"no columns hold a judge's probabilities; expected one per class, such as 'p_{names[0]}'"
            )
        if recipe.soft in ("annotators", *AGGREGATIONS) and not loop.answers.items_of_several():
            raise InputError("nobody's shares can be learned: no item was answered by more than one person")
        if recipe.soft == "teacher" and not self._project.models():
            raise InputError("there is no version yet that could teach")
        if recipe.domain and recipe.domain not in self.domain_columns():
            raise InputError(
                f"column {recipe.domain!r} does not exist; {did_you_mean(recipe.domain, self.domain_columns())}"
            )
        told = self._told(recipe)
        if recipe.doubt == "trusted" and len(told["trusted"]) < LEAST_TRUSTED:
            raise InputError(
                f"{len(told['trusted'])} labels were settled by two or more people; weighing by trusted labels "
                f"needs {LEAST_TRUSTED}"
            )

    def _told(self, recipe: Recipe) -> dict[str, Any]:
        project = self._project
        _, classes = project.loop.answers.training(project.question())
        return told_of(recipe, project.loop.answers, project.question(), classes, project.models())

    def _compare(self, candidates: Sequence[Candidate]) -> Job:
        project = self._project
        training, classes = project.loop.answers.training(project.question())
        spec = {
            "pool": str(project.folders.pool),
            "models": str(project.folders.models),
            "train_items": training.items.tolist(),
            "train_targets": training.targets.tolist(),
            "classes": list(classes),
            **self._told(Recipe(doubt="margins", soft="annotators")),
            "candidates": [
                {**each._asdict(), "settings": dict(each.settings), "recipe": each.recipe.changed()}
                for each in candidates
                if HEADS.get(each.head)
            ],
            "known": project.loop.known_to_head(),
            "seed": project.seed,
        }
        return project.start_job(KIND, Work(KIND, spec))

    def seconds(self, names: Sequence[str]) -> float:
        """How long `compare` would take, about: five trainings of each head."""
        training, classes = self._project.loop.answers.training(self._project.question())
        n, d = min(MAX_ITEMS, len(training.items)), self._project.pool.features.d
        return 5 * sum(HEADS.get(name).estimate(n, d, max(2, len(classes))).seconds for name in names)

    def comparison(self) -> Comparison | None:
        """What the last finished comparison found; None before the first."""
        for job in self._project.jobs(KIND):
            if job.state == "done" and job.result is not None:
                return from_json(job.result)
        return None

    def old_and_new(self, model: ModelVersion) -> OldAndNew | None:
        """This version beside the last one that knew fewer classes; None when there is none, or no stream answers."""
        known = set(model.metrics["classes"])
        fewer = [
            m
            for m in self._project.models()
            if m.version < model.version and set(m.metrics["classes"]) < known
        ]
        if not fewer:
            return None
        before, after = (
            report.right_on_stream(self._project, fewer[-1]),
            report.right_on_stream(self._project, model),
        )
        old = np.isin(after.class_ids, fewer[-1].metrics["classes"])
        if not len(after.class_ids):
            return None

        def share(right: NDArray[np.bool_], which: NDArray[np.bool_]) -> Interval:
            return wilson(float(right[which].sum()), int(which.sum()))

        return OldAndNew(
            fewer[-1], model, share(before.right, old), share(after.right, old), share(after.right, ~old)
        )


def _refused(kind: Any, shape: tuple[int, int, int], known: Mapping[str, Any]) -> str:
    missing = sorted(need for need in kind.needs if need != "unlabelled" and known.get(need) is None)
    if missing:
        return f"needs {', '.join(missing)}, which this project does not have"
    limit = getattr(kind, "MAX_CLASSES", None)
    if limit is not None and shape[2] > limit:
        return f"is made for at most {limit:,} classes; there are {shape[2]:,}"
    return ""
