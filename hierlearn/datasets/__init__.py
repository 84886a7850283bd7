"""Data sets with many classes, ready to decompose.

Two need no download: :func:`load_digits` and :func:`load_glyphs`, which draws characters on the
spot. :func:`make_class_hierarchy` plants classes in a tree, up to hundreds of thousands. The others
read standard downloads from a folder that you name; nothing is fetched.

:func:`load_bibtex`, :func:`load_delicious` and :func:`load_mulan` read sets with several labels a
sample, and :func:`load_cifar100` gives one with ``multilabel=True``; their targets are sparse
indicators of 0 and 1, with a column for each label.

Every loader returns a :class:`sklearn.utils.Bunch` with the same keys:

- ``data_train``, ``target_train``, ``data_test``, ``target_test``: the split that the set is
  known by, or an honest one;
- ``target_names``: name of each class, in the order of the sorted labels, which is the order of
  a fitted classifier's ``classes_``, or of each column of an indicator;
- ``groups``: dict from class label to the name of its group, in the form that
  :class:`hierlearn.TaxonomyPartitioner` takes, or None where no taxonomy is known;
- ``image_shape``: (channels, height, width), of sets of images only;
- ``DESCR``: what the set is and where it comes from.
"""

from hierlearn.datasets.cifar import load_cifar100
from hierlearn.datasets.class_hierarchy import make_class_hierarchy
from hierlearn.datasets.clinc import load_clinc150
from hierlearn.datasets.digits import load_digits
from hierlearn.datasets.glyphs import load_glyphs
from hierlearn.datasets.mulan import load_bibtex, load_delicious, load_mulan
from hierlearn.datasets.omniglot import load_omniglot

__all__ = [
    "load_bibtex",
    "load_cifar100",
    "load_clinc150",
    "load_delicious",
    "load_digits",
    "load_glyphs",
    "load_mulan",
    "load_omniglot",
    "make_class_hierarchy",
]
