"""What do the networks of adaptive hierarchical decomposition weigh?

Prints the paper's memory tables (12 to 16), computed from the layer descriptions, with
multiply-adds beside them and the paper's own figures where ours differ. Nothing is trained.

    python benchmarks/memory_tables.py
"""

from itertools import chain

from hierlearn.memory import memory_table

# Classes that each network tells apart: all of ImageNet, its clusters, those of the largest one.
CLASSES = {"cnn_tl_1": 1000, "cnn_tl_2": 89, "cnn_tl_3": 89, "cnn_tl_4": 41, "cnn_tl_5": 41}
APPENDIX = {
    "cnn_tl_1": ("Table 14, flat network", 238.32),
    "cnn_tl_3": ("Table 15, hierarchy classifier", 103.36),
    "cnn_tl_5": ("Table 16, class assignment classifier", 54.84),
}
# Megabytes of parameters, of data for 50 images, and of both, as printed in Table 12.
TABLE_12 = {
    "cnn_tl_1": (232.03, 314.5, 546.53),
    "cnn_tl_2": (169.1, 314, 483.1),
    "cnn_tl_3": (97.1, 313, 410.1),
    "cnn_tl_4": (84.56, 312, 396.56),
    "cnn_tl_5": (48.56, 311, 359.56),
}
BATCH = 50
_VGG_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
_VGG_MAPS = ((*[f"conv 3x3|{maps}"] * n_layers, "pool 2") for maps, n_layers in _VGG_BLOCKS)
VGG_16 = (*chain.from_iterable(_VGG_MAPS), "fc 4096", "fc 4096")


def table_of(name):
    return memory_table(name, n_outputs=CLASSES[name])


def print_appendix():
    for name, (title, theirs) in APPENDIX.items():
        table = table_of(name)
        print(f"{title} ({name}): {table.printed_total():.2f} MB, the paper {theirs:.2f} MB")
        print(table, end="\n\n")


def print_table_12():
    print(f"Table 12, a batch of {BATCH}, ours (the paper's)")
    print(f"{'':<9} {'params MB':>19} {'data MB':>19} {'total MB':>19} {'mult-adds':>14}")
    for name, theirs in TABLE_12.items():
        table = table_of(name)
        parameters = table.printed_parameters
        ours = (parameters, BATCH * table.printed_data, table.printed_total(BATCH))
        cells = (f"{a:.2f} ({b:.2f})" for a, b in zip(ours, theirs, strict=True))
        print(f"{name:<9}", *(f"{c:>19}" for c in cells), f"{table.multiply_adds:>14,.0f}")
    print()


def table_13():
    """Return (model, megabytes as we count them, megabytes as the paper says)."""
    flat, gate, fine = (table_of(f"cnn_tl_{number}") for number in (1, 3, 5))
    largest = table_of("cnn_tl_2")
    # One after the other in the same memory: the data of the larger network alone counts.
    hierarchical = gate.printed_total(BATCH) + fine.printed_parameters
    adaptive = gate.printed_parameters + largest.printed_total(BATCH)
    return [
        ("VGG-f", flat.printed_total(BATCH), 546),
        ("hierarchical", hierarchical, 458.66),
        ("adaptive", adaptive, 580.2),
        ("VGG-16", memory_table(VGG_16).printed_total(BATCH), 4134),
        ("HD-CNN", float("nan"), 6863),
    ]


def print_table_13():
    print(f"Table 13, a batch of {BATCH}, MB")
    for model, ours, theirs in table_13():
        print(f"{model:<13} {ours:>9.2f} {theirs:>9.2f}")


if __name__ == "__main__":
    print_appendix()
    print_table_12()
    print_table_13()
