"""What each setting of a head is called, how far it goes, and what it does, in a sentence for who sets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from plumbline_backend.heads.class_sampling import LOSSES
from plumbline_backend.heads.goals import METRICS
from plumbline_backend.heads.neighbours import EXPONENTS


class Told(NamedTuple):
    """A setting in words. low, high: the numbers that it may take, None where there is no bound but being finite;
    choices: the only values it may take, None for numbers in a range; default: the default in words where a number
    would not tell."""

    title: str
    meaning: str
    low: float | None = None
    high: float | None = None
    choices: Sequence[str | int] | None = None
    default: str = ""


_STEPS = Told("Steps at most", "A training that takes more steps is stopped there, and says so.", 1, 100_000)
_TOLERANCE = Told(
    "Tolerance", "How near to the optimum a training goes; smaller is nearer and slower.", 1e-12, 0.1
)
_FEW = Told(
    "New below", "A class with no more labels than this counts as new, while others have many.", 1, 10_000
)
_RATE = Told(
    "Step length", "How far each step goes; longer ones learn faster and may never settle.", 1e-6, 100
)

TOLD: Mapping[str, Told] = {
    "l2": Told(
        "Penalty (L2)",
        "Holds the weights back (scikit-learn's 1/C): larger for few or noisy labels, smaller for many clean ones.",
        0,
        1e9,
    ),
    "tolerance": _TOLERANCE,
    "max_iterations": _STEPS,
    "z_regularization": Told(
        "Size of the logits", "Keeps the logits near zero, so that probabilities are less extreme.", 0, 100
    ),
    "scale": Told(
        "Scale",
        "What the cosines are multiplied with: a larger one gives surer probabilities.",
        0,
        1e4,
        default="by the number of classes (0)",
    ),
    "margin": Told(
        "Margin",
        "Taken off the right class's cosine while learning, so that classes come to lie apart (CosFace).",
        0,
        1,
    ),
    "shrinkage": Told(
        "Shrinkage",
        "How far the common covariance is drawn to a round one: 0 not at all, 1 altogether.",
        -1,
        1,
        default="by the number of labels (-1)",
    ),
    "widths": Told(
        "Hidden layers", "Units of each of up to three layers, with commas, such as 256, 128.", 1, 4096
    ),
    "weight_decay": Told(
        "Weight decay", "Draws the weights to zero in every step: more against overfitting.", 0, 10
    ),
    "max_epochs": Told(
        "Epochs at most",
        "Passes over the labels; a training ends sooner when held-out labels gain no more.",
        1,
        10_000,
    ),
    "prior_items": Told(
        "Lean on all classes",
        "A class's variances lean on the common ones as if it had so many more labels.",
        0,
        1e6,
    ),
    "smoothing": Told(
        "Smoothing", "Added to every count (Laplace), so that nothing unseen is impossible.", 1e-9, 1e6
    ),
    "k_nearest.k": Told(
        "Neighbours", "How many labelled items vote.", 0, 10_000, default="chosen by leaving each out (0)"
    ),
    "exponent": Told(
        "Exponent",
        "How fast a vote falls with distance.",
        choices=(0, *EXPONENTS),
        default="chosen by leaving each out (0)",
    ),
    "n_trees": Told("Trees", "More trees are steadier and slower.", 1, 5_000),
    "min_leaf": Told(
        "Labels in a leaf", "At least so many labels end in a leaf: more against overfitting.", 1, 10_000
    ),
    "n_rounds": Told("Rounds", "Trees for each class, each mending what is left.", 1, 5_000),
    "learning_rate": Told("Learning rate", "How much of the error each tree mends.", 1e-4, 1),
    "dimensions": Told(
        "Dimensions", "Of the space in which the classes lie; fewer make a smaller head.", 2, 4096
    ),
    "trivial": Told("Typical items", "Prototypes of each class that lie nearest to its mean.", 1, 100),
    "support": Told("Borderline items", "Prototypes of each class that lie towards another one.", 0, 100),
    "alpha": Told("Reach", "How far labels spread along neighbours, above 0 and below 1.", 1e-6, 0.999999),
    "share": Told(
        "Weight of the spread", "Of all spread labels together, in multiples of the given ones.", 0, 100
    ),
    "vectors": Told(
        "Vectors of an item", "How many vectors the columns hold, one after the other.", 1, 100_000
    ),
    "probes": Told("Probes", "Directions in which the vectors' spread is taken.", 1, 4096),
    "softness": Told(
        "Softness", "How far a label counts for the levels beside it, in levels; 0: not at all.", 0, 100
    ),
    "lean": Told("Lean", "How far a new class's mean leans towards the old classes that it resembles.", 0, 1),
    "tau": Told(
        "Sharpness of resemblance", "A larger one leans on the most similar old classes only.", 1e-6, 1e4
    ),
    "few": _FEW,
    "metric": Told("Metric", "What is made as large as possible.", choices=METRICS),
    "sharpness": Told(
        "Sharpness", "How near to yes and no the probabilities are taken for the metric.", 1e-6, 1e4
    ),
    "gradient_weight": Told(
        "Weight of gradients", "How much groups must agree in what they would change.", 0, 1e6
    ),
    "hessian_weight": Told("Weight of curvature", "How much groups must agree in how that changes.", 0, 1e6),
    "epochs": Told("Epochs", "Passes over the labels.", 1, 10_000),
    "rate": _RATE,
    "a": Told("Slope", "How sharply the loss falls where the right class stands out enough.", 1e-6, 1e3),
    "b": Told(
        "Stand out by", "Deviations above the mean logit that the right class should reach.", -1e3, 1e3
    ),
    "loss": Told("Loss", "What a batch is learned by.", choices=LOSSES),
    "sampled_softmax.k": Told("Among the first", "For soft_top_k: how many answers may be given.", 1, 10_000),
    "batch": Told("Items of a batch", "More are steadier and take more memory.", 1, 100_000),
    "n_sampled": Told(
        "Other classes of a batch", "Drawn at random; more are nearer to the full softmax.", 1, 1_000_000
    ),
    "correction": Told(
        "Classes not said",
        "A class not said but likely is learned as a yes of this weight; 0: left out.",
        0,
        1,
    ),
    "focus": Told("Easy labels", "How much less labels count that are right already; 0: fully.", 0, 10),
    "balance": Told(
        "Rare classes", "How much more a yes of a rare class counts: 0 not, 1 as often as not.", 0, 1
    ),
    "mix": Told("Mixed items", "Items made of two others, per item.", 0, 10),
}
"""By the setting's name, or "head.setting" where the name means something else in another head."""
