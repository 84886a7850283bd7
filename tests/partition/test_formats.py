"""Taxonomies out and in: networkx graphs, nested dicts, tables of paths, Newick text."""

import builtins
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hierlearn.exceptions import MissingExtraError, PartitionError
from hierlearn.partition import (
    ClassTree,
    ConfusionLinkagePartitioner,
    LabelPartition,
    TaxonomyPartitioner,
    partition_from_groups,
)

LABELS = {
    "codes": np.arange(5),
    "unsorted": np.array([7, 3, 9, 1, 5]),
    "strings": np.array(["ant", "bee", "cat", "dog", "eel"]),
    "objects": np.array(["ant", "bee", "cat", "dog", "eel"], dtype=object),
    "floats": np.array([-1.5, 0.0, 0.5, 2.0, 7.25]),
    "awkward": np.array(["a b", "it's", "[x]", "😀 (ok)", "under_score"]),
    "look-alikes": np.array(["null", "x:y", "1;2", "a,b", "{c}"]),
}
NAMES = ("the 'first'", "b [2]", "😀")

GIVEN = ClassTree.from_paths([("x", "u"), ("x", "u"), ("x",), ("y",), ("z", "v")])
LEARNT = ClassTree.from_linkage([[0, 1, 0.1, 2], [3, 4, 0.1, 2], [5, 2, 0.3, 3], [6, 7, 0.7, 5]])

SHAPES = {
    "plain": {"labels": [0, 0, 1, 1, 2]},
    "named": {"labels": [0, 0, 1, 1, 2], "names": NAMES},
    "numbered otherwise": {"labels": [2, 2, 0, 0, 1]},
    "one cluster": {"labels": [0] * 5},
    "classes alone": {"labels": [0, 1, 2, 3, 4]},
    "taxonomy": {"labels": [0, 0, 0, 1, 2], "tree": GIVEN, "names": ("x", "y", "z")},
    "linkage": {"labels": [0, 0, 0, 1, 1], "tree": LEARNT},
    "linkage of single classes": {"labels": [0, 0, 1, 2, 3], "tree": LEARNT, "names": "abcd"},
    "linkage in one": {"labels": [0] * 5, "tree": LEARNT},
    "tree of no more": {
        "labels": [0, 0, 1, 1, 1],
        "tree": ClassTree.from_paths([("a",), ("a",), ("b",), ("b",), ("b",)]),
    },
}


@pytest.fixture(params=LABELS)
def classes(request):
    return LABELS[request.param]


@pytest.fixture(params=SHAPES)
def partition(request, classes):
    return LabelPartition(classes, **SHAPES[request.param])


@pytest.fixture
def networkx():
    return pytest.importorskip("networkx", reason="needs hierlearn[graph]")


def _overlapping(partition, seed=0):
    extra = np.random.default_rng(seed).random(partition.membership.shape) < 0.4
    return replace(partition, membership=partition.membership.toarray() | extra)


# -- round trips ----------------------------------------------------------------------------


def test_graph_round_trip(partition, networkx):
    for original in (partition, _overlapping(partition)):
        restored = LabelPartition.from_networkx(original.to_networkx(), original.classes)
        assert restored == original
        assert restored.cluster_names == original.cluster_names
        assert restored.classes.dtype == original.classes.dtype


def test_graph_round_trip_through_json(partition, networkx):
    data = networkx.node_link_data(partition.to_networkx(), edges="edges")
    graph = networkx.node_link_graph(json.loads(json.dumps(data)), edges="edges")
    assert LabelPartition.from_networkx(graph, partition.classes) == partition


def test_newick_round_trip(partition):
    restored = LabelPartition.from_newick(partition.to_newick(), partition.classes)
    assert restored == partition
    assert restored.cluster_names == partition.cluster_names
    assert restored.classes.dtype == partition.classes.dtype


def test_dict_round_trips(partition):
    original = _overlapping(partition)
    for groups in (original.to_dict(), json.loads(json.dumps(original.to_dict()))):
        restored = LabelPartition.from_dict(groups, original.classes)
        assert restored == original
        assert restored.cluster_names == original.cluster_names
    below = LabelPartition.from_dict(original.to_dict(nested=True), original.classes)
    assert replace(below, tree=None) == replace(original, tree=None)


def test_paths_and_nested_dicts_hold_the_groups_below_the_clusters(classes):
    partition = LabelPartition(classes, **SHAPES["taxonomy"])
    for restored in (
        LabelPartition.from_paths(partition.to_paths(), classes),
        LabelPartition.from_dict(partition.to_dict(nested=True), classes),
    ):
        assert restored == partition
        assert restored.names == partition.names
        assert restored.tree.names == partition.tree.names


def test_paths_hold_the_clusters(partition):
    restored = LabelPartition.from_paths(partition.to_paths(), partition.classes)
    numbers = np.unique(partition.labels, return_index=True)[1]
    order = np.argsort(np.argsort(numbers))  # clusters are numbered by their first rows
    np.testing.assert_array_equal(restored.labels, order[partition.labels])


@pytest.mark.parametrize("tree", [GIVEN, LEARNT, ClassTree([-1]), ClassTree([2, 2, -1])], ids=repr)
def test_class_trees(tree, networkx):
    classes = np.array(["z z", "y", "it's", "_", "😀"])[: tree.n_classes]
    assert ClassTree.from_newick(tree.to_newick()) == tree
    assert ClassTree.from_newick(tree.to_newick(classes), classes) == tree
    assert ClassTree.from_networkx(tree.to_networkx()) == tree
    assert ClassTree.from_networkx(tree.to_networkx(classes), classes) == tree
    groups = ClassTree.from_paths(tree.to_paths())
    assert ClassTree.from_dict(tree.to_dict(classes), classes) == groups
    assert (groups == tree) == (tree.heights is None and tree.n_nodes > 1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rounded", [False, True], ids=["", "ties"])
def test_learnt_partitions(seed, rounded, networkx):
    confusion = np.random.default_rng(seed).random((20, 20)) * 3 + 0.01
    confusion = np.ceil(confusion) if rounded else confusion
    partition = ConfusionLinkagePartitioner(n_clusters=2 + 4 * seed).fit(confusion).partition_
    assert LabelPartition.from_newick(partition.to_newick(), partition.classes) == partition
    assert LabelPartition.from_networkx(partition.to_networkx()) == partition
    plain = ClassTree.from_newick(partition.tree.to_newick(annotate=False), partition.classes)
    assert sorted(plain.heights) == pytest.approx(sorted(partition.tree.heights))


@pytest.mark.parametrize("labels", [[True, False], [("x", 1), ("x", 2)], [None, "x"]], ids=repr)
def test_labels_of_other_kinds(labels, networkx):
    classes = np.empty(2, dtype=object)
    classes[0], classes[1] = labels
    partition = LabelPartition(classes, [1, 0], names=("p", "q"))
    assert LabelPartition.from_dict(partition.to_dict(), classes) == partition
    assert LabelPartition.from_newick(partition.to_newick(), classes) == partition
    if None not in labels:  # neither a graph nor a table has a place for it
        assert LabelPartition.from_networkx(partition.to_networkx(), classes) == partition
        rows = partition.to_paths().tolist()
        assert set(LabelPartition.from_paths(rows).classes.tolist()) == set(labels)


def test_a_deep_tree_is_no_recursion(networkx):
    n_classes = 3000
    merges = [[n_classes + i - 1 if i else 0, i + 1, i + 1, i + 2] for i in range(n_classes - 1)]
    tree = ClassTree.from_linkage(merges)
    assert ClassTree.from_newick(tree.to_newick(), np.arange(n_classes)) == tree
    assert ClassTree.from_networkx(tree.to_networkx()) == tree


# -- what is written ------------------------------------------------------------------------


def test_newick_quotes_what_the_standard_demands():
    names = ["plain", "a b", "it's", "x_1", "(x)", "[x]", "a:b", "a;b", "a,b", "", "é😀"]
    partition = LabelPartition(names, [0] * len(names), names=["a cluster"])
    assert partition.to_newick(annotate=False) == (
        "((plain,'a b','it''s','x_1','(x)','[x]','a:b','a;b','a,b','',é😀)'a cluster');"
    )


def test_newick_lengths_are_differences_of_heights():
    written = LEARNT.to_newick(list("abcde"), annotate=False)
    read = ClassTree.from_newick(written)
    assert read.heights.tolist() == pytest.approx(LEARNT.heights.tolist())
    assert ":0.1" in written


def test_paths_are_padded_at_the_end():
    taxonomy = {"pets": {"cats": ["manx"], "": ["dog"]}, "cars": ["bus"]}
    paths = LabelPartition.from_dict(taxonomy).to_paths()
    assert paths.dtype.kind == "U"
    assert paths.tolist() == [["cars", "bus", ""], ["pets", "dog", ""], ["pets", "cats", "manx"]]


def test_paths_of_numbers_keep_them():
    assert LabelPartition([3, 1], [0, 1]).to_paths().tolist() == [
        ["cluster_0", 3],
        ["cluster_1", 1],
    ]


def test_graph_names_do_not_collide(networkx):
    partition = LabelPartition(["a", "root"], [0, 1], names=("a", "root"))
    graph = partition.to_networkx()
    assert list(graph.nodes) == ["a", "root", "a_", "root_", "root__"]
    assert LabelPartition.from_networkx(graph) == partition
    assert LabelPartition.from_networkx(graph).names == ("a", "root")


def test_graph_is_a_tree_from_root_to_classes(partition, networkx):
    graph = partition.to_networkx()
    assert networkx.is_arborescence(graph)
    leaves = [node for node in graph if graph.out_degree(node) == 0]
    assert set(leaves) == set(partition.classes.tolist())
    assert networkx.is_directed_acyclic_graph(_overlapping(partition).to_networkx())


def test_to_networkx_without_networkx(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "networkx":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r'pip install "hierlearn\[graph\]"'):
        LabelPartition([0, 1], [0, 1]).to_networkx()


@pytest.mark.parametrize("write", [LabelPartition.to_newick, LabelPartition.to_paths])
def test_overlap_needs_a_word(write):
    partition = LabelPartition([0, 1, 2], [0, 0, 1], [[1, 0], [1, 1], [0, 1]])
    with pytest.raises(PartitionError, match=r"overlap='primary'.*Got 1 further"):
        write(partition)
    alone = replace(partition, membership=None)
    np.testing.assert_array_equal(write(partition, overlap="primary"), write(alone))
    with pytest.raises(ValueError, match="overlap must be one of 'primary', 'raise'"):
        write(partition, overlap="all")


@pytest.mark.parametrize(
    "write",
    [
        LabelPartition.to_newick,
        LabelPartition.to_paths,
        LabelPartition.to_networkx,
        lambda partition: partition.to_dict(nested=True),
    ],
    ids=["newick", "paths", "networkx", "dict"],
)
def test_clusters_across_branches_have_no_place(write):
    partition = LabelPartition(np.arange(5), [0, 1, 0, 1, 1], tree=LEARNT)
    with pytest.raises(PartitionError, match=r"branch for every cluster.*\['cluster_0'"):
        write(partition)


def test_texts_must_differ():
    classes = np.array([1, "1"], dtype=object)
    with pytest.raises(PartitionError, match=r"differ as text.*Got 1 and '1'"):
        LabelPartition(classes, [0, 0]).to_newick()


def test_empty_names_have_no_place_in_a_table():
    with pytest.raises(PartitionError, match="names must not be empty"):
        LabelPartition(["a", ""], [0, 0]).to_paths()


# -- what others write ----------------------------------------------------------------------


def test_newick_of_other_programs():
    text = "((Homo_sapiens:1,'Pan troglodytes':1.0)[100]apes:2e0,\n [a comment] gibbon:3)root:0;"
    partition = LabelPartition.from_newick(text)
    assert partition.to_dict(nested=True) == {
        "apes": ["Homo sapiens", "Pan troglodytes"],
        "gibbon": ["gibbon"],
    }
    assert partition.tree.heights.tolist() == [0, 0, 0, 1, 3]
    kept = LabelPartition.from_newick(text, underscores_are_blanks=False)
    assert "Homo_sapiens" in kept.classes


def test_level_of_the_clusters():
    text = "(((a,b)x,(c)y)p,(d)q,e)r;"
    at = [LabelPartition.from_newick(text, level=level) for level in (1, 2, 3)]
    assert [part.names for part in at] == [("p", "q", "e"), ("x", "y", "d", "e"), tuple("abcde")]
    with pytest.raises(PartitionError, match=r"level must be an integer of at least 1.*Got 0"):
        LabelPartition.from_newick(text, level=0)


def test_hierarchical_y_of_samples():
    y = [["pets", "cat"], ["cars", "bus"], ["pets", "cat"], ["pets", "dog"]]
    wanted = LabelPartition.from_dict({"pets": ["cat", "dog"], "cars": ["bus"]})
    for table in (y, np.array(y), pd.DataFrame(y), [("pets", "cat", None), *y]):
        assert LabelPartition.from_paths(table) == wanted


def test_paths_as_text_of_classes_that_are_numbers():
    table = LabelPartition([10, 9], [0, 1]).to_paths().astype(str)
    assert LabelPartition.from_paths(table, [10, 9]).classes.tolist() == [10, 9]


def test_graph_of_other_programs(networkx):
    edges = [("animals", "cat"), ("animals", "dog"), ("machines", "bus"), ("machines", "dog")]
    partition = LabelPartition.from_networkx(networkx.DiGraph(edges))
    assert partition.to_dict() == {
        "machines": {"primary": ["bus"], "also": ["dog"]},
        "animals": ["cat", "dog"],
    }
    graph = networkx.DiGraph(edges)
    graph.edges["machines", "dog"]["primary"] = True
    assert LabelPartition.from_networkx(graph).to_dict()["machines"] == ["bus", "dog"]
    labelled = networkx.DiGraph([(0, 1), (0, 2)])
    networkx.set_node_attributes(labelled, {1: "one", 2: "two"}, "label")
    assert LabelPartition.from_networkx(labelled).classes.tolist() == ["one", "two"]


@pytest.mark.parametrize("form", ["paths", "newick", "graph", "tree", "partition", "rows"])
def test_one_door_for_all_forms(form, networkx):
    wanted = LabelPartition([1, 2, 3], [0, 0, 1], names=("a", "b"))
    groups = {
        "paths": wanted.to_paths(),
        "rows": [["a", 1], ["a", 2], ["b", 3], ["b", 4]],
        "newick": wanted.to_newick(),
        "graph": wanted.to_networkx(),
        "tree": ClassTree.from_paths([("a",), ("a",), ("b",)]),
        "partition": wanted,
    }[form]
    partition = partition_from_groups(groups, [1, 2, 3])
    assert replace(partition, tree=None) == wanted
    assert partition.cluster_names == ("a", "b")
    fitted = TaxonomyPartitioner(groups).fit(None, [3, 1, 2, 2])
    assert fitted.partition_ == partition


# -- faults ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newick", "message"),
    [
        ("((a,b);", "close every parenthesis. Got the end of the tree at character 7"),
        ("(a,b));", r"open every parenthesis that it closes. Got '\)' at character 6"),
        ("a,b;", "open every parenthesis.*Got ',' at character 2"),
        ("(a,b)", "end with a semicolon.*Got no semicolon at character 5"),
        ("(a,(b,c)", "Got an open parenthesis at character 8"),
        ("(a,,b);", "name every leaf. Got a leaf without a name at character 4"),
        ("", "end with a semicolon"),
        (";", "name every leaf"),
        ("(a,b,a);", r"name every class once. Got 'a' \(as at character 2\) at character 6"),
        ("(a b,c);", "one name a node, with quotes.*Got 'b' at character 4"),
        ("(a,b)x(c);", r"a comma between nodes. Got '\(' at character 7"),
        ("(a,b);(c);", "hold one tree. Got .* after the semicolon at character 7"),
        ("(a:1,b);", "length to every branch or to none. Got .* at character 6"),
        ("(a:x,b:1);", "one length of at least 0 after a colon. Got 'x' at character 4"),
        ("(a:-1,b:1);", "Got '-1' at character 4"),
        ("(a:1:2,b:1);", "Got '2' at character 6"),
        ("(a,'b);", "quotes in pairs. Got .* at character 4"),
        ("(a,[b);", "comments that end. Got .* at character 4"),
        ("(a,b]);", "brackets in pairs. Got .* at character 5"),
        ("(a[&cluster=x],b);", "numbers in the comments.*Got 'x'"),
        ("((a)[&cluster=0],(b)[&cluster=2]);", "numbered from 0 on"),
        ("((a)[&cluster=0],b);", "clusters must take in every class.*Got none above 'b'"),
        (b"(a);", "must be text.*Got bytes"),
    ],
)
def test_faults_of_newick(newick, message):
    with pytest.raises(PartitionError, match=message) as caught:
        LabelPartition.from_newick(newick)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one class"),
        ([["a", "x"], ["", ""]], "empty cells at the end.*Got row 1"),
        ([["a", "x"], ["", "y"]], r"Got row 1, \['', 'y'\]"),
        ([["a", "x"], ["b", "x"]], "Got 'x' in row 0 and, otherwise, in row 1"),
        ([["a", "x"], ["a", "x", "y"]], "must not end in a group.*Got 'x' in row 0"),
        (["abc"], "must be rows of names. Got 'abc' as row 0"),
        (np.array(["a", "b"]), r"paths must be 2-D.*Got shape \(2,\)"),
    ],
)
def test_faults_of_tables(rows, message):
    with pytest.raises(PartitionError, match=message):
        LabelPartition.from_paths(rows)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([], "a node for each class"),
        ([("a", "b"), ("b", "a")], r"not have a cycle.*through \['[ab]', '[ab]'\]"),
        ([("r", "x"), ("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")], "one through .*'[abc]'"),
        ([("a", "a")], r"cycle.*\['a'\]"),
        ([("p", "g"), ("q", "g"), ("g", "x")], r"one parent. Got \['p', 'q'\] above 'g'"),
        (
            [("r", "c"), ("c", "g"), ("c", "x"), ("g", "x"), ("g", "z")],
            "parents in different clusters.*Got 'x'",
        ),
        ([("c", "x"), ("r", "c"), ("r", "x"), ("r", "d"), ("d", "y")], "Got 'x'.* or one in none"),
        ([("r", "x"), ("r", "c"), ("c", "x"), ("r", "y")], r"every group.*Got none for \['c'\]"),
    ],
)
def test_faults_of_graphs(edges, message, networkx):
    with pytest.raises(PartitionError, match=message) as caught:
        LabelPartition.from_networkx(networkx.DiGraph(edges))
    assert "\n" not in str(caught.value)


def test_other_faults_of_graphs(networkx):
    with pytest.raises(PartitionError, match=r"must be a networkx DiGraph.*Got Graph"):
        LabelPartition.from_networkx(networkx.Graph([(0, 1)]))
    with pytest.raises(PartitionError, match="Got dict"):
        LabelPartition.from_networkx({"a": ["b"]})
    graph = networkx.DiGraph([(0, 1), (0, 2)])
    graph.nodes[1]["height"] = 1.0
    with pytest.raises(PartitionError, match=r"height to every node or to none.*at \[0, 2\]"):
        LabelPartition.from_networkx(graph)
    networkx.set_node_attributes(graph, "x", "label")
    with pytest.raises(PartitionError, match=r"one node for each class.*labelled 'x'"):
        LabelPartition.from_networkx(graph)
    with pytest.raises(PartitionError, match=r"one parent in a tree.*Got several above 'x'"):
        ClassTree.from_networkx(networkx.DiGraph([("a", "x"), ("b", "x"), ("b", "y"), ("a", "z")]))


@pytest.mark.parametrize(
    "read",
    [
        lambda classes: LabelPartition.from_newick("((a,b),(c));", classes),
        lambda classes: LabelPartition.from_paths([["x", "a"], ["x", "b"], ["y", "c"]], classes),
        lambda classes: ClassTree.from_dict({"x": ["a", "b"], "y": ["c"]}, classes),
    ],
    ids=["newick", "paths", "dict"],
)
def test_classes_must_be_those_of_the_taxonomy(read):
    with pytest.raises(PartitionError, match=r"\['d'\] without a leaf and leaves \['c'\] of no"):
        read(["a", "b", "d"])
    with pytest.raises(PartitionError, match=r"\['d'\] without a leaf"):
        read(["a", "b", "c", "d"])
    with pytest.raises(PartitionError, match=r"leaves \['c'\] of no class"):
        read(["a", "b"])


def test_a_tree_names_a_class_once():
    with pytest.raises(PartitionError, match=r"once in a tree. Got 'a' again in group 'y'"):
        ClassTree.from_dict({"x": ["a"], "y": ["a", "b"]})


def test_names_of_a_tree():
    tree = ClassTree([3, 3, 4, 4, -1], names=("pets", ""))
    assert tree.names == ("pets", "")
    assert tree == ClassTree([3, 3, 4, 4, -1])
    assert tree.reorder_leaves(np.array([2, 0, 1])).names == tree.names
    assert ClassTree([2, 2, -1], names=[""]).names is None
    with pytest.raises(PartitionError, match=r"each of the 2 inner nodes. Got 1"):
        ClassTree([3, 3, 4, 4, -1], names=("pets",))
    with pytest.raises(PartitionError, match=r"each of the 5 leaves. Got 3"):
        LEARNT.to_newick(["a", "b", "c"])
