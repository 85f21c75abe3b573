# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Interrupted answers go on where they stopped; a model may be named as on the hub. Only vLLM is replaced."""

from types import SimpleNamespace

import pytest

from recipe.medgrpo.evaluation import engines, generate
from recipe.medgrpo.evaluation.answers import AnswersError, model_folder
from recipe.medgrpo.evaluation.engines import Completion
from recipe.medgrpo.scoring import artifact_check


@pytest.fixture
def engine(monkeypatch):
    """Stands in for vLLM: the list of the questions it was asked, and of the times it was loaded."""
    seen = SimpleNamespace(asked=[], loaded=0, dies_after=10**6)

    def load(policy, rows):
        seen.loaded += 1

        def answer(questions):
            if len(seen.asked) >= seen.dies_after:
                raise KeyboardInterrupt
            seen.asked += questions
            samples = range(policy.decoding["n"])
            return [[Completion(f"{one} é {sample}", 2, "stop") for sample in samples] for one in questions]

        return lambda row: row["extra_info"]["question"], answer

    monkeypatch.setattr(engines, "_load_engine", load)
    monkeypatch.setattr(engines, "CHUNK", 7)
    return seen


@pytest.fixture
def whole(world, model, engine, tmp_path):
    """Bytes of an uninterrupted file of two answers a row, and what makes such a file."""

    def run(name, **options):
        generate.generate(model, world.val, tmp_path / name, **{"n": 2, "temperature": 1.0, **options})
        return tmp_path / name

    content = run("whole").read_bytes()
    engine.asked.clear()
    return content, run


def test_a_killed_call_goes_on(whole, engine, tmp_path):
    content, run = whole
    engine.dies_after = 28
    with pytest.raises(KeyboardInterrupt):
        run("out")
    assert not (tmp_path / "out").exists() and len(engine.asked) == 28
    engine.dies_after = 10**6
    assert run("out").read_bytes() == content
    assert len(engine.asked) == 96 and not (tmp_path / "out.part").exists()


def test_a_second_call_on_a_file_that_is_being_written_is_refused(whole, tmp_path, monkeypatch):
    content, run = whole
    load = engines._load_engine

    def meanwhile(*inputs):
        with pytest.raises(AnswersError, match="out is being written by another command"):
            run("out")
        return load(*inputs)

    monkeypatch.setattr(engines, "_load_engine", meanwhile)
    assert run("out").read_bytes() == content


@pytest.mark.parametrize("cut", ["line", "character", "row", "meta", "nothing", "all"])
def test_a_cut_file_goes_on(whole, engine, tmp_path, cut):
    content, run = whole
    lines = content.split(b"\n")
    # 1 meta line, then 2 answers a row: ten rows and a half.
    half = b"\n".join(lines[:22])
    kept, rest = {
        "line": (half + b"\n" + lines[22][:30], 10),
        "character": (half + b"\n" + lines[22][: lines[22].index("é".encode()) + 1], 10),
        "row": (half + b"\n", 10),
        "meta": (lines[0][:20], 0),
        "nothing": (b"", 0),
        "all": (content, 96),
    }[cut]
    (tmp_path / "out.part").write_bytes(kept)
    loaded = engine.loaded
    assert run("out").read_bytes() == content
    assert len(engine.asked) == 96 - rest and engine.loaded == loaded + (rest < 96)


@pytest.mark.parametrize("change", [{"max_tokens": 7}, {"template": "r1"}, {"per_pair": 3}, {"seed": 1}])
def test_other_inputs_begin_anew(whole, engine, tmp_path, change):
    content, run = whole
    (tmp_path / "out.part").write_bytes(content[: len(content) // 2])
    found = run("out", **change).read_bytes().split(b"\n")
    assert found[0] != content.split(b"\n")[0] and 2 * len(engine.asked) == len(found) - 2


def test_a_broken_line_in_the_middle_is_asked_again(whole, engine, tmp_path):
    content, run = whole
    lines = content.split(b"\n")
    (tmp_path / "out.part").write_bytes(b"\n".join([*lines[:5], b"\0" * 40, *lines[6:]]))
    assert run("out").read_bytes() == content and len(engine.asked) == 94


def test_places_of_engines(monkeypatch):
    monkeypatch.setenv("VERL_PLATFORM", "cuda")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert engines._places(3) == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-5,6")
    assert engines._places(2) == ["4", "GPU-5"]
    with pytest.raises(AnswersError, match="--engines 4, and CUDA_VISIBLE_DEVICES=4,GPU-5,6 has 3 GPUs"):
        engines._places(4)
    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    monkeypatch.setattr(engines.os, "sched_getaffinity", lambda _: {5, 3, 8})
    assert engines._places(2) == ["3,8", "5"] and engines._places(4)[3] == "3,5,8"


def test_a_model_of_the_hub(model, tmp_path, monkeypatch):
    asked = []

    def download(name):
        asked.append(name)
        if name == "Qwen/offline":
            raise FileNotFoundError("Cannot find an appropriate cached snapshot folder.\nMore words")
        return str(model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert model_folder(generate.Path("Qwen/tiny")) == model
    with pytest.raises(AnswersError, match="Qwen/offline: no such folder.*appropriate.*hf download Qwen/offline"):
        model_folder(generate.Path("Qwen/offline"))
    assert model_folder(model) == model and asked == ["Qwen/tiny", "Qwen/offline"]


def test_fingerprints_tell_weights_not_folders(tmp_path):
    prints = []
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
        prints.append(artifact_check.weights_fingerprint(tmp_path / name))
    assert prints[0] == prints[1] != prints[2] and artifact_check.weights_fingerprint(tmp_path) is None
