"""AdamW that moves only the rows of a weight that a step has touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

# Elements moved at a time: what is read and written of a piece stays in the cache of a core.
_PIECE = 2**16


class LazyAdamW(torch.optim.AdamW):
    """AdamW whose steps over sparse gradients cost what the touched rows cost.

    Where the gradient of a parameter is sparse, its rows that occur in the gradient are moved and
    decayed, and only their averages are brought up to date; each row counts its own steps for the
    correction of the bias. Other parameters are moved as by :class:`torch.optim.AdamW`.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them.
    lr : float, default=1e-3
        Learning rate.
    betas : tuple of float, default=(0.9, 0.999)
        Decay of the averages of gradients and of their squares.
    eps : float, default=1e-8
        Added to the root of the average of squares.
    weight_decay : float, default=0.01
        Decoupled weight decay.

    References
    ----------
    Loshchilov & Hutter, Decoupled weight decay regularization, ICLR 2019.

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.lazy_adam import LazyAdamW
    >>> table = torch.nn.Embedding(3, 2, sparse=True)
    >>> before = table.weight.detach().clone()
    >>> optimizer = LazyAdamW(table.parameters())
    >>> table(torch.tensor([1])).sum().backward()
    >>> optimizer.step()
    >>> (table.weight != before).any(dim=1).tolist()
    [False, True, False]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the parameters.

        Parameters
        ----------
        closure : callable or None, default=None
            Computes the loss and its gradients anew.

        Returns
        -------
        loss
            What ``closure`` returns.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        sparse = []
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is not None and gradient.is_sparse:
                    self._move_rows(parameter, gradient, group)
                    sparse.append((parameter, gradient))
                    parameter.grad = None  # for the dense step, which passes over it
        super().step()
        for parameter, gradient in sparse:
            parameter.grad = gradient
        return loss

    def _move_rows(
        self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]
    ) -> None:
        state = self.state[parameter]
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
            state["row_steps"] = torch.zeros(
                len(parameter), dtype=parameter.dtype, device=parameter.device
            )
        if not gradient.is_coalesced():
            rows = gradient._indices()[0]
            if len(rows.unique()) < len(rows):
                gradient = gradient.coalesce()
        rows, values = gradient._indices()[0], gradient._values()
        state["row_steps"][rows] += 1
        piece = max(1, _PIECE // max(values[:1].numel(), 1))
        for start in range(0, len(rows), piece):
            part = slice(start, start + piece)
            _move(parameter, rows[part], values[part], state, group)


def _move(
    parameter: torch.Tensor,
    rows: torch.Tensor,
    gradient: torch.Tensor,
    state: dict[str, torch.Tensor],
    group: dict[str, Any],
) -> None:
    beta1, beta2 = group["betas"]
    shape = (-1, *(1 for _ in parameter.shape[1:]))
    steps = state["row_steps"][rows].view(shape)
    mean = state["exp_avg"][rows].lerp_(gradient, 1 - beta1)
    square = state["exp_avg_sq"][rows].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    state["exp_avg"].index_copy_(0, rows, mean)
    state["exp_avg_sq"].index_copy_(0, rows, square)
    root = square.sqrt_().div_((1 - beta2**steps).sqrt_()).add_(group["eps"])
    moved = parameter[rows].mul_(1 - group["lr"] * group["weight_decay"])
    moved.sub_(mean.div_(root).mul_(group["lr"] / (1 - beta1**steps)))
    parameter.index_copy_(0, rows, moved)
