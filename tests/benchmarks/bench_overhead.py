# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What this recipe adds to a training step: its dataset, reward manager, sampler and way of pixels against verl's own.

    VERL_PLATFORM=cpu python tests/benchmarks/bench_overhead.py [--steps 24 --rounds 2]

Both sides are real trainings with the same rows in the same order, model and sizes. The policy answers greedily and
does not move (learning rate 0), so both answer alike. The stock side has verl's dataset, its `naive` manager with a
constant reward, and its replay buffer; pixels go through TransferQueue. This recipe's side scores the grounding tasks
by their rules, normalized. Both replay buffers look for finished answers equally often. Runs alternate (stock, ours,
ours, stock).

What is compared is processor time, of all of a training's processes from the end of step 4 to the end of the last but
one: on a shared machine the time on the wall differs from run to run by more than what is looked for. Exit status 1
unless ours is less than 2% above stock verl even with the spread of one side's runs on top. The seconds on the wall are
printed next to it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

BATCH, GROUP, TOKENS, WARM_UP, LIMIT = 16, 8, 48, 4, 0.02
#: Overrides that put verl's own parts in the place of this recipe's.
STOCK = [
    "data.custom_cls.path=null",
    "data.custom_cls.name=null",
    "reward.reward_manager.name=naive",
    f"reward.custom_reward_function.path='{Path(__file__).resolve()}'",
    "reward.custom_reward_function.name=constant_reward",
    f"trainer.v1.sampler.custom_sampler.path='{Path(__file__).resolve()}'",
    "trainer.v1.sampler.custom_sampler.name=StockReplayBuffer",
    "trainer.checkpoint_callback_class=null",
    "actor_rollout_ref.rollout.router_config_path=null",
]
POLL = 0.05

# Stock verl, too, finds the platform "cpu" in the recipe's plugin; trainings inherit this.
os.environ["MEDGRPO_PLUGIN"] = "1"
try:
    # Absent where verl only loads the constant reward from this file.
    from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

    class StockReplayBuffer(ReplayBuffer):
        """verl's own; its two seconds between looks would hide everything else in a step of seconds."""

        def __init__(self, *args, **kwargs):
            super().__init__(*args, poll_interval=POLL, **kwargs)
except ImportError:
    pass


def constant_reward(data_source, solution_str, ground_truth, extra_info, **_) -> float:
    return 1.0


def make_inputs(root: Path) -> tuple[Path, Path, Path]:
    """Rows of the grounding tasks, percentiles for them, and a tiny model."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from drawn_inputs import draw_rows

    import reward_score
    from recipe.medgrpo.cpu import tiny_model

    drawn = draw_rows(root, clips_per_source=24) / "train.parquet"
    tiny_model.build(root / "model", drawn)
    table = pq.read_table(drawn)
    rows = [row for row in table.to_pylist() if row["ability"] in ("tag", "stg")]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), root / "rows.parquet")
    observed = {(*row["data_source"].split("/")[1:], "raw"): [step / 40 for step in range(40)] for row in rows}
    provenance = reward_score.Provenance(model="made up", split="train", decoding="none", judge="lexical")
    artifact = reward_score.Artifact.from_observations(observed, provenance).save(root / "normalization.json")
    return root / "rows.parquet", root / "model", artifact


def processor_seconds(process: psutil.Process) -> float:
    """Of a process and all below it."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += sum(one.cpu_times()[:2])
        except psutil.NoSuchProcess:
            pass
    return total


def train(side: str, steps: int, run: Path, rows: Path, model: Path, artifact: Path) -> tuple[float, float, int]:
    """Processor seconds of a step, seconds on the wall, and the tokens of all steps."""
    module, own = "recipe.medgrpo.main_medgrpo", [f"trainer.v1.sampler.sampler_kwargs.poll_interval={POLL}"]
    if side == "stock":
        module, own = "verl.trainer.main_ppo", STOCK
    command = [
        *(sys.executable, "-m", module, "--config-path", "pkg://recipe.medgrpo.config", "--config-name", "medgrpo"),
        "platform=cpu",
        f"data.train_files='{rows}'",
        f"data.val_files='{rows}'",
        f"data.train_batch_size={BATCH}",
        "data.max_prompt_length=256",
        f"data.max_response_length={TOKENS}",
        "data.seed=0",
        f"actor_rollout_ref.model.path='{model}'",
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=6144",
        "actor_rollout_ref.actor.optim.lr=0",
        f"actor_rollout_ref.rollout.n={GROUP}",
        "actor_rollout_ref.rollout.max_model_len=320",
        "actor_rollout_ref.rollout.top_k=1",
        "medgrpo.reward.reward_tasks=[tag,stg]",
        f"medgrpo.reward.artifact='{artifact}'",
        "medgrpo.alarm.action=warn",
        f"trainer.total_training_steps={steps}",
        "trainer.total_epochs=1000",
        "trainer.save_freq=-1",
        "trainer.rollout_data_dir=null",
        f"trainer.default_local_dir='{run}'",
        f"hydra.run.dir='{run}'",
        *own,
    ]
    run.mkdir(parents=True)
    figures = run / "metrics.jsonl"
    print(f"{run.name}: {steps} steps", flush=True)
    marks = {}
    with (run / "log.txt").open("w") as log:
        environment = {**os.environ, "VERL_FILE_LOGGER_PATH": str(figures)}
        process = psutil.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            done = figures.read_bytes().count(b"\n") if figures.exists() else 0
            if done in (WARM_UP, steps - 1) and done not in marks:
                marks[done] = processor_seconds(process), time.monotonic()
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{side}: the training failed\n" + (run / "log.txt").read_text()[-3000:])
    data = [json.loads(line)["data"] for line in figures.read_text().splitlines()]
    tokens = sum(step["perf/total_num_tokens"] for step in data)
    busy, wall = ((after - before) / (steps - 1 - WARM_UP) for before, after in zip(*marks.values(), strict=True))
    print(f"{run.name}: a step takes {busy:.3f} processor seconds, {wall:.3f} on the wall; {tokens} tokens", flush=True)
    return busy, wall, tokens


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=2, help="trainings of each side")
    args = parser.parse_args()
    found = {"stock": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder))
        for round_ in range(args.rounds):
            for side in ("stock", "ours")[:: -1 if round_ % 2 else 1]:
                found[side].append(train(side, args.steps, Path(folder) / f"{side}{round_}", *inputs))
    if len({tokens for runs in found.values() for *_, tokens in runs}) > 1:
        raise SystemExit("both sides must answer alike")
    busy = {side: [seconds for seconds, *_ in runs] for side, runs in found.items()}
    mean = {side: statistics.mean(values) for side, values in busy.items()}
    figures = {
        "prompts": BATCH,
        "samples": GROUP,
        "processor_seconds_of_a_step": busy,
        "seconds_of_a_step": {side: [wall for _, wall, _ in runs] for side, runs in found.items()},
        "added_share": mean["ours"] / mean["stock"] - 1,
        "spread_within_a_side": max((max(values) - min(values)) / mean[side] for side, values in busy.items()),
    }
    print(json.dumps(figures, indent=2))
    return 0 if figures["added_share"] + figures["spread_within_a_side"] < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
