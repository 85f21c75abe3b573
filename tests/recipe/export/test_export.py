# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""`medgrpo export`: which checkpoint, what the folder's own files say, and the card; no model is loaded."""

import json
import runpy
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from recipe.medgrpo import cli
from recipe.medgrpo.common.run_folder import RunDir
from recipe.medgrpo.export.card import interval

STOCK_SIZE = {"shortest_edge": 100352, "longest_edge": 602112}
#: As Qwen2.5-VL's own: a penalty that the training never had.
QWEN_GENERATION = {"do_sample": True, "eos_token_id": [3, 1], "pad_token_id": 1, "repetition_penalty": 1.05}


def save_checkpoint(run: RunDir, step: int) -> Path:
    folder = run.rl / f"global_step_{step}" / "actor" / "huggingface"
    folder.mkdir(parents=True)
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "do_resize": False, "size": STOCK_SIZE}
    image = {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "size": STOCK_SIZE}
    processor = {"processor_class": "Qwen2_5_VLProcessor", "video_processor": video, "image_processor": image}
    model = {"model_type": "qwen2_5_vl", "vision_config": {"patch_size": 14}}
    files = {"config": model, "processor_config": processor, "generation_config": QWEN_GENERATION}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(f"weights of step {step}".encode())
    return folder


@pytest.fixture
def run(finished_run, tmp_path) -> RunDir:
    """A finished run with checkpoints of steps 4, 8 and 12, and of step 2 what verl leaves of an old one."""
    shutil.copytree(finished_run.root, tmp_path / "run")
    run = RunDir(tmp_path / "run")
    for step in (4, 8, 12):
        save_checkpoint(run, step)
    (run.rl / "global_step_2").mkdir()
    run.config.write_text("data: {max_response_length: 96, train_batch_size: 16}\n")
    run.config.with_name("hydra.yaml").write_text("hydra: {runtime: {choices: {preset: medgrpo}}}\n")
    return run


def evaluated(run: RunDir, model: str) -> None:
    """The run's evaluation is of this checkpoint."""
    file = run.evaluation("rl").summary
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": model}))


def export(run: RunDir, out: Path, *options: str) -> Path:
    assert cli.main(["export", str(run.root), "--out", str(out), *options]) == 0
    return out


def refused(capsys, *argv: str) -> str:
    assert cli.main(["export", *argv]) == 2
    return capsys.readouterr().err


def test_the_last_checkpoint_unless_told_otherwise(run, tmp_path):
    assert (export(run, tmp_path / "a") / "model.safetensors").read_bytes() == b"weights of step 12"
    assert (export(run, tmp_path / "b", "--checkpoint", "4") / "model.safetensors").read_bytes() == b"weights of step 4"


def test_the_best_of_those_that_were_validated(run, tmp_path, log_writer):
    name = "val-core/medvidbench/{}/tag/reward/mean@1"
    validated = {
        step: {name.format("AVOS"): value, name.format("CoPESD"): value + 0.1, "val-aux/x/reward/mean@1": 9.0}
        for step, value in {2: 0.9, 4: 0.2, 8: 0.5, 12: 0.3}.items()
    }
    log_writer.write(run.rl / "metrics.3.jsonl", validated)
    # Step 2 was better, but its weights are gone.
    assert (export(run, tmp_path / "a", "--checkpoint", "best") / "model.safetensors").read_bytes()[-1:] == b"8"


def test_what_cannot_be_exported_is_said(run, tmp_path, capsys):
    root, out = str(run.root), str(tmp_path / "out")
    assert "4, 8, 12) was validated" in refused(capsys, root, "--out", out, "--checkpoint", "best")
    assert "there are 4, 8, 12" in refused(capsys, root, "--out", out, "--checkpoint", "5")
    assert "no checkpoint" in refused(capsys, root, "--out", out, "--stage", "sft")
    assert "no such Parquet file" in refused(capsys, root, "--out", out, "--data", "no.parquet")
    assert not Path(out).exists()
    assert "not empty" in refused(capsys, root, "--out", root)


def test_the_folder_says_how_frames_and_answers_are_made(run, tmp_path):
    out = export(run, tmp_path / "out")
    processor = json.loads((out / "processor_config.json").read_text())
    # The world's rows: clips of at least 1 and at most 10**6 pixels a frame.
    for part in ("video_processor", "image_processor"):
        assert processor[part]["size"] == {"shortest_edge": 1, "longest_edge": 10**6}
        assert processor[part]["do_resize"] is True and "min_pixels" not in processor[part]
    assert processor["video_processor"]["fps"] == 1.0
    generation = json.loads((out / "generation_config.json").read_text())
    assert generation["repetition_penalty"] == 1.0 and generation["max_new_tokens"] == 96
    assert generation["eos_token_id"] == [3, 1] and generation["pad_token_id"] == 1
    settings = json.loads((out / "medgrpo.json").read_text())
    assert settings["media"]["videos"]["limits"] == {"min_pixels": 1, "max_pixels": 10**6, "total_pixels": 10**7}
    assert settings["max_tokens"] == 96 and settings["patch_size"] == 14


def test_transformers_accepts_and_saves_the_generation_defaults(run, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.GenerationConfig.from_pretrained(export(run, tmp_path / "out"))
    config.save_pretrained(tmp_path / "again")
    assert (config.repetition_penalty, config.top_k, config.max_new_tokens) == (1.0, 1, 96)


def card_of(out: Path) -> tuple[dict, str]:
    _, front, text = (out / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_card_says_what_the_run_says(run, tmp_path):
    evaluated(run, "/a/folder/that/moved/rl/global_step_12/actor/huggingface")
    out = export(run, tmp_path / "out", "--base", "Qwen/Qwen2.5-VL-7B-Instruct", "--license", "apache-2.0")
    front, text = card_of(out)
    assert front["base_model"] == "Qwen/Qwen2.5-VL-7B-Instruct" and front["license"] == "apache-2.0"
    assert front["pipeline_tag"] == "video-text-to-text"
    summary = json.loads(run.evaluation("rl").summary.read_text())
    pair = summary["pairs"][0]
    for said in (
        summary["normalization"],
        "| preset | medgrpo |",
        "Not for clinical use",
        "step 12",
        interval(pair["reward"], pair["reward_se"]),
        "| TAG_mIoU@0.3 | {:.4f} |".format(summary["leaderboard"]["TAG_mIoU@0.3"]),
        "MEDGRPO_PLUGIN=1 vllm serve",
    ):
        assert said in text, said
    assert str(tmp_path) not in text, "no path of this machine"


def test_metrics_of_another_checkpoint_are_not_this_ones(run, tmp_path):
    evaluated(run, str(run.rl / "global_step_12/actor/huggingface"))
    assert "no evaluation of this checkpoint" in card_of(export(run, tmp_path / "out", "--checkpoint", "8"))[1]


def test_a_model_of_images_is_asked_about_an_image_in_its_wording(run, tmp_path, capsys, monkeypatch):
    rows = [{"images": [{"image": "a.jpg", "min_pixels": 1, "max_pixels": 9}]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "images.parquet")
    run.config.write_text("data: {max_response_length: 96, template: medr1_think, val_template: medr1_eval_think}\n")
    out = export(run, tmp_path / "out", "--data", str(tmp_path / "images.parquet"))
    _, text = card_of(out)
    assert 'python use_transformers.py "QUESTION" image.jpg' in text and "frame_0" not in text
    assert "--max-tokens 96 --template medr1_eval_think" in text
    assert not (out / "use_vllm.py").exists() and "use_vllm" not in text
    monkeypatch.syspath_prepend(out)
    use = runpy.run_path(str(out / "use_transformers.py"))
    assert use["given"](["Q?", "a.jpg"]) == (
        {"type": "image", "image": "a.jpg", "min_pixels": 1, "max_pixels": 9},
        "Q?",
    )
    asked = []
    use["answer"].__globals__["respond"] = lambda model, processor, messages: asked.append(messages)
    use["answer"](None, None, {}, " Q? ")
    assert asked[0][0]["content"][1]["text"].startswith("Q? Think through the question step by step in <think>")


def test_an_answer_without_tokens_is_refused(run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["export", str(run.root), "--out", str(tmp_path / "out"), "--max-tokens", "0"])
    assert "--max-tokens" in capsys.readouterr().err


def test_intervals():
    assert interval(0.5, 0.1) == "0.500 (0.304 to 0.696)"
    assert (interval(None, None), interval(0.5, None)) == ("-", "0.500")
