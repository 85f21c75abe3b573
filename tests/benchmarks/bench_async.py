# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A step's time with a slow judge, in synchronous training and in ``trainer_mode=colocate_async``.

    VERL_PLATFORM=cpu python tests/benchmarks/bench_async.py [--steps 12 --latency 2]

Both are real trainings of this recipe on the same rows with a tiny model; every answer is a caption, and the judge is a
real HTTP server whose verdicts take their time. The synchronous trainer waits for the last verdict of a step. The other
has begun the next step's answers by then. The first steps of each are left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

from drawn_inputs import draw_rows
from judge_server import JudgeServer, verdict

BATCH, GROUP, TOKENS, WARM_UP = 16, 4, 32, 3
STALENESS = "training/off_policy/trajectory_staleness/mean"


def make_inputs(root: Path) -> tuple[Path, Path]:
    """Rows of a drawn world, and a tiny model."""
    from recipe.medgrpo.cpu import tiny_model

    rows = draw_rows(root, clips_per_source=24) / "train.parquet"
    tiny_model.build(root / "model", rows)
    return rows, root / "model"


def train(mode: str, steps: int, run: Path, url: str, rows: Path, model: Path) -> list[dict]:
    """Figures of each step after the first `WARM_UP`."""
    command = [
        *(sys.executable, "-m", "recipe.medgrpo.main_medgrpo", "platform=cpu", "judge=openai"),
        f"trainer.v1.trainer_mode={mode}",
        f"data.train_files='{rows}'",
        f"data.val_files='{rows}'",
        f"data.train_batch_size={BATCH}",
        "data.max_prompt_length=256",
        f"data.max_response_length={TOKENS}",
        "data.seed=0",
        f"actor_rollout_ref.model.path='{model}'",
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=6144",
        f"actor_rollout_ref.rollout.n={GROUP}",
        "actor_rollout_ref.rollout.max_model_len=304",
        "medgrpo.reward.reward_tasks=[vs,rc]",
        "medgrpo.reward.artifact=null",
        "medgrpo.reward.normalization=none",
        # Cut captions, as a random model gives them, never reach the judge.
        "medgrpo.reward.overlong_buffer=0",
        "medgrpo.reward.judge.cache=null",
        "medgrpo.alarm.action=warn",
        f"trainer.total_training_steps={steps}",
        "trainer.total_epochs=1000",
        "trainer.save_freq=-1",
        f"trainer.default_local_dir='{run}'",
        f"hydra.run.dir='{run}'",
    ]
    run.mkdir()
    figures = run / "metrics.jsonl"
    own = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "VERL_FILE_LOGGER_PATH": str(figures)}
    with (run / "log.txt").open("w") as log:
        done = subprocess.run(command, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"{mode}: the training failed\n" + (run / "log.txt").read_text()[-3000:])
    return [json.loads(line)["data"] for line in figures.read_text().splitlines()][WARM_UP:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--latency", type=float, default=2.0, help="seconds of a verdict")
    args = parser.parse_args()
    found = {"prompts": BATCH, "samples": GROUP, "judge_latency_s": args.latency}
    with tempfile.TemporaryDirectory() as folder, JudgeServer(verdict(4), latency=args.latency) as judge:
        inputs = make_inputs(Path(folder))
        for mode in ("sync", "colocate_async"):
            steps = train(mode, args.steps, Path(folder) / mode, judge.url, *inputs)
            for name, key in (("step_s", "timing_s/step"), ("waiting_s", "timing_s/gen"), ("staleness", STALENESS)):
                found[f"{mode}_{name}"] = statistics.median(step[key] for step in steps)
    found["times_faster"] = found["sync_step_s"] / found["colocate_async_step_s"]
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
