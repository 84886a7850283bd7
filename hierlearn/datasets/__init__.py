"""Data sets with many classes, ready to decompose.

Two need no download: :func:`load_digits` and :func:`load_glyphs`, which draws characters on the
spot. The others read standard downloads from a folder that you name; nothing is fetched.

Every loader returns a :class:`sklearn.utils.Bunch` with the same keys:

- ``data_train``, ``target_train``, ``data_test``, ``target_test``: the split that the set is
  known by, or an honest one;
- ``target_names``: name of each class, in the order of the sorted labels, which is the order of
  a fitted classifier's ``classes_``;
- ``groups``: dict from class label to the name of its group, in the form that
  :class:`hierlearn.TaxonomyPartitioner` takes, or None where no taxonomy is known;
- ``image_shape``: (channels, height, width), of sets of images only;
- ``DESCR``: what the set is and where it comes from.
"""

from hierlearn.datasets.cifar import load_cifar100
from hierlearn.datasets.clinc import load_clinc150
from hierlearn.datasets.digits import load_digits
from hierlearn.datasets.glyphs import load_glyphs
from hierlearn.datasets.omniglot import load_omniglot

__all__ = ["load_cifar100", "load_clinc150", "load_digits", "load_glyphs", "load_omniglot"]
