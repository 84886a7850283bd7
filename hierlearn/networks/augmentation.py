"""Random changes of training images that leave their class as it is."""

from __future__ import annotations

from collections.abc import Sequence

import torch

AUGMENTATIONS = ("crop", "flip")
# A crop moves by up to an eighth of a side: 4 pixels of 32, as is usual for CIFAR.
_SHIFT = 8


class Augmentation:
    """Flip and shift the images of a batch, each by its own lot.

    Lots are drawn from torch's generator of the batch's device, so that a fit, which sets its own
    seed, draws the same ones every time.

    Parameters
    ----------
    names : sequence of str
        ``"flip"`` mirrors half the images left to right. ``"crop"`` pads every image by an eighth
        of each side (at least one pixel where there are two), repeating the outermost pixels, and
        cuts out a window of the old size anywhere.

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> import torch
    >>> from hierlearn.networks.augmentation import Augmentation
    >>> augment = Augmentation(["flip", "crop"])
    >>> augment(torch.rand(8, 3, 32, 32)).shape
    torch.Size([8, 3, 32, 32])
    """

    def __init__(self, names: Sequence[str]) -> None:
        unknown = names if isinstance(names, str) else [n for n in names if n not in AUGMENTATIONS]
        if unknown:
            raise ValueError(
                f"augment must be a list of some of {', '.join(map(repr, AUGMENTATIONS))}. Got "
                f"{names!r} instead; () leaves the images as they are."
            )
        self.names = tuple(names)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return a changed copy of images of shape (n, channels, h, w), any dtype."""
        if not self.names:
            return images
        return self._changed(images, torch.rand(len(images), 1, device=images.device) < 0.5)

    def view(self, images: torch.Tensor, number: int) -> torch.Tensor:
        """Return one of several versions of the same images, to be kept.

        Number 0 is the images themselves; among the others every second is mirrored, all of its
        images alike, so that few versions show what chance would in many.

        Parameters
        ----------
        images : Tensor of shape (n, c, h, w)
            The images.
        number : int
            Which version, from 0.

        Returns
        -------
        view : Tensor of shape (n, c, h, w)
            The version; for number 0 the images themselves.
        """
        if number == 0 or not self.names:
            return images
        return self._changed(images, torch.tensor(number % 2 == 1, device=images.device))

    def _changed(self, images: torch.Tensor, mirrored: torch.Tensor) -> torch.Tensor:
        n, _, height, width = images.shape
        device = images.device
        rows = torch.arange(height, device=device).expand(n, height)
        columns = torch.arange(width, device=device).expand(n, width)
        if "flip" in self.names:
            columns = torch.where(mirrored, width - 1 - columns, columns)
        if "crop" in self.names:
            rows, columns = _shifted(rows, height), _shifted(columns, width)
        # One gathering does both; it leaves channels last, which convolutions work fastest on.
        image = torch.arange(n, device=device)[:, None, None]
        picked = images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
        return picked.permute(0, 3, 1, 2)


def _shifted(positions: torch.Tensor, side: int) -> torch.Tensor:
    """Move every image's positions along one side; those beyond it take the outermost."""
    reach = max(side // _SHIFT, int(side > 1))
    size = (len(positions), 1)
    by = torch.randint(-reach, reach + 1, size, device=positions.device)
    return (positions + by).clamp(0, side - 1)
