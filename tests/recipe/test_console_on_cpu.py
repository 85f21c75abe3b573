# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Subcommands that import torch through the console script, with the arguments that docs and scripts print."""

import json

import pytest
from console import medgrpo

from reward_score import Artifact, Provenance

#: The rule-scored tasks: no sentence encoder is loaded.
SCORING = "medgrpo.reward.reward_tasks=[tag,stg]"


@pytest.fixture(scope="module")
def model(world, tmp_path_factory):
    """The model of `medgrpo tiny-model`, as examples/cpu.sh calls it."""
    out = tmp_path_factory.mktemp("a run") / "model"
    said = medgrpo("tiny-model", "--out", out, "--data", world.train, "--seed", 0).stdout
    assert "qwen2_5_vl with" in said and (out / "model.safetensors").stat().st_size
    return out


def test_no_model_is_overwritten(world, model):
    before = (model / "model.safetensors").read_bytes()
    done = medgrpo("tiny-model", "--out", model, "--data", world.train, "--seed", 1, check=False)
    assert done.returncode == 2 and "exists and is not empty" in done.stderr
    assert (model / "model.safetensors").read_bytes() == before


def test_what_transformers_misses_is_named(world, tmp_path):
    """On a GPU machine without this package of mistral-common's it said: needs the Python package None."""
    (tmp_path / "pycountry.py").write_text("raise ModuleNotFoundError('not here', name='pycountry')")
    argv = "tiny-model", "--out", tmp_path / "model", "--data", world.train
    done = medgrpo(*argv, check=False, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and 'requires "pycountry"' in done.stderr and "Traceback" not in done.stderr


def overrides(world, model) -> list[str]:
    paths = {"data.train_files": world.train, "data.val_files": world.val, "actor_rollout_ref.model.path": model}
    return [*(f"{key}='{path}'" for key, path in paths.items()), "medgrpo.reward.artifact=none.json"]


def test_estimate_as_the_scripts_call_it(world, model):
    said = medgrpo("estimate", "--base", model, *overrides(world, "/not/yet")).stdout
    assert "optimizer (Adam, fp32, sharded)" in said and "media tokens: mean" in said
    sft = f"data.train_files='{world.train}'", f"model.path='{model}'", "data.train_batch_size=16"
    assert int(medgrpo("estimate", "--sft-steps", *sft).stdout.splitlines()[-1]) == 3 * (3 * 4 * 40 // 16)


def test_a_training_that_does_not_start_says_why(world, model, tmp_path):
    words = *overrides(world, model), "preset=medr1_think", f"hydra.run.dir='{tmp_path}/rl'"
    done = medgrpo("train", *words, check=False)
    assert done.returncode == 1 and "training does not start: " in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.yaml"))


def test_replay_of_answers(world, tmp_path):
    answers = world.write_answers(tmp_path / "answers.jsonl", world.train, 0.5, n=8)
    head, *lines = answers.read_text().splitlines()
    meta = json.loads(head)
    meta["meta"]["decoding"]["max_tokens"] = 512
    answers.write_text("\n".join([json.dumps(meta), *lines]) + "\n")
    measured = {(source, task, "raw"): [0.01 * step for step in range(40)]
                for source in ("AVOS", "CoPESD", "EgoSurgery") for task in ("tag", "stg")}  # fmt: skip
    provenance = Provenance(model="m", split="train", decoding="greedy")
    artifact = Artifact.from_observations(measured, provenance).save(tmp_path / "normalization.json")
    given = "--answers", answers, "--normalization", artifact, "--out", tmp_path / "replay"
    assert "share of the gradient" in medgrpo("replay", *given, SCORING).stdout
    assert (tmp_path / "replay/replay.json").stat().st_size and (tmp_path / "replay/replay.png").stat().st_size
