# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A small made-up world: rows with frames, a "model" whose answers are a formula, and a finished run of it."""

import json
import logging
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import orjson
import pytest
from PIL import Image, ImageDraw

import reward_score
from data_preprocess.parquet_writer import RowWriter
from data_preprocess.schema import Clip, build_row
from recipe.medgrpo.common import run_log
from recipe.medgrpo.common.run_folder import RunDir, write_json
from recipe.medgrpo.evaluation import calibrate, evaluate
from recipe.medgrpo.evaluation.answers import read_rows

SOURCES = ("AVOS", "CoPESD", "EgoSurgery")
TASKS = {"tag": "tal", "stg": "stg", "vs": "video_summary_gpt", "nap": "next_action"}
FRAMES, FPS, SIZE = 8, 1.0, (112, 84)
LABELS = ["cutting", "tying", "suturing"]
#: How far answers are off per source, in seconds and (times 8) pixels: the sources differ on purpose.
HARDNESS = {"AVOS": 0.6, "CoPESD": 1.6, "EgoSurgery": 3.0}


def _truth(task: str, rng: np.random.Generator) -> tuple[str, str]:
    """A reference answer and its structured form."""
    if task == "tag":
        start = int(rng.integers(0, 3))
        spans = [{"spans": [{"start": start, "end": start + 4}]}]
        return f"{start}.0-{start + 4}.0 seconds.", json.dumps(spans)
    if task == "stg":
        x, y = (int(value) for value in rng.integers(5, 40, 2))
        boxes = {f"{t}.0": [x + t, y, x + t + 40, y + 30] for t in (0, 4)}
        return " ".join(f"{t} seconds: {box}" for t, box in boxes.items()), json.dumps([{"bbox_dict": boxes}])
    if task == "vs":
        return f"The grasper holds the gallbladder while the hook dissects {rng.integers(1, 4)} layers of tissue.", ""
    return LABELS[int(rng.integers(0, 3))], ""


def respond(row, error: float, rng: np.random.Generator) -> str:
    """The answer of a made-up model that is off by ``error``; one in twenty is garbage."""
    off = abs(rng.normal(error, 0.5))
    if rng.random() < 0.05:
        return "garbage"
    if row.task == "tag":
        start, end = (float(x) for x in row.ground_truth.removesuffix(" seconds.").split("-"))
        return f"{start + off:.1f}-{end + off:.1f} seconds."
    if row.task == "stg":
        entries = reward_score.TASKS["stg"].parse(row.ground_truth)
        boxes = {time: [round(value + 8 * off) for value in box] for time, box in entries.items()}
        return " ".join(f"{time} seconds: {box}" for time, box in boxes.items())
    if row.task == "vs":
        words = row.ground_truth.split()
        return " ".join(words[: max(3, len(words) - round(3 * off))])
    return row.ground_truth if off < 1.5 else LABELS[0]


class World(NamedTuple):
    """Rows on disk and the means to make answers to them."""

    train: Path
    val: Path

    def write_answers(self, out: Path, data: Path, error: float, n: int = 1, keep=None, seed: int = 0) -> Path:
        """An answers file as ``generate`` writes it; ``keep`` chooses rows."""
        rng = np.random.default_rng(seed)
        lines = []
        for row in read_rows(data):
            for sample in range(n):
                text = respond(row, error + HARDNESS[row.source], rng)
                if keep is None or keep(row):
                    line = {"index": row.index, "sample": sample, "data_source": row.data_source, "response": text}
                    lines.append(line | {"num_tokens": len(text) // 3, "finish_reason": "stop"})
        out.parent.mkdir(parents=True, exist_ok=True)
        meta = {"model": {"path": "M"}, "data": {"path": str(data)}, "decoding": {"n": n, "temperature": 0.0}}
        lines.insert(0, {"meta": meta | {"answers": len(lines)}})
        out.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return out

    def generate(self, error: float):
        """A stand-in for ``recipe.medgrpo.evaluation.generate.generate`` that answers by formula instead of by vLLM."""

        def generate(model, data, out, *, n=1, seed=0, tasks=None, **_):
            self.write_answers(out, data, error, n, lambda row: tasks is None or row.task in tasks, seed)

        return generate


def _frames(folder: Path, rng: np.random.Generator) -> list[str]:
    folder.mkdir(parents=True)
    paths = [str(folder / f"{i}.jpg") for i in range(FRAMES)]
    for i, path in enumerate(paths):
        image = Image.new("RGB", SIZE, (120, 60 + 4 * i, 60))
        colour = tuple(int(c) for c in rng.integers(0, 255, 3))
        ImageDraw.Draw(image).ellipse([10 + 8 * i, 20, 40 + 8 * i, 60], fill=colour)
        image.save(path)
    return paths


@pytest.fixture(scope="session", name="respond")
def respond_fixture():
    return respond


@pytest.fixture(autouse=True)
def own_loggers():
    """A training gives this project's loggers handlers of their own; other tests listen to them in the usual way."""
    loggers = [logging.getLogger(name) for name in run_log.PACKAGES]
    before = [(logger.handlers, logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    files = {}
    for split, per_pair in (("train", 40), ("val", 8)):
        files[split] = root / "data" / f"{split}.parquet"
        files[split].parent.mkdir(exist_ok=True)
        with RowWriter(files[split]) as writer:
            for source in SOURCES:
                frames = _frames(root / "frames" / split / source, rng)
                clip = Clip(frames, FPS, SIZE[1], SIZE[0], 1, 10**6, 10**7, 64)
                for task, qa_type in TASKS.items():
                    for k in range(per_pair):
                        answer, structured = _truth(task, rng)
                        row = build_row(
                            benchmark="medvidbench", source=source, task=task, qa_type=qa_type, index=writer.count,
                            split=split, question=f"{source}: question {k} of {task}?", answer=answer, clip=clip,
                            video_id=f"{source}-{k}", record_id=f"{source}-{k}&&0&&7&&1", struc_info=structured,
                        )  # fmt: skip
                        writer.write(row)
    return World(files["train"], files["val"])


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A folder that passes for a checkpoint."""
    folder = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text("{}")
    return folder


def _bags(texts) -> np.ndarray:
    bags = np.zeros((len(texts), 64))
    for bag, text in zip(bags, texts, strict=True):
        for word in text.lower().split():
            bag[zlib.crc32(word.encode()) % 64] += 1
    return bags / np.maximum(1e-9, np.linalg.norm(bags, axis=1, keepdims=True))


def _use_light_encoder(patch: pytest.MonkeyPatch) -> None:
    """Bags of words instead of MiniLM, which takes ten seconds to load. Patched above the encoder's cache: no vector
    made here may outlive the test.
    """

    def similarity(self, pairs):
        pairs = list(pairs)
        products = _bags([pair.candidate for pair in pairs]) * _bags([pair.reference for pair in pairs])
        return products.sum(axis=1).clip(0, 1).tolist()

    def nearest(self, texts, labels):
        return (_bags(list(texts)) @ _bags(list(labels)).T).argmax(axis=1).tolist()

    patch.setattr("reward_score.similarity.SentenceEncoder.similarity", similarity)
    patch.setattr("reward_score.similarity.SentenceEncoder.nearest", nearest)


@pytest.fixture
def light_encoder(monkeypatch):
    _use_light_encoder(monkeypatch)


@pytest.fixture(scope="module")
def light_encoder_in_module():
    with pytest.MonkeyPatch.context() as patch:
        _use_light_encoder(patch)
        yield


@pytest.fixture
def stand_in(world, monkeypatch, light_encoder):
    """Replaces vLLM: ``stand_in(error)`` sets how good the answers of the next command are."""
    return lambda error: monkeypatch.setattr("recipe.medgrpo.evaluation.generate.generate", world.generate(error))


def arguments(module, *argv: str):
    """What ``medgrpo`` would hand to ``module.run``."""
    import argparse

    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return parser.parse_args([str(word) for word in argv])


@pytest.fixture(scope="session")
def call():
    """``call(module, *argv)`` runs a command in this process and returns its exit status."""
    return lambda module, *argv: module.run(arguments(module, *argv))


def _log(path: Path, steps: dict[int, dict], cut: bool = False) -> None:
    """verl's file log, written as verl 0.9.1 writes it; ``cut`` leaves the last line half written."""
    records = ({"step": step, "data": data} for step, data in steps.items())
    lines = [orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n" for record in records]
    path.write_bytes(b"".join(lines) + (b'{"step": 99, "da' if cut else b""))


def training_log(step: int) -> dict:
    """One step's figures: verl's, and the sampler's of each (source, task), AVOS with twice the others' answers."""
    pairs = {}
    for place, source in enumerate(SOURCES):
        for task in ("tag", "stg", "vs"):
            pairs |= {
                f"medgrpo/{source}/{task}/raw/mean": 0.1 * place + 0.01 * step,
                f"medgrpo/{source}/{task}/reward/mean": 0.5 + 0.01 * step,
                f"medgrpo/{source}/{task}/parse_rate": 0.9,
                f"medgrpo/{source}/{task}/cut_share": 0.01,
                f"medgrpo/{source}/{task}/answers": 64.0 if source == "AVOS" else 32.0,
            }
    return pairs | {
        "training/global_step": step,
        "actor/entropy": np.float32(1.0 - 0.01 * step),
        "actor/grad_norm": 0.5 + 0.01 * step,
        "response_length/mean": 20.0,
        "training/rollout_actor_probs_pearson_corr": 0.99999 - 1e-6 * step,
        "training/rollout_probs_diff_mean": 1e-4 * (1 + step % 3),
        "critic/rewards/mean": 0.5,
    }


@pytest.fixture(scope="session")
def finished_run(world, model, call, tmp_path_factory) -> RunDir:
    """A run directory as calibration, training (made up, interrupted once) and two evaluations leave it."""
    run = RunDir(tmp_path_factory.mktemp("a run"))
    run.train.parent.mkdir()
    run.train.write_bytes(world.train.read_bytes())
    run.val.write_bytes(world.val.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        _use_light_encoder(patch)
        patch.setattr("recipe.medgrpo.evaluation.generate.generate", world.generate(0.0))
        common = ["--model", model, "--data"]
        call(calibrate, *common, run.train, "--out", run.normalization)
        for name, error in (("sft", 0.0), ("rl", -0.4)):
            patch.setattr("recipe.medgrpo.evaluation.generate.generate", world.generate(error))
            call(evaluate, *common, run.val, "--out", run.evaluation(name).root, "--normalization", run.normalization)
    run.rl.mkdir()
    _log(run.rl / "metrics.1.jsonl", {step: training_log(step) for step in range(1, 8)}, cut=True)
    _log(run.rl / "metrics.2.jsonl", {step: training_log(step) | {"actor/entropy": 0.25} for step in range(6, 13)})
    for name, seconds in {"sft": 132.4, "rl": 3725.0}.items():
        write_json(run.stage_record(name), {"key": "k", "done": True, "seconds": seconds, "outputs": []})
    run.config.parent.mkdir()
    run.config.write_text("data: {seed: 7, train_batch_size: 16}\nactor_rollout_ref: {rollout: {n: 8}}\n")
    return run


@pytest.fixture(scope="session")
def log_writer():
    """``log_writer.write(path, {step: metrics}, cut=False)`` and ``log_writer.step(n)``."""
    return SimpleNamespace(write=_log, step=training_log)
