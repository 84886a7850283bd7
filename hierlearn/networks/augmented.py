"""A trained network with specialist heads beside its own fully connected stack."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.dropout import _DropoutNd

from .heads import SpecialistHeads
from .taps import TappedNetwork


class AugmentedNetwork(nn.Module):
    """A trained network with specialist heads beside its own fully connected stack.

    Parameters
    ----------
    base : TappedNetwork
        The trained network. Its weights stay as they are unless ``fine_tuned``.
    classifier : {"reinitialise", "warm", "keep"}, default="reinitialise"
        What becomes of the classifier layer: drawn anew and trained with the heads, trained on
        from its present weights, or left alone so that heads add to the base's logits.
    evaluate : {"all"}, int or float, default="all"
        Which heads are evaluated for a sample, see :func:`visited_clusters`. The labels of the
        others keep the base's logits.
    multilabel : bool, default=False
        Whether posteriors are sigmoids.
    base_dropout : bool, default=True
        Whether the frozen base's dropout stays on while the heads are trained. Its features of
        rows that it has learnt are surer than those of new rows; dropout makes them alike.

    References
    ----------
    Warde-Farley, Rabinovich & Anguelov (2014), sec. 3 (training), sec. 6 (conditional computation,
    repeated augmentation).
    """

    def __init__(
        self,
        base: TappedNetwork,
        classifier: str = "reinitialise",
        evaluate: str | int | float = "all",
        multilabel: bool = False,
        base_dropout: bool = True,
    ) -> None:
        super().__init__()
        self.base = base
        self.evaluate = evaluate
        self.multilabel = multilabel
        self.base_dropout = base_dropout
        self.fine_tuned = False
        old = base.classifier
        self.n_outputs = old.out_features
        self.classifier: nn.Linear | None = None
        self._mode = classifier
        if classifier != "keep":
            bias = old.bias is not None
            self.classifier = nn.Linear(old.in_features, old.out_features, bias=bias).to(old.weight)
            if classifier == "warm":
                self.classifier.load_state_dict(old.state_dict())
        self.rounds = nn.ModuleList()

    @property
    def heads(self) -> list[SpecialistHeads]:
        """The heads of every round."""
        rounds: Any = self.rounds
        return list(rounds)

    def add_round(self, heads: SpecialistHeads) -> None:
        """Add the heads of a further partition; those there are keep their stacks from now on.

        Parameters
        ----------
        heads : SpecialistHeads
            Heads of the further partition.
        """
        for earlier in self.heads:
            earlier.freeze_stacks()
            if self._mode == "reinitialise":
                earlier.reset_output()
        if self.classifier is not None and self._mode == "reinitialise" and len(self.rounds):
            self.classifier.reset_parameters()
        if self._mode != "reinitialise":
            heads.clear_output()  # training starts from the logits that there are
        like = self.base.classifier.weight
        self.rounds.append(heads.to(device=like.device, dtype=like.dtype))

    def train(self, mode: bool = True) -> AugmentedNetwork:
        """Switch dropout and normalisation of what is trained; a frozen base stays as it is.

        Parameters
        ----------
        mode : bool, default=True
            Whether to train; False evaluates.

        Returns
        -------
        self : AugmentedNetwork
            The network itself.
        """
        super().train(mode)
        if not self.fine_tuned:
            self.base.eval()
            if self.base_dropout:
                for layer in dropout_layers(self.base):
                    layer.train(mode)
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Propagate a batch to logits of shape (n, n_outputs).

        Parameters
        ----------
        x : Tensor of shape (n, ...)
            A batch.

        Returns
        -------
        Tensor of shape (n, n_outputs)
            Its logits.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.fine_tuned):
            logits, attach, own = self.base(x, with_logits=self._needs_base_logits())
        return self.combine(attach, own, logits)

    def _needs_base_logits(self) -> bool:
        return self.classifier is None or self.evaluate != "all"

    def from_features(self, attach: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Compute logits from features of the frozen base that were computed before.

        Parameters
        ----------
        attach, own : Tensor
            See :class:`Tapped`.

        Returns
        -------
        Tensor of shape (n, n_outputs)
            Their logits.
        """
        logits = None
        if self._needs_base_logits():
            with torch.no_grad():
                logits = self.base.classifier(own)
        return self.combine(attach, own, logits)

    def combine(
        self, attach: torch.Tensor, own: torch.Tensor, logits: torch.Tensor | None
    ) -> torch.Tensor:
        """Add up what an output unit sees: its own stack and its clusters' heads.

        Parameters
        ----------
        attach, own : Tensor
            See :class:`Tapped`.
        logits : Tensor or None
            The base's; needed with ``classifier="keep"`` and where not all heads are evaluated.

        Returns
        -------
        Tensor of shape (n, n_outputs)
            The new logits.
        """
        if self.classifier is None or self.evaluate != "all":
            assert logits is not None, "the base's logits are part of the result"
            if self.evaluate != "all":
                return self._combine_visited(attach, own, logits)
            total = logits
        else:
            total = self.classifier(own)
        for heads in self.heads:
            total = total + heads(attach, self.n_outputs)
        return total

    def _combine_visited(
        self, attach: torch.Tensor, own: torch.Tensor, logits: torch.Tensor
    ) -> torch.Tensor:
        """Evaluate every head for the samples that visit it only.

        Heads are taken one after the other here: each has other samples, so that a batched product
        would be padded to the cluster that most samples visit.
        """
        seen = torch.zeros_like(logits, dtype=torch.bool)
        places, parts = [], []
        for heads, visits in zip(self.heads, self.visits(logits), strict=True):
            for head in visits.any(dim=0).nonzero().ravel().tolist():
                rows = visits[:, head].nonzero()
                codes = heads.codes_of(head)
                part = heads.one(attach[rows.ravel()], head)
                if self.classifier is not None:
                    part = part + self._own_part(self.classifier, own, seen, rows, codes)
                    seen[rows, codes] = True
                places.append((rows * self.n_outputs + codes).ravel())
                parts.append(part.ravel().to(logits.dtype))
        start = logits if self.classifier is None else logits.masked_fill(seen, 0.0)
        if not parts:  # nothing to learn from, but a loss to differentiate
            trained = [p for p in self.parameters() if p.requires_grad]
            return start + sum(p.sum() for p in trained) * 0
        added = start.flatten().index_add(0, torch.cat(places), torch.cat(parts))
        return added.reshape(logits.shape)

    def _own_part(
        self,
        classifier: nn.Linear,
        own: torch.Tensor,
        seen: torch.Tensor,
        rows: torch.Tensor,
        codes: torch.Tensor,
    ) -> torch.Tensor:
        """Return the own stack's part of some labels' logits, once for every label and sample."""
        bias = None if classifier.bias is None else classifier.bias[codes]
        part = functional.linear(own[rows.ravel()], classifier.weight[codes], bias)
        return part.masked_fill(seen[rows, codes], 0.0)

    def visits(self, logits: torch.Tensor) -> list[torch.Tensor]:
        """Return for every round which clusters each sample visits, bool (n, n_heads).

        Parameters
        ----------
        logits : Tensor of shape (n, n_outputs)
            The base's.

        Returns
        -------
        list of Tensor of bool, shape (n, n_heads)
            One for each round.
        """
        logits = logits.detach()
        posteriors = logits.sigmoid() if self.multilabel else logits.softmax(dim=1)
        return [
            visited_clusters(posteriors, heads.plan.members, self.evaluate) for heads in self.heads
        ]


def dropout_layers(module: nn.Module) -> list[nn.Module]:
    """Return the layers that drop anything at random in training."""
    return [layer for layer in module.modules() if isinstance(layer, _DropoutNd) and layer.p]


def visited_clusters(
    posteriors: torch.Tensor, members: Sequence[Sequence[int]], evaluate: str | int | float
) -> torch.Tensor:
    """Decide from the base's posteriors which clusters are worth evaluating.

    Parameters
    ----------
    posteriors : Tensor of shape (n, n_labels)
        Class or label posteriors.
    members : sequence of sequences of int
        Codes of the labels of each cluster.
    evaluate : {"all"}, int or float
        An int evaluates that many clusters, those whose labels carry most posterior mass; a float
        all whose mass is at least that.

    Returns
    -------
    Tensor of bool, shape (n, n_clusters)
        Whether each sample visits each cluster.

    Examples
    --------
    >>> import torch
    >>> posteriors = torch.tensor([[0.1, 0.6, 0.3], [0.8, 0.1, 0.1]])
    >>> visited_clusters(posteriors, [(0, 1), (2,)], 1).tolist()
    [[True, False], [True, False]]
    >>> visited_clusters(posteriors, [(0, 1), (2,)], 0.25).tolist()
    [[True, True], [True, False]]
    """
    shape = (len(posteriors), len(members))
    if evaluate == "all" or (isinstance(evaluate, Integral) and evaluate >= len(members)):
        return torch.ones(shape, dtype=torch.bool, device=posteriors.device)
    mass = posteriors.new_zeros(shape)
    for cluster, codes in enumerate(members):
        mass[:, cluster] = posteriors[:, list(codes)].sum(dim=1)
    if isinstance(evaluate, Integral):
        visits = torch.zeros(shape, dtype=torch.bool, device=posteriors.device)
        return visits.scatter_(1, mass.topk(int(evaluate), dim=1).indices, True)
    return mass >= float(evaluate)
