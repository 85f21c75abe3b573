# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Files and folders take their name when they are whole, and leave nothing next to it."""

import pytest

from data_preprocess.common.atomic_file import whole_file, write_whole


@pytest.mark.parametrize("content", ["é\n", b"\xff\0"])
def test_text_and_bytes(tmp_path, content):
    write_whole(tmp_path / "a", "old")
    write_whole(str(tmp_path / "a"), content)
    assert (tmp_path / "a").read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def make_folder(path):
    path.mkdir()
    (path / "part").write_text("x")


@pytest.mark.parametrize("make", [make_folder, lambda path: path.write_text("x"), lambda path: None])
def test_what_is_interrupted_leaves_nothing(tmp_path, make):
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a") as temporary:
        make(temporary)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder(tmp_path):
    with whole_file(tmp_path / "a") as temporary:
        make_folder(temporary)
        assert not (tmp_path / "a").exists()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["a", "a/part"]


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError, match=r"'[^']*/a'$"), whole_file(tmp_path / "a") as temporary:
        temporary.write_text("x")
    with pytest.raises(FileNotFoundError, match=r"'[^']*/none/a'$"), whole_file(tmp_path / "none/a") as temporary:
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
