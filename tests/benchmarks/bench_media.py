# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Media work of a GRPO step, ours against stock verl's: same clips, same processor, same calls, one process.

    VERL_PLATFORM=cpu python tests/benchmarks/bench_media.py [--prompts 256 --samples 8]

What verl's agent loop does for each sample is done here with its own code: extract the media of the messages, build the
prompt's tokens, and compute the multimodal inputs twice (for the reward and for training). Only the dataset class
differs. Ours sends no pixels to the trainer, so what the trainer does in their place counts for ours: decode each clip
once, and make the pixels of each answer twice. vLLM processes a prompt once on every replica that answers it: its own
processor is measured, and the replicas are counted with verl's balancer and with ours (bench_router.py). Figures are
CPU seconds of all threads. Exit status 1 when a goal is missed.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from recipe.medgrpo import PLUGIN

# As this recipe's commands do, before verl is imported.
os.environ[PLUGIN] = "1"

import datasets
import numpy as np
import psutil
import torch
from omegaconf import OmegaConf
from PIL import Image
from verl.experimental.agent_loop import AgentLoopWorker
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

from data_preprocess.media.token_count import pixel_budget, video_size
from recipe.medgrpo.cpu import tiny_model
from recipe.medgrpo.model_inputs import encode, media_cache, pixels
from recipe.medgrpo.model_inputs.prompt_length import PromptLengths
from recipe.medgrpo.preflight.positions import Checker
from recipe.medgrpo.trainer import dataset

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from rollout_traffic import prompts, router, send, stock

FRAMES, HEIGHT, WIDTH = 32, 480, 854
ANSWER = list(range(40, 72))


def write_frames(root: Path, clips: int) -> list[list[str]]:
    """JPEG frames of a moving texture: neither flat (too easy to decode) nor noise (too hard)."""
    rng = np.random.default_rng(0)
    found = []
    for clip in range(clips):
        coarse = Image.fromarray(rng.integers(0, 255, (60, 107, 3), dtype=np.uint8))
        texture = np.array(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
        folder = root / f"clip{clip}"
        folder.mkdir()
        paths = [str(folder / f"{i:03}.jpg") for i in range(FRAMES)]
        for i, path in enumerate(paths):
            Image.fromarray(np.roll(texture, 6 * i, axis=1)).save(path, quality=90)
        found.append(paths)
    return found


def row_of(frames: list[str], index: int) -> dict:
    question = f"<video>When does the grasper hold the gallbladder in clip {index}? Answer with seconds."
    return {
        "prompt": [{"role": "user", "content": question}],
        "videos": [{"video": frames, "sample_fps": 0.5, "raw_fps": 0.5, **pixel_budget()}],
        "extra_info": {"num_tokens": video_size(FRAMES, HEIGHT, WIDTH).num_tokens, "num_frames": FRAMES},
    }


def tiny_processor(folder: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = [{"role": "user", "content": "When does the grasper hold the gallbladder? Answer with seconds 0.0-9.9"}]
    pq.write_table(pa.Table.from_pylist([{"messages": text}]), folder / "text.parquet")
    tiny_model.build(folder / "model", folder / "text.parquet", layers=1)
    return hf_processor(str(folder / "model")), hf_tokenizer(str(folder / "model"))


class Step:
    """The calls of one sample, as ``SingleTurnAgentLoop.run`` and ``AgentLoopWorkerTQ`` make them."""

    def __init__(self, cls, processor, tokenizer, config):
        self.cls, self.processor, self.config = cls, processor, config
        # Stock verl's pixels would fill the memory.
        self.sent = [] if cls is dataset.MedGRPODataset else None
        self.kwargs = encode.MM_PROCESSOR_KWARGS
        self.builder = create_continuous_token_builder(
            tokenizer,
            hf_model_type="qwen2_5_vl",
            chat_template_kwargs={},
            mm_processor_kwargs=self.kwargs,
            processor=processor,
        )
        self.worker = SimpleNamespace(processor=processor, tokenizer=tokenizer, distillation_enabled=False)

    async def sample(self, messages: list[dict]):
        loop = asyncio.get_running_loop()
        images, videos, _ = await self.cls.process_multi_modal_info(messages, image_patch_size=14, config=self.config)
        ids = await loop.run_in_executor(
            None, lambda: self.builder.build_initial_tokens(messages, images=images, videos=videos, mm_inputs_out={})
        )
        output = SimpleNamespace(multi_modal_data={"images": images, "videos": videos}, mm_processor_kwargs=self.kwargs)
        tokens = torch.tensor(ids + ANSWER)
        for _ in range(2):
            inputs = AgentLoopWorker._compute_multi_modal_inputs(self.worker, output, tokens)
        return ids, inputs

    async def prompts(self, rows: list[dict], samples: int) -> list:
        """Token ids and inputs of the last prompt's last sample."""
        last = None
        for row in rows:
            messages = encode.with_media(row["prompt"], row)
            answers = await asyncio.gather(*(self.sample(messages) for _ in range(samples)))
            if self.sent is not None:
                self.sent += [inputs for _, inputs in answers]
            last = answers[-1]
        return last


def make_pixels(sent: list[dict]) -> dict:
    """As the trainer, which is another process, does for the old log-probabilities and for the update."""
    media_cache._cache.cache_clear()
    media_cache._HELD.clear()
    for _ in range(2):
        for inputs in sent:
            made = pixels.with_pixels(inputs, None)
    return made


def timed(function) -> tuple[float, object]:
    gc.collect()
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def measure_step(rows, samples, processor, tokenizer, figures) -> None:
    stock = Step(RLHFDataset, processor, tokenizer, None)
    ours = Step(dataset.MedGRPODataset, processor, tokenizer, OmegaConf.create({"media": {"memory_gb": 4}}))
    asyncio.run(stock.prompts(rows[:1], 1))  # imports and pools
    stock_s, expected = timed(lambda: asyncio.run(stock.prompts(rows, samples)))
    ours_s, found = timed(lambda: asyncio.run(ours.prompts(rows, samples)))
    trainer_s, made = timed(lambda: make_pixels(ours.sent))
    assert expected[0] == found[0] and expected[1].keys() == made.keys()
    assert all(torch.equal(expected[1][name], made[name]) for name in made)
    times_less = stock_s / (ours_s + trainer_s)
    figures["step"] = {
        "stock_cpu_s": stock_s,
        "ours_cpu_s": ours_s,
        "trainer_cpu_s": trainer_s,
        "times_less": times_less,
    }
    cache = media_cache.cache_of(media_cache.MediaOptions(memory_gb=4))
    item = media_cache.items_of(encode.with_media(rows[0]["prompt"], rows[0]))[0]
    waits = []
    for _ in range(50):
        start = time.perf_counter()
        cache.submit(item, 14).result()
        waits.append(time.perf_counter() - start)
    figures["cached_clip_ms"] = 1000 * float(np.median(waits))
    assert cache.stats["decoded"] == len(rows), cache.stats


def measure_vllm(model: Path, rows: list[dict], samples: int, replicas: int, figures) -> None:
    """What vLLM's processor costs in a step. Last: importing vLLM changes the process."""
    checker = Checker(str(model))
    inputs = [checker.trainer(row, media_cache.MediaOptions(memory_gb=4)) for row in rows[:8]]
    checker.rollout(inputs[0].ids, inputs[0].images, inputs[0].videos)  # imports
    seconds, _ = timed(lambda: [checker.rollout(one.ids, one.images, one.videos) for one in inputs])
    each, traffic = seconds / len(inputs), prompts(len(rows), samples, 0)
    homes = {"stock": stock(replicas), "ours": router(replicas, samples)}
    processed = {side: len(rows) * send(balancer, traffic).replicas_per_group for side, balancer in homes.items()}
    step = figures["step"]
    whole = {"stock": step["stock_cpu_s"], "ours": step["ours_cpu_s"] + step["trainer_cpu_s"]}
    whole = {side: cpu_s + each * processed[side] for side, cpu_s in whole.items()}
    figures["vllm"] = {"replicas": replicas, "cpu_s_per_prompt": each, "prompts_processed": processed}
    figures["step_with_vllm"] = {"cpu_s": whole, "times_less": whole["stock"] / whole["ours"]}


def measure_filter(rows, processor, tokenizer, folder: Path, figures, many: int = 200_000) -> None:
    """Rows per second and core; stock verl decodes and processes every row, ours reads two columns."""
    few = datasets.Dataset.from_list(rows[:8])
    few.to_parquet(folder / "few.parquet")
    config = {"max_prompt_length": 8192, "cache_dir": str(folder), "filter_overlong_prompts_workers": None}
    config = OmegaConf.create({**config, "mm_processor_kwargs": encode.MM_PROCESSOR_KWARGS})
    stock_s, kept = timed(lambda: RLHFDataset(str(folder / "few.parquet"), tokenizer, config, processor))
    assert len(kept) == len(few)
    table = datasets.concatenate_datasets([datasets.Dataset.from_list(rows[:8])] * (many // 8))
    keys = SimpleNamespace(image_key="images", video_key="videos", audio_key="audios", processor=True)
    build = partial(RLHFDataset._build_messages, keys, key="prompt")
    ours_s, long = timed(lambda: PromptLengths(table, build, processor).above(8192))
    assert not long
    figures["filter"] = {"stock_rows_per_s": len(few) / stock_s, "ours_rows_per_s": len(table) / ours_s}


def measure_memory(clips, processor, figures, steps: int = 200) -> None:
    """Resident memory while clips come and go under a bound that holds a third of them."""
    process, sizes = psutil.Process(), []
    cache = media_cache.cache_of(media_cache.MediaOptions(memory_gb=len(clips) * 3e6 / 3 / 2**30))
    for step in range(steps):
        chosen = [clips[(step * 4 + i) % len(clips)][:8] for i in range(4)]
        items = [{"type": "video", "video": frames, "sample_fps": 0.5, **pixel_budget()} for frames in chosen]
        for future in [cache.submit(item, 14) for item in items for _ in range(8)]:
            frames, metadata = future.result()
            processor.video_processor(
                videos=[frames], video_metadata=[metadata], do_resize=False, do_sample_frames=False, return_tensors="pt"
            )
        sizes.append(process.memory_info().rss / 2**20)
    assert cache.stats["evicted"] > steps and cache.nbytes <= cache.options.memory_gb * 2**30, cache.stats
    growth = {"rss_mib_step_20": sizes[19], "rss_mib_last": sizes[-1], "growth": sizes[-1] / sizes[19]}
    figures["memory"] = {"steps": steps, **growth}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=16, help="256 is the full size")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--replicas", type=int, default=8, help="of vLLM")
    args = parser.parse_args()
    figures = {"prompts": args.prompts, "samples": args.samples, "clip": f"{FRAMES} frames {WIDTH}x{HEIGHT}"}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        processor, tokenizer = tiny_processor(folder)
        clips = write_frames(folder, args.prompts)
        rows = [row_of(frames, index) for index, frames in enumerate(clips)]
        measure_memory(clips, processor, figures)
        measure_filter(rows, processor, tokenizer, folder, figures)
        measure_step(rows, args.samples, processor, tokenizer, figures)
        measure_vllm(folder / "model", rows, args.samples, args.replicas, figures)
    print(json.dumps(figures, indent=2))
    kept = (
        figures["step"]["times_less"] >= 5
        and figures["cached_clip_ms"] <= 10
        and figures["filter"]["ours_rows_per_s"] >= 100_000
        and figures["memory"]["growth"] <= 1.02
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
