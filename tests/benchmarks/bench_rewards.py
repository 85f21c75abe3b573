# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""How fast rewards are: answers per second and task, the cost of a training step, and what batching similarity gains.

    python tests/benchmarks/bench_rewards.py [--answers 2048]

One process, one thread of Python; the encoder uses torch's threads. Answers and references are those of the leaderboard
vectors (realistic lengths, well-formed and malformed ones mixed), 8 answers per reference as in GRPO.
"""

import argparse
import asyncio
import itertools
import json
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from reward_score import TASKS, CaptionPair, Sample, ScoreConfig, Scorer, make_sample
from reward_score.judge import LexicalJudge
from reward_score.similarity import SentenceEncoder

GOAL = 10_000
VECTORS = Path(__file__).parents[1] / "data" / "leaderboard_vectors.json"
NAMES = {"tal": "tag", "stg": "stg", "dvc": "dvc"}
NAMES |= {"next_action": "nap", "skill_assessment": "sa", "cvs_assessment": "cvs"}
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
    texts = captions(2 * number)
    for task, own in (("vs", texts[:number]), ("rc", texts[number:])):
        result[task] = [make_sample(f"m/AVOS/{task}", text, own[i // 8], None) for i, text in enumerate(own)]
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
    scorer = Scorer(ScoreConfig(reward_tasks="all", similarity=encoder, judge=judge))

    table = Table("task", "answers/s", "", title=f"{number} answers per task, whole path from the row to the reward")
    encoder.similarity([CaptionPair("warm", "up")])
    for task, rows in by_task.items():
        captioned = "judge" in TASKS[task].COMPONENTS
        if captioned:
            rate = len(rows) / seconds(lambda rows=rows, task=task: [TASKS[task].rate(row, 0.5) for row in rows])
            table.add_row(f"{task}, rules only", f"{rate:,.0f}", "reached" if rate >= GOAL else "MISSED")
        # Encoding takes minutes for all of them, and its rate does not depend on the number.
        some = rows[:256] if captioned else rows
        rate = len(some) / seconds(scorer.score, some)
        verdict = "reached" if rate >= GOAL else "MISSED"
        table.add_row(task, f"{rate:,.0f}", "encoder and judge" if captioned else verdict)
    console.print(table, f"goal of rule rewards: {GOAL:,} answers/s")

    step = [row for task in ("tag", "stg", "vs", "rc") for row in by_task[task][: number // 4]]
    pairs = [pair for row in step for pair in TASKS[row.task].rate(row, 0.5).pairs]
    console.print(
        f"a step of {len(step)} answers (tag, stg, vs, rc): {seconds(scorer.score, step):.2f} s, "
        f"of which the lexical judge {seconds(judge.judge, pairs):.3f} s"
    )

    some = pairs[:256]
    batched = len(some) / seconds(lambda: _copy(encoder).similarity(some))
    flying = len(some) / seconds(lambda: _in_flight(_copy(encoder), some))
    plain = len(some) / seconds(_one_by_one, _copy(encoder, cache_size=0), some)
    console.print(
        f"similarity of {len(some)} captions, 8 per reference: one call {batched:,.0f}/s; {flying:,.0f}/s from 64 "
        f"coroutines with one caption each; one by one {plain:,.0f}/s (ratios {batched / plain:.1f} and "
        f"{flying / plain:.1f}, goal 5)"
    )


def _one_by_one(encoder: SentenceEncoder, pairs: list[CaptionPair]) -> None:
    for pair in pairs:
        encoder.similarity([pair])


def _in_flight(encoder: SentenceEncoder, pairs: list[CaptionPair]) -> None:
    """As in verl's reward worker: one caption per request, 64 requests at a time."""

    async def go() -> None:
        slots = asyncio.Semaphore(64)

        async def one(pair: CaptionPair) -> None:
            async with slots:
                await encoder.asimilarity([pair])

        await asyncio.gather(*map(one, pairs))

    asyncio.run(go())


def _copy(encoder: SentenceEncoder, **options: int) -> SentenceEncoder:
    """The same loaded model with an empty cache."""
    other = SentenceEncoder(**options)
    other._model = encoder._model
    return other


if __name__ == "__main__":
    main()
