# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""How fast rewards are: answers per second and task, the cost of a training step, and what batching similarity gains.

    python tests/benchmarks/bench_rewards.py [--answers 2048]

One process, one thread of Python; the encoder uses torch's threads. Answers and references are those of the leaderboard
vectors (realistic lengths, well-formed and malformed ones mixed), 8 answers per reference as in GRPO.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from reward_score import TASKS, CaptionPair, Sample, Scorer, make_sample
from reward_score.judge import LexicalJudge
from reward_score.similarity import SentenceEncoder

GOAL = 10_000
VECTORS = Path(__file__).parents[1] / "data" / "leaderboard_vectors.json"
NAMES = {
    "tal": "tag",
    "stg": "stg",
    "dvc": "dvc",
    "next_action": "nap",
    "skill_assessment": "sa",
    "cvs_assessment": "cvs",
}
CAPTION = "The {} {} the {} while the assistant exposes the {} during laparoscopic cholecystectomy."
WORDS = (
    ("grasper", "hook", "clipper", "irrigator"),
    ("retracts", "dissects", "clips", "coagulates", "holds"),
    ("gallbladder", "cystic duct", "cystic artery", "liver", "omentum"),
    ("gallbladder bed", "Calot triangle", "abdominal wall", "cystic plate", "surgical field", "peritoneum"),
)


def captions(number: int) -> list[str]:
    texts = [CAPTION.format(*words) for words in itertools.product(*WORDS)]
    return [f"{texts[i % len(texts)]} Step {i}." for i in range(number)]


def samples(number: int) -> dict[str, list[Sample]]:
    """Answers by task, 8 per reference."""
    result = {}
    content = json.loads(VECTORS.read_text(encoding="utf-8"))
    for name, task in NAMES.items():
        # References that the evaluators leave out have a case with a colon.
        records = [one for one in content[name]["records"] if ":" not in one["case"] and one["answer"].strip()]
        extras = [
            {"struc_info": json.dumps(one["struc_info"]), "fps": one["metadata"]["fps"], "question": one["question"]}
            for one in records
        ]
        rows = zip(itertools.cycle(records), itertools.cycle(extras), strict=False)
        groups = [
            make_sample(f"m/{one['data_source'] or 'NurViD'}/{task}", one["prediction"], one["answer"], extra)
            for one, extra in itertools.islice(rows, number // 8)
        ]
        result[task] = [sample for sample in groups for _ in range(8)]
    texts = captions(number)
    for task in ("vs", "rc"):
        result[task] = [make_sample(f"m/AVOS/{task}", text, texts[i // 8], None) for i, text in enumerate(texts)]
    return result


def seconds(function, *arguments) -> float:
    """Best of three."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - begin)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--answers", type=int, default=2048, help="answers per task and in a step")
    number = parser.parse_args().answers
    by_task, console = samples(number), Console()
    encoder, judge = SentenceEncoder(), LexicalJudge()
    scorer = Scorer(reward_tasks="all", similarity=encoder, judge=judge)

    table = Table(
        "task", "rule answers/s", f"goal {GOAL:,}", "with captions answers/s", title=f"{number} answers per task"
    )
    encoder.similarity([CaptionPair("warm", "up")])
    for task, rows in by_task.items():
        rated = len(rows) / seconds(lambda rows=rows, task=task: [TASKS[task].rate(row, 0.5) for row in rows])
        captioned = "judge" in TASKS[task].COMPONENTS
        whole = f"{len(rows) / seconds(scorer.score, rows):,.0f}" if captioned else "-"
        table.add_row(task, f"{rated:,.0f}", "reached" if rated >= GOAL else "MISSED", whole)
    console.print(table)

    step = [row for task in ("tag", "stg", "vs", "rc") for row in by_task[task][: number // 4]]
    pairs = [pair for row in step for pair in TASKS[row.task].rate(row, 0.5).pairs]
    fresh = seconds(lambda: SentenceEncoder.similarity(_forgetful(encoder), pairs))
    console.print(
        f"a step of {len(step)} answers (tag, stg, vs, rc): {seconds(scorer.score, step):.2f} s, of which "
        f"{fresh:.2f} s similarity and {seconds(judge.judge, pairs):.3f} s lexical judge"
    )

    some = pairs[:256]
    batched = seconds(encoder.similarity, some)
    single = seconds(lambda: [encoder.similarity([pair]) for pair in some])
    console.print(
        f"similarity of {len(some)} captions: batched {len(some) / batched:,.0f}/s, one by one {len(some) / single:,.0f}/s, "
        f"ratio {single / batched:.1f} (goal 5)"
    )


def _forgetful(encoder: SentenceEncoder) -> SentenceEncoder:
    """The same loaded model with an empty cache."""
    other = SentenceEncoder()
    other._model = encoder._model
    return other


if __name__ == "__main__":
    main()
