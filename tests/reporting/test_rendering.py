"""The page: well formed, in one piece, escaped, small, and the same for the same input."""

import base64
import hashlib
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

import hierlearn
from hierlearn.exceptions import MissingExtraError
from hierlearn.reporting import gather, render, report
from hierlearn.reporting.rendering import script_json

pytest.importorskip("jinja2", reason="Jinja2 renders reports")


@pytest.fixture(scope="module")
def html(fitted, test):
    return render(gather(fitted, *test, image_shape=(8, 8)))


def test_page_is_well_formed_and_its_links_lead_somewhere(html, page):
    found = page(html)
    assert len(found.ids) == len(set(found.ids))
    for link in found.all("a"):
        assert link["href"][0] == "#"
        assert link["href"][1:] in found.ids
    assert all("alt" in image for image in found.all("img"))


def test_page_holds_every_section(html, page):
    found = page(html)
    assert {"gain", "classes", "confusion", "clusters", "settings"} <= set(found.ids)
    assert sum("cluster" in details.get("class", "") for details in found.all("details"))
    assert len(found.all("noscript")) == 1


def test_nothing_is_loaded(html, page):
    found = page(html)
    sources = [
        attributes[key]
        for _, attributes in found.elements
        for key in attributes
        if key in ("src", "srcset", "poster", "data", "action")
    ]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    assert [link["href"] for link in found.all("link")] == ["data:,"]
    (style,) = found.texts["style"]
    assert "url(" not in style
    assert "@import" not in style
    addresses = set(re.findall(r"https?://[^\s\"']+", html))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of a kind of element


def test_policy_allows_our_style_and_script_only(html, page):
    found = page(html)
    policy = next(m["content"] for m in found.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        text = found.texts[tag][-1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    # What the policy would forbid is not there.
    assert not any(key.startswith("on") or key == "style" for _, a in found.elements for key in a)


def test_values_are_the_names_and_counts(html, page, fitted, test):
    values = json.loads(page(html).texts["script"][0])
    assert sorted(values["names"]) == [str(digit) for digit in range(10)]
    assert sum(values["counts"]) == len(test[1])
    assert len(values["branches"]) == fitted.partition_.n_clusters


def test_hostile_names_stay_text(told, hostile, page):
    model, X, y, partition = told(len(hostile), 4, names=["<b>", "مجموعة", "🦊" * 40, "&amp;"])
    html = render(
        gather(model, X, y, partition=partition, class_names=hostile, title="</title><script>")
    )
    found = page(html)
    assert len(found.all("script")) == 2
    assert found.all("img") == []
    assert found.all("b") == [{}] * 4
    assert html.count("<script>alert(1)") == 0
    assert "49" not in "".join(found.texts["bdi"])  # {{ 7 * 7 }}
    assert "{{ 7 * 7 }}{% raw %}" in found.texts["bdi"]
    names = set(json.loads(found.texts["script"][0])["names"])
    assert {"<script>alert(1)</script>", "U+202E turned around", "(empty)"} <= names
    assert "\u2028" not in html
    assert "\u202e" not in html


def test_long_names_are_shortened_and_whole_in_the_title(told, hostile, page):
    model, X, y, partition = told(len(hostile), 4)
    html = render(gather(model, X, y, partition=partition, class_names=hostile))
    found = page(html)
    longest = max(len(text) for text in found.texts["bdi"])
    assert longest <= 200  # the title's own limit
    titles = {bdi.get("title") for bdi in found.all("bdi")}
    assert "a_class_name_of_sixty_characters_that_ends_in_a_number__00042" in titles
    assert all(bdi["dir"] == "auto" for bdi in found.all("bdi") if "dir" in bdi)


@pytest.mark.parametrize(
    ("n_classes", "n_clusters", "megabytes"), [(10, 3, 0.2), (100, 10, 0.6), (1000, 30, 3.0)]
)
def test_file_stays_small(told, page, n_classes, n_clusters, megabytes):
    model, X, y, partition = told(n_classes, n_clusters, n_samples=20 * n_classes)
    html = render(gather(model, X, y, partition=partition))
    assert len(html.encode()) < 1e6 * megabytes
    assert f"class-{n_classes - 1}" in page(html).ids


def test_many_entries_are_cut_to_the_largest(told, monkeypatch):
    monkeypatch.setattr("hierlearn.reporting.counting._MAX_ENTRIES", 40)
    model, X, y, partition = told(30, 3)
    data = gather(model, X, y, partition=partition)
    assert len(data.confusions.counts) == 40
    assert data.confusions.n_left_out > 0
    assert f"The {data.confusions.n_left_out} smallest entries are left out" in render(data)


def test_same_input_gives_the_same_bytes(fitted, test, tmp_path):
    paths = [report(fitted, *test, tmp_path / f"{i}.html", image_shape=(8, 8)) for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_time_is_stated_only_where_it_is_given(small):
    model, X, y, partition = small
    data = gather(model, X, y, partition=partition, timestamp="22 November")
    assert "22 November" in render(data)
    assert "22 November" not in render(replace(data, timestamp=""))


def test_small_matrices_are_tables_too(html, page):
    assert "From class to class, as a table" in page(html).texts["summary"]


def test_report_is_public_and_returns_the_path(fitted, test, tmp_path):
    path = hierlearn.report(fitted, *test, tmp_path / "a.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_missing_extra_is_named(small, monkeypatch):
    model, X, y, partition = small
    data = gather(model, X, y, partition=partition)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"hierlearn\[report\]"):
        render(data)


def test_missing_pillow_is_named_where_there_are_images(small, monkeypatch):
    model, X, y, partition = small
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"hierlearn\[report\]"):
        gather(model, X, y, partition=partition, images=np.zeros((len(y), 4, 4)))


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028\u2029", '"\\'])
def test_json_for_a_script_reads_back(text):
    written = script_json([text])
    assert json.loads(written) == [text]
    assert not set(written) & set("<>&\u2028\u2029")
