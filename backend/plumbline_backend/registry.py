"""What can be swapped, by name. An entry is imported when it is first asked for.

A new strategy, head, calibrator, importer, exporter or transform is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from plumbline_backend.domain.errors import InputError, did_you_mean


class Registry:
    """Names to "module:Class", resolved on use."""

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def names(self) -> tuple[str, ...]:
        """Every name, in the order in which it is written below."""
        return tuple(self._entries)

    def get(self, name: str) -> Any:
        """The class behind `name`. Raises InputError with the nearest valid name when there is none."""
        if name not in self._entries:
            raise InputError(f"{self.kind} {name!r} does not exist; {did_you_mean(name, self._entries)}")
        module, _, attribute = self._entries[name].partition(":")
        return getattr(import_module(module), attribute)


STRATEGIES = Registry(
    "strategy",
    {
        "typical_then_margin": "plumbline_backend.strategies.typical_then_margin:TypicalThenMargin",
        "margin": "plumbline_backend.strategies.margin:Margin",
        "entropy": "plumbline_backend.strategies.entropy:Entropy",
        "least_confident": "plumbline_backend.strategies.least_confident:LeastConfident",
        "class_balanced_margin": "plumbline_backend.strategies.class_balanced_margin:ClassBalancedMargin",
        "density_weighted": "plumbline_backend.strategies.density_weighted:DensityWeighted",
        "bald": "plumbline_backend.strategies.bald:Bald",
        "query_by_committee": "plumbline_backend.strategies.query_by_committee:QueryByCommittee",
        "badge": "plumbline_backend.strategies.badge:Badge",
        "bids": "plumbline_backend.strategies.bids:Bids",
        "k_center": "plumbline_backend.strategies.k_center:KCenter",
        "typiclust": "plumbline_backend.strategies.typiclust:TypiClust",
        "probcover": "plumbline_backend.strategies.probcover:ProbCover",
        "maxherding": "plumbline_backend.strategies.maxherding:MaxHerding",
        "mig": "plumbline_backend.strategies.mig:Mig",
        "diversify_and_conquer": "plumbline_backend.strategies.diversify_and_conquer:DiversifyAndConquer",
        "easy_to_hard": "plumbline_backend.strategies.easy_to_hard:EasyToHard",
        "zero_label": "plumbline_backend.strategies.zero_label:ZeroLabel",
        "random": "plumbline_backend.strategies.random:Random",
    },
)

HEADS = Registry(
    "head",
    {
        "linear_softmax": "plumbline_backend.heads.linear_softmax:LinearSoftmax",
        "cosine": "plumbline_backend.heads.cosine:Cosine",
        "lda": "plumbline_backend.heads.lda:LDA",
        "nearest_mean": "plumbline_backend.heads.nearest_mean:NearestMean",
        "mlp": "plumbline_backend.heads.mlp:MLP",
        "gaussian_nb": "plumbline_backend.heads.naive_bayes:GaussianNaiveBayes",
        "multinomial_nb": "plumbline_backend.heads.naive_bayes:MultinomialNaiveBayes",
        "k_nearest": "plumbline_backend.heads.neighbours:KNearest",
        "singular_kernel": "plumbline_backend.heads.neighbours:SingularKernel",
        "random_forest": "plumbline_backend.heads.ensembles:RandomForest",
        "gradient_boosting": "plumbline_backend.heads.ensembles:GradientBoosting",
        "simplex_etf": "plumbline_backend.heads.fixed_targets:SimplexETF",
        "equiangular_basis": "plumbline_backend.heads.fixed_targets:EquiangularBasis",
        "semantic": "plumbline_backend.heads.fixed_targets:SemanticTargets",
        "prototypes": "plumbline_backend.heads.prototypes:Prototypes",
        "transductive": "plumbline_backend.heads.transductive:Transductive",
        "moment_probe": "plumbline_backend.heads.moment_probe:MomentProbe",
        "ordinal": "plumbline_backend.heads.ordinal:Ordinal",
        "teen": "plumbline_backend.heads.few_new:TEEN",
        "fetril": "plumbline_backend.heads.few_new:FeTrIL",
        "napa_vq": "plumbline_backend.heads.few_new:NAPAVQ",
        "metric_loss": "plumbline_backend.heads.goals:MetricLoss",
        "domain_aligned": "plumbline_backend.heads.goals:DomainAligned",
        "z_loss": "plumbline_backend.heads.very_many:ZLoss",
        "sampled_softmax": "plumbline_backend.heads.very_many:SampledSoftmax",
    },
)

KIND_HEADS = Registry(
    "head of a question kind",
    {
        "multi_label": "plumbline_backend.heads.multi_label:MultiLabel",
        "tree": "plumbline_backend.heads.tree:TreeSoftmax",
    },
)

KINDS = Registry(
    "question kind",
    {
        "choice": "plumbline_backend.kinds.choice:Choice",
        "multi_label": "plumbline_backend.kinds.multi_label:MultiLabel",
        "rating": "plumbline_backend.kinds.rating:Rating",
        "hierarchical": "plumbline_backend.kinds.hierarchical:Hierarchical",
    },
)

CALIBRATORS = Registry(
    "calibrator",
    {
        "temperature": "plumbline_backend.calibrators.temperature:Temperature",
        "vector": "plumbline_backend.calibrators.vector:Vector",
        "matrix": "plumbline_backend.calibrators.matrix:Matrix",
        "isotonic": "plumbline_backend.calibrators.isotonic:Isotonic",
        "beta": "plumbline_backend.calibrators.beta:Beta",
        "histogram": "plumbline_backend.calibrators.histogram:Histogram",
        "correctness_aware": "plumbline_backend.calibrators.correctness_aware:CorrectnessAware",
        "tempnet": "plumbline_backend.calibrators.tempnet:TempNet",
    },
)

PACES = Registry(
    "pace",
    {
        "linear": "plumbline_backend.pace.self_paced:Linear",
        "hard": "plumbline_backend.pace.self_paced:Hard",
        "log": "plumbline_backend.pace.self_paced:Log",
        "mixture": "plumbline_backend.pace.self_paced:Mixture",
        "spld": "plumbline_backend.pace.self_paced:Diverse",
        "fixed": "plumbline_backend.pace.thresholds:Fixed",
        "flexmatch": "plumbline_backend.pace.thresholds:FlexMatch",
        "freematch": "plumbline_backend.pace.thresholds:FreeMatch",
        "softmatch": "plumbline_backend.pace.thresholds:SoftMatch",
        "dynamic_entropy": "plumbline_backend.pace.thresholds:DynamicEntropy",
        "margin_pair": "plumbline_backend.pace.thresholds:MarginPair",
        "transductive_bound": "plumbline_backend.pace.thresholds:TransductiveBound",
    },
)

OUT_OF_SCOPE = Registry(
    "out-of-scope score",
    {
        "relative_mahalanobis": "plumbline_backend.novelty.relative_mahalanobis:RelativeMahalanobis",
        "mahalanobis": "plumbline_backend.novelty.mahalanobis:Mahalanobis",
        "energy": "plumbline_backend.novelty.energy:Energy",
        "knn": "plumbline_backend.novelty.knn:NearestNeighbours",
        "max_softmax": "plumbline_backend.novelty.max_softmax:MaxSoftmax",
        "abet": "plumbline_backend.novelty.abet:AbeT",
    },
)

IMPORTERS = Registry(
    "importer",
    {
        "csv": "plumbline_backend.importers.delimited:CsvImporter",
        "tsv": "plumbline_backend.importers.delimited:TsvImporter",
        "jsonl": "plumbline_backend.importers.jsonl:JsonlImporter",
        "parquet": "plumbline_backend.importers.parquet:ParquetImporter",
        "npz": "plumbline_backend.importers.npz:NpzImporter",
        "fits": "plumbline_backend.importers.fits:FitsImporter",
        "images": "plumbline_backend.importers.images:ImageFolderImporter",
    },
)

TRANSFORMS = Registry(
    "transform",
    {
        "numeric": "plumbline_backend.pool.transforms.numeric:NumericTransform",
        "category": "plumbline_backend.pool.transforms.category:CategoryTransform",
        "text": "plumbline_backend.pool.transforms.text:TextTransform",
        "image": "plumbline_backend.pool.transforms.image:ImageTransform",
        "embedding": "plumbline_backend.pool.transforms.embedding:EmbeddingTransform",
    },
)

EXECUTORS = Registry(
    "executor",
    {
        "subprocess": "plumbline_backend.jobs.executors:SubprocessExecutor",
        "inline": "plumbline_backend.jobs.executors:InlineExecutor",
        "ray": "plumbline_backend.jobs.ray_executor:RayExecutor",
    },
)

LABEL_EXPORTERS = Registry(
    "label exporter",
    {
        "csv": "plumbline_backend.exporters.labels_csv:CsvLabels",
        "parquet": "plumbline_backend.exporters.labels_parquet:ParquetLabels",
        "jsonl": "plumbline_backend.exporters.labels_jsonl:JsonlLabels",
    },
)

GRADING_JUDGES = Registry(
    "judge kind",
    {
        "assertion": "plumbline_backend.judges.assertion:AssertionJudge",
        "head": "plumbline_backend.judges.head:HeadJudge",
        "llm": "plumbline_backend.judges.llm_judge:LlmJudge",
        "imported": "plumbline_backend.judges.imported:ImportedJudge",
    },
)

LLM_GRADERS = Registry(
    "LLM grader",
    {
        "binary": "plumbline_backend.judges.llm_binary:BinaryGrader",
        "rubric": "plumbline_backend.judges.rubric:RubricGrader",
        "checklist": "plumbline_backend.judges.checklist:ChecklistGrader",
        "pairwise": "plumbline_backend.judges.pairwise:PairwiseGrader",
        "committee": "plumbline_backend.judges.committee:CommitteeGrader",
    },
)
