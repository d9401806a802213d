"""Core-set selection by greedy k-centre."""

from __future__ import annotations

import numpy as np

from plumbline_backend.domain.asking import Need, PoolView, Ranking
from plumbline_backend.strategies.base import GREEDY, anchors, sample
from plumbline_backend.strategies.geometry import nearest, squares


class KCenter:
    """The item farthest from everything labelled, again and again. Source: Sener and Savarese 2018; Gonzalez 1985."""

    name = "k_center"
    needs: frozenset[Need] = frozenset({"features"})
    explanation = (
        "Asks the item that lies farthest from every labelled one, so that the whole pool is covered."
    )

    def pick(self, view: PoolView, n: int, rng: np.random.Generator) -> Ranking:
        """Utility: the distance to the nearest labelled or chosen item."""
        items, labelled = sample(view, rng), anchors(view, rng)
        rows = view.the_features().gather(np.concatenate([items, labelled]))
        rows -= rows.mean(axis=0)
        x, known = rows[: len(items)], rows[len(items) :]
        own = squares(x)
        left = nearest(x, known)[1] if len(known) else own.copy()
        chosen: list[int] = []
        utility: list[float] = []
        for _ in range(min(n, GREEDY, len(items))):
            row = int(left.argmax())
            chosen.append(row)
            utility.append(float(np.sqrt(max(left[row], 0))))
            np.minimum(left, np.maximum(own + own[row] - 2 * (x @ x[row]), 0), out=left)
            left[chosen] = -1
        rest = np.argsort(-left, kind="stable")[: min(n, len(items)) - len(chosen)]
        order = np.concatenate([np.array(chosen, dtype=np.int64), rest])
        far = np.concatenate([np.array(utility), np.sqrt(np.maximum(left[rest], 0))])
        return Ranking(items[order], far, "it lies far from everything that is labelled")
