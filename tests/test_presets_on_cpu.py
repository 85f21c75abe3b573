# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Presets train: two real steps each, real verl and real vLLM, on the drawn worlds. A preset takes about three minutes,
so two run by default, which differ most; ``ALL_PRESETS=1`` runs every one.

What a start of ``main_medgrpo`` does beyond this (the comparison of prompts in trainer and vLLM, a log of its own) does
not depend on the preset, and has tests of its own.
"""

import functools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).resolve().parents[1]
PAPERS = (
    "medr1_think medr1_nothink medr1_think_after zhu_grpo zhu_grpo_scratch zhu_align zhu_ecr zhu_cwr zhu_drgrpo "
    "zhu_drgrpo_strict"
).split()
MEDGRPO = ("medgrpo", "medgrpo_all_tasks", "medgrpo_no_norm")
ALWAYS = ("medr1_think", "zhu_drgrpo_strict")
SFT_STEPS = 60
#: Prompts a step; enough for some answer to be right even at chance.
BATCH, GROUP = 8, 4
SIZE = (
    "platform=cpu", f"data.train_batch_size={BATCH}", "data.seed=0", "data.max_response_length=12",
    f"actor_rollout_ref.rollout.n={GROUP}",
    "actor_rollout_ref.rollout.max_model_len=640", "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=4096",
    "trainer.total_training_steps=2", "trainer.save_freq=-1", "trainer.resume_mode=disable",
)  # fmt: skip


SAMPLER = str(REPOSITORY / "tests/helpers/recording_sampler.py").replace("'", "\\'")
RECORDED = (
    f"trainer.v1.sampler.custom_sampler.path='{SAMPLER}'",
    "trainer.v1.sampler.custom_sampler.name=RecordingSampler",
)


@pytest.fixture(scope="module")
def imaging(tmp_path_factory):
    """Rows of the drawn imaging world, and a random Qwen2-VL that reads them."""
    from data_preprocess import omnimedvqa
    from data_preprocess.synthetic.imaging import generate
    from recipe.medgrpo.cpu.tiny_model import build

    root = tmp_path_factory.mktemp("imaging")
    generate(root / "world", images_per_modality=5)
    omnimedvqa.main(["--root", str(root / "world"), "--out", str(root / "data")])
    build(root / "model", root / "data/train.parquet", layers=2, family="qwen2_vl")
    return root / "data", root / "model"


@pytest.fixture(scope="module")
def supervised(imaging, tmp_path_factory):
    """Losses and checkpoint of the preset sft_answer_only for a template of prompts: a policy that ends its answers,
    without which every answer would be cut and earn nothing.
    """
    data, model = imaging

    @functools.cache
    def trained(template):
        out = tmp_path_factory.mktemp("sft")
        overrides = [
            "platform=cpu_sft", "preset=sft_answer_only", f"model.path='{model}'", f"trainer.default_local_dir='{out}'",
            f"data.train_files='{data / 'train.parquet'}'", f"data.template={template}", "data.train_batch_size=8",
            "data.max_length=640", "data.max_token_len_per_gpu=4096", "optim.lr=3e-3",
            f"trainer.total_training_steps={SFT_STEPS}", "trainer.total_epochs=100", f"trainer.save_freq={SFT_STEPS}",
            "checkpoint.save_contents=[hf_model]",
        ]  # fmt: skip
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"]
        command = [*torchrun, "-m", "recipe.medgrpo.main_sft", *overrides]
        environment = {**os.environ, "VERL_FILE_LOGGER_PATH": str(out / "metrics.jsonl")}
        done = subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        losses = [line["data"]["train/loss"] for line in lines if "train/loss" in line["data"]]
        return losses, out / f"global_step_{SFT_STEPS}/huggingface"

    return trained


@pytest.fixture(scope="module")
def artifact(drawn, tmp_path_factory):
    """Percentiles for every (source, task, component) of the drawn videos; made up, since only their use is tested."""
    import pyarrow.parquet as pq

    import reward_score

    sources = set(pq.read_table(drawn / "train.parquet", columns=["data_source"])["data_source"].to_pylist())
    values = [step / 40 for step in range(40)]
    observed = {
        (*source.split("/")[1:], component): values
        for source in sources
        for component in reward_score.TASKS[source.rsplit("/", 1)[-1]].COMPONENTS
    }
    provenance = reward_score.Provenance(model="made up", split="train", decoding="none", judge="lexical")
    return reward_score.Artifact.from_observations(observed, provenance).save(tmp_path_factory.mktemp("a") / "n.json")


@pytest.fixture
def cluster(tmp_path):
    """A Ray cluster whose jobs write verl's file log below the returned folder; its end frees all that a run held."""
    import ray
    import verl  # noqa: F401  (loads the plugin)
    from omegaconf import OmegaConf
    from verl.trainer.constants_ppo import get_ppo_ray_runtime_env

    config = preset("zhu_grpo", "m", ("t", "v"), tmp_path)
    environment = get_ppo_ray_runtime_env(config)
    environment["env_vars"] |= {"VERL_FILE_LOGGER_ROOT": str(tmp_path), "TRANSFER_QUEUE_ENABLE": "1"}
    options = OmegaConf.to_container(config.ray_kwargs.ray_init, resolve=True) | {"runtime_env": environment}
    ray.init(**options)
    yield tmp_path
    ray.shutdown()


def presets(names):
    skip = pytest.mark.skipif(not os.environ.get("ALL_PRESETS"), reason="three minutes each: set ALL_PRESETS=1")
    return pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in ALWAYS else skip) for n in names])


def preset(name, model, files, out, *overrides):
    from configuration import composed

    needed = [
        f"preset={name}", f"data.train_files='{files[0]}'", f"data.val_files='{files[1]}'",
        f"actor_rollout_ref.model.path='{model}'", f"trainer.default_local_dir='{out}'",
    ]  # fmt: skip
    return composed(*needed, *SIZE, *overrides)


def train(config, logs):
    """Two steps by verl's V1 trainer.

    Returns:
        The metrics of the steps, and the answers of each.
    """
    from verl.trainer.main_ppo import TaskRunnerV1, run_ppo
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    from recipe.medgrpo import main_medgrpo
    from recipe.medgrpo.preflight import normalization

    normalization.check_normalization(config)
    main_medgrpo.check_judge(config)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))
    run_ppo(config, task_runner_class=TaskRunnerV1)
    log = logs / config.trainer.project_name / f"{config.trainer.experiment_name}.jsonl"
    metrics = {line["step"]: line["data"] for line in map(json.loads, log.read_text().splitlines())}
    folder = Path(config.trainer.rollout_data_dir)
    return metrics, {step: [json.loads(x) for x in (folder / f"{step}.jsonl").open()] for step in (1, 2)}


def check(metrics, answers, config):
    assert sorted(metrics) == [1, 2]
    for step, figures in metrics.items():
        assert math.isfinite(figures["actor/pg_loss"]) and math.isfinite(figures["actor/grad_norm"])
        assert ("actor/kl_loss" in figures) == config.actor_rollout_ref.actor.use_kl_loss
        assert len(answers[step]) == BATCH * GROUP
        assert figures["training/rollout_actor_probs_pearson_corr"] > 0.99


def check_ends(folder, model):
    """The token that ends an answer is trained like all others: without it, nothing could pull back from rambling."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    trained = [json.loads(line) for step in (1, 2) for line in (folder / f"trained_{step}.jsonl").open()]
    assert len(trained) == 2 * BATCH * GROUP
    for answer in trained:
        assert answer["mask"] == [1] * len(answer["tokens"])
        assert answer["cut"] == (answer["tokens"][-1] not in ends)
    assert any(not answer["cut"] for answer in trained)


@presets(PAPERS)
def test_two_steps_on_images(name, imaging, supervised, cluster, tmp_path):
    data, start = imaging
    config = preset(name, start, (data / "train.parquet", data / "test.parquet"), tmp_path, *RECORDED)
    _, model = supervised(config.data.template)
    config.actor_rollout_ref.model.path = str(model)
    metrics, answers = train(config, cluster)
    check(metrics, answers, config)
    check_ends(tmp_path, model)
    for step in (1, 2):
        mean = sum(answer["score"] for answer in answers[step]) / len(answers[step])
        assert metrics[step]["critic/score/mean"] == pytest.approx(mean, abs=1e-5)
        if name == "zhu_ecr":
            assert all(0 <= answer["score"] <= 3 for answer in answers[step])
    assert any(answer["score"] > 0 for step in (1, 2) for answer in answers[step])
    assert any(figures["actor/grad_norm"] > 0 for figures in metrics.values())


@presets(MEDGRPO)
def test_two_steps_on_videos(name, drawn, tiny_model, artifact, cluster, tmp_path):
    files = drawn / "train.parquet", drawn / "val.parquet"
    own = () if name == "medgrpo_no_norm" else (f"medgrpo.reward.artifact='{artifact}'",)
    config = preset(name, tiny_model, files, tmp_path, *own)
    check(*train(config, cluster), config)


def test_the_supervised_baseline_learns_its_answers_form(supervised):
    losses, _ = supervised("medr1_think")
    assert len(losses) == SFT_STEPS and all(math.isfinite(loss) for loss in losses)
    assert losses[-1] < 0.5 * losses[0]
