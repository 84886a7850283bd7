"""Whether heads did harm, told by rows that were held out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics import average_precision_at_k

# The paper's: labels ranked below do not count.
_MOST_RANKED = 50


def warn_if_worse(before: NDArray[Any], after: NDArray[Any], target: Any) -> None:
    """Warn where the augmented network ranks held-out rows worse than its base.

    Parameters
    ----------
    before, after : ndarray of shape (n_samples, n_classes)
        Posteriors of the base and of the augmented network.
    target : ndarray of shape (n_samples,), or csr indicator of shape (n_samples, n_classes)
        What is true.

    Warns
    -----
    UserWarning
        If the mean average precision has fallen by more than two standard errors, paired by sample.
    """
    k = min(_MOST_RANKED, before.shape[1])
    old, new = (
        average_precision_at_k(target, scores, k, average=None) for scores in (before, after)
    )
    change = (new - old)[~np.isnan(old)]
    if len(change) < 2 or change.mean() + 2 * change.std(ddof=1) / np.sqrt(len(change)) >= 0:
        return
    warnings.warn(
        "The heads did harm: the mean average precision of X_val fell from "
        f"{np.nanmean(old):.3f} to {np.nanmean(new):.3f}. Give more head_epochs, another head_lr, "
        "or classifier='warm' or 'keep', which start from the base's logits.",
        UserWarning,
        stacklevel=3,
    )
