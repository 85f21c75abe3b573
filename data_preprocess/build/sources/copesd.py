# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""CoPESD: endoscopic submucosal dissection; each frame has a motion in words, and boxes inside the words."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from data_preprocess.build.annotated import AnnotatedVideo, Frames, Run, Settings, Source, runs_of
from data_preprocess.build.published import found_files, need, numbered_pictures, objects, read_json, unexpected
from data_preprocess.common.find_files import find

#: Boxes are shares of this on both axes: the frame (1306 x 1009) lies at the top of a square.
SQUARE, LOWEST = 1306, 0.785
_BOX = re.compile(r"(Forceps|Knife)\s*\[([^\]]*)\]")
_IMAGE = re.compile(r"([^/\\]+)[/\\](\d+)\.(?:jpg|png)$")


def read(root: Path, settings: Settings) -> Iterator[AnnotatedVideo]:
    """One video for each case that has image files."""
    rules_file = settings.labels or Path(__file__).with_name("copesd_labels.json")
    rules = _rules(rules_file)
    cases: dict[str, dict[int, tuple[str, str, str]]] = defaultdict(dict)
    files = found_files(root, "smllm_*.json", "smllm_train.json and smllm_test.json")
    for path in files:
        for place, entry in enumerate(objects(read_json(path, list, "a list of records"), path, "")):
            image = need(entry.get("image"), path, f"[{place}].image", str, "a path that ends in case/number.jpg")
            if not (found := _IMAGE.search(image)):
                raise unexpected(path, f"[{place}].image", image, "a path that ends in case/number.jpg")
            turns = objects(entry.get("conversations"), path, f"[{place}].conversations")
            if len(turns) != 2:
                raise unexpected(path, f"[{place}].conversations", turns, "two turns")
            cases[found[1]][int(found[2])] = (*(str(turn.get("value")) for turn in turns), f"{path}, [{place}]")
    labels = tuple(dict.fromkeys(rule["label"] for rule in rules))
    for case, texts in sorted(cases.items()):
        pictures = next(filter(None, map(numbered_pictures, find(root, case))), {})
        numbers = sorted(texts.keys() & pictures.keys())
        if not numbers:
            settings.note("CoPESD cases without images")
            continue
        settings.note("CoPESD annotated frames without a picture", len(texts) - len(numbers))
        frames = Frames(numbers, 1, numbers[0], paths=pictures)
        named = [(number, _rule(rules, *texts[number][:2])) for number in numbers]
        settings.note("CoPESD frames without a label", sum(rule is None for _, rule in named))
        runs = _runs([(number, rule) for number, rule in named if rule], frames)
        said = ((number, _BOX.sub(r"\1", texts[number][1])) for number in numbers)
        yield AnnotatedVideo(
            case,
            frames,
            "endoscopic submucosal dissection",
            runs,
            labels,
            covered=[run[:2] for run in runs_of(((number, "") for number, rule in named if rule), frames)],
            boxes=_boxes({number: texts[number] for number in numbers}),
            facts=runs_of(said, frames),
        )


def _rules(path: Path) -> list[dict]:
    rules = objects(read_json(path, dict, "an object").get("rules"), path, "rules")
    for place, rule in enumerate(rules):
        for key in ("label", "group"):
            need(rule.get(key), path, f"rules[{place}].{key}", str, "a text")
        for key in ("instruction", "answer"):
            try:
                re.compile(rule.get(key, ""))
            except (re.error, TypeError):
                raise unexpected(path, f"rules[{place}].{key}", rule[key], "a regular expression") from None
    return rules


def _rule(rules: list[dict], instruction: str, answer: str) -> dict | None:
    """The first rule of which both patterns are found."""
    return next((rule for rule in rules if re.search(rule.get("instruction", ""), instruction, re.IGNORECASE)
                 and re.search(rule.get("answer", ""), answer, re.IGNORECASE)), None)  # fmt: skip


def _runs(named: list[tuple[int, dict]], frames: Frames) -> list[Run]:
    """Runs of one group of labels, each with its commonest one: within a group labels alternate frame by frame."""
    runs = []
    for run in runs_of(((number, rule["group"]) for number, rule in named), frames):
        inside = (rule["label"] for number, rule in named if run.start <= frames.second(number) <= run.end)
        runs.append(run._replace(label=Counter(inside).most_common(1)[0][0]))
    return runs


def _boxes(texts: dict[int, tuple[str, str, str]]) -> dict[str, dict[int, list[float]]]:
    """Pixels by tool and frame. A case in which any box is no box as corners is written as x, y, w, h throughout."""
    found: dict[str, dict[int, list[float]]] = {"forceps": {}, "knife": {}}
    for number, (_, answer, where) in texts.items():
        for name, inside in _BOX.findall(answer):
            try:
                box = [max(0.0, float(side)) for side in inside.split(",")]
            except ValueError:
                box = []
            if len(box) != 4:
                raise unexpected(Path(where), "conversations[1]", f"{name}[{inside}]", "four numbers in the brackets")
            found[name.lower()][number] = box
    sized = any(c <= a or d <= b for boxes in found.values() for a, b, c, d in boxes.values())
    for boxes in found.values():
        for number, (a, b, c, d) in boxes.items():
            x, y = (a + c, b + d) if sized else (c, d)
            if not (a < min(x, 1) and b < min(y, LOWEST) and x <= 1.02 and y <= LOWEST + 0.02):
                where = Path(texts[number][2])
                raise unexpected(where, "conversations[1]", [a, b, c, d], f"a box within 1 x {LOWEST} of the square")
            boxes[number] = [round(side * SQUARE, 2) for side in (a, b, min(x, 1), min(y, LOWEST))]
    return found


SOURCE = Source("CoPESD", read, (30, 90, 180), 1, ("tag", "nap", "stg", "vs"))
