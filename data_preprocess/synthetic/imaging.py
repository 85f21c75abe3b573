# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A small drawn world of single images in OmniMedVQA's raw format: 8 modalities, 5 question types.

    python -m data_preprocess.synthetic.imaging --out DIR

The modality is the picture's palette, the organ its shape, the finding a spot's colour, its grade the spot's size, its
side where it lies. Some records have the published files' own defects.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from data_preprocess.common.atomic_file import write_whole
from data_preprocess.common.cli_types import at_least
from data_preprocess.common.run_summary import run_to_status
from data_preprocess.images.labels import MODALITIES, QUESTION_TYPES

#: Pixels of an image; 9 tokens of Qwen2-VL.
SIZE = 84
# Background and organ of each modality, red green blue.
_COLOURS = (
    ((10, 10, 14), (150, 150, 155)), ((30, 30, 60), (120, 120, 190)), ((0, 0, 0), (225, 225, 225)),
    ((18, 24, 18), (90, 120, 90)), ((224, 172, 150), (170, 110, 90)), ((60, 14, 6), (210, 90, 40)),
    ((4, 30, 34), (80, 200, 190)), ((240, 225, 240), (190, 120, 190)),
)  # fmt: skip
_PALETTES = dict(zip(MODALITIES, _COLOURS, strict=True))
_ORGANS = ("Lung", "Liver", "Heart", "Kidney")
_FINDINGS = {
    "Nodule": (250, 240, 60),
    "Cyst": (60, 130, 250),
    "Bleeding": (230, 30, 30),
    "Calcification": (40, 210, 60),
}
_GRADES = {"Mild": 5, "Moderate": 9, "Severe": 14}
_SIDES = {"Left": 0.3, "Right": 0.7}
_KINDS = ("CT", "MRI", "X-Ray", "Ultrasound", "Dermoscopy", "Fundus photograph", "OCT", "Microscopy")


def _draw(modality: str, organ: str, finding: str, grade: str, side: str, rng: np.random.Generator) -> Image.Image:
    background, tissue = _PALETTES[modality]
    image = Image.new("RGB", (SIZE, SIZE), background)
    pen = ImageDraw.Draw(image)
    low, high, middle = 8, SIZE - 8, SIZE // 2
    if organ == "Lung":
        pen.ellipse([low, low + 8, high, high - 8], fill=tissue)
    elif organ == "Liver":
        pen.rectangle([low, low + 12, high, high - 12], fill=tissue)
    elif organ == "Heart":
        pen.polygon([(low, low), (high, low), (middle, high)], fill=tissue)
    else:
        pen.polygon([(middle, low), (high, middle), (middle, high), (low, middle)], fill=tissue)
    x, y, radius = int(_SIDES[side] * SIZE), int(rng.integers(32, 44)), _GRADES[grade]
    pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_FINDINGS[finding])
    noise = rng.normal(0, 3, (SIZE, SIZE, 1))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def _question(kind: str, modality: str, facts: tuple[str, str, str, str], rng: np.random.Generator):
    """Text, options in random order, and the right one."""
    organ, finding, grade, side = facts
    technique = _KINDS[list(MODALITIES).index(modality)]
    text, choices, right = {
        "Anatomy Identification": ("Which organ does this image show?", list(_ORGANS), organ),
        "Disease Diagnosis": ("What is the finding in this image?", list(_FINDINGS), finding),
        "Lesion Grading": ("How severe is the lesion?", list(_GRADES), grade),
        "Modality Recognition": ("What imaging technique was used?", [], technique),
        "Other Biological Attributes": (
            "Does the lesion lie in the left half of the image?", ["Yes", "No"], "Yes" if side == "Left" else "No"),
    }[kind]  # fmt: skip
    if not choices:
        others = [one for one in _KINDS if one != right]
        choices = [right, *(str(one) for one in rng.choice(others, 3, replace=False))]
    return text, [choices[i] for i in rng.permutation(len(choices))], right


def generate(out: Path, *, seed: int = 0, images_per_modality: int = 20) -> Path:
    """Draw ``out/Images`` and ``out/QA_information/Open-access``; each image has one question of each type."""
    out = Path(out)
    for place, modality in enumerate(MODALITIES):
        dataset = f"Drawn{place}"
        folder = out / "Images" / dataset
        folder.mkdir(parents=True, exist_ok=True)
        records = []
        for number in range(images_per_modality):
            rng = np.random.default_rng((seed, place, number))
            facts = tuple(str(rng.choice(list(table))) for table in (_ORGANS, _FINDINGS, _GRADES, _SIDES))
            _draw(modality, *facts, rng).save(folder / f"{number:04d}.png")
            for kind in QUESTION_TYPES:
                text, options, right = _question(kind, modality, facts, rng)
                record = {
                    "dataset": dataset,
                    "question_id": f"{dataset}_{len(records):04d}",
                    "question_type": kind,
                    "question": text,
                    "gt_answer": right + ("." if len(records) % 7 == 0 else ""),
                    "image_path": f"Images/{dataset}/{number:04d}.png",
                    **{f"option_{letter}": option for letter, option in zip("ABCD", options, strict=False)},
                    "modality_type": modality,
                }
                if place == 0 and not records:
                    record["modality"] = record.pop("modality_type")
                records.append(record)
        path = out / "QA_information" / "Open-access" / f"{dataset}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(records, indent=1))
    return out


def main(argv: Sequence[str] | None = None) -> int:
    name = "data_preprocess.synthetic.imaging"
    cli = argparse.ArgumentParser(prog=f"python -m {name}", description=__doc__.split("\n")[0])
    cli.add_argument("--out", type=Path, required=True, help="folder for the images and the JSON files")
    cli.add_argument("--seed", type=at_least(0), default=0, help="(%(default)s)")
    cli.add_argument("--images-per-modality", type=at_least(1), default=20, help="each has 5 questions (%(default)s)")
    arguments = cli.parse_args(argv)
    return run_to_status(lambda: print(generate(**vars(arguments))), arguments.out)


if __name__ == "__main__":
    sys.exit(main())
