# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Questions and answers about a drawn clip, in the record schema and the answer formats of MedVidBench.

Captions of the ``_gpt`` and ``_gemini`` variants tell the same scene in different words.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_preprocess.synthetic.scene import Scene, timeline
from data_preprocess.synthetic.world import VOCABULARY, Action

CAPTION_TASKS = {"vs": "video_summary", "rc": "region_caption", "dvc": "dense_captioning"}
QA_TYPES = {"tag": "tal", "stg": "stg", "nap": "next_action", "sa": "skill_assessment", "cvs": "cvs_assessment"}
AUTHORS = ("gpt", "gemini")
#: End of a twin's name.
TWIN = "-Twin"
_PLURAL = ("forceps", "scissors")


@dataclass(frozen=True)
class Dialogue:
    """What one record asks and answers; ``region`` is (frame, box in pixels) of a region caption."""

    request: str
    answer: str
    struc_info: list
    region: tuple[int, list[int]] | None = None


def build_record(
    scene: Scene, task: str, author: str, rng: np.random.Generator, video_id: str, paths: list[str], numbers: list[int]
) -> dict:
    """One record about ``scene``; a caption follows the style of ``author``, "gpt" or "gemini"."""
    words = VOCABULARY[scene.source.name]
    dialogue = _DIALOGUES[task](scene, author, rng)
    question = f"<video>\nYou are an expert in {words.field}. This is {scene.source.name}. {dialogue.request}"
    fps = str(scene.fps)
    first, last = numbers[0], numbers[-1]
    in_seconds = "time" in words.extent
    extent = [str(round(n / words.frame_rate, 1) if in_seconds else n) for n in (first, last)]
    region = dialogue.region
    return {
        "id": f"{video_id}&&{first}&&{last}&&{fps}",
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": dialogue.answer}],
        "video": paths,
        "sampled_video_frames": numbers,
        "metadata": {
            "fps": fps,
            "video_id": video_id,
            words.extent.format("start"): extent[0],
            words.extent.format("end"): extent[1],
        },
        "qa_type": f"{CAPTION_TASKS[task]}_{author}" if task in CAPTION_TASKS else QA_TYPES[task],
        "data_source": words.spelling,
        "struc_info": dialogue.struc_info,
        "is_RC": task == "rc",
        "RC_info": {"start_frame": paths[region[0]], "start_frame_bbox": region[1]} if region else None,
    }


def twin_of(record: dict) -> dict:
    """A TAG record's twin: the same clip and spans under another source, as time before the clip's last frame.

    Both are equally hard, and neither's answers are right for the other: what becomes of two sources can be compared
    without a difference between them.
    """
    last = (len(record["video"]) - 1) / float(record["metadata"]["fps"])
    [info] = record["struc_info"]
    spans = [
        {"start": round(last - span["end"], 1), "end": round(last - span["start"], 1)}
        for span in reversed(info["spans"])
    ]
    name = record["data_source"]
    question = record["conversations"][0]["value"].replace(
        f"This is {name}.", f"This is {name}{TWIN}: its clock counts back from the last frame."
    )
    return record | {
        "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": _spans_text(spans)}],
        "data_source": name + TWIN,
        "struc_info": [info | {"spans": spans}],
    }


def _spans_text(spans: list[dict]) -> str:
    return ", ".join(f"{span['start']}-{span['end']}" for span in spans) + " seconds."


def _tag(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    words = VOCABULARY[scene.source.name]
    acting = [tool for tool in scene.tools if tool.spans]
    tool = acting[0] if len(acting) == 1 or rng.random() < 0.7 else acting[1]
    labels = [action.label for action in words.actions]
    spans = [{"start": scene.seconds(first), "end": scene.seconds(last)} for first, last in tool.spans]
    request = _pick(
        rng,
        f"When does '{tool.action.label}' happen during {words.procedure}?",
        f"Give the time spans of '{tool.action.label}' in this {words.procedure}.",
        f"Of the actions {', '.join(labels)}, when does '{tool.action.label}' happen?",
    )
    info = {"action": tool.action.label, "procedure": words.procedure, "action_list": labels, "spans": spans}
    return Dialogue(request, _spans_text(spans), [info])


def _stg(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    tool = scene.tools[0]
    stride = int(rng.integers(scene.source.stride[0], scene.source.stride[1] + 1))
    count = int(rng.integers(2, min(4, (scene.num_frames - 1) // stride + 1) + 1))
    # The end of the interval may lie off the grid, and is then no timestamp of the answer.
    room = scene.num_frames - 1 - (count - 1) * stride
    start = int(rng.integers(room + 1)) if rng.random() < scene.source.late else 0
    end = start + (count - 1) * stride + int(rng.integers(min(room - start, stride - 1) + 1))
    a, b, every = scene.seconds(start), scene.seconds(end), scene.seconds(stride)
    boxes = {str(scene.seconds(f)): list(tool.boxes[f]) for f in range(start, start + count * stride, stride)}
    request = _pick(
        rng,
        f"Locate the {tool.action.instrument}, sampled every {every} seconds from {a} to {b} seconds.",
        f"Between {a} and {b} seconds, give the box of the {tool.action.instrument} every {every} seconds.",
    )
    answer = " ".join(f"{time} seconds: {box}" for time, box in boxes.items())
    return Dialogue(request, answer, [{"bbox_dict": boxes, "start": a, "end": b}])


def _vs(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    procedure = VOCABULARY[scene.source.name].procedure
    main, other = scene.tools
    often = "twice" if len(main.spans) > 1 else "once"
    if author == "gpt":
        request = _pick(rng, "Summarize the video in a short paragraph.", "Write a short summary of the video.")
        aside = f"{_does(other.action)} it too" if other.spans else f"{_be(other.action)} idle"
        answer = f"During {procedure}, the {_does(main.action)} the {scene.anatomy} {often} while the {aside}."
    else:
        request = _pick(rng, "Describe what happens in the video.", "Tell what is done in the video.")
        plural = other.action.instrument in _PLURAL
        s = "" if plural else "s"
        aside = f"help{s} to {other.action.verb}" if other.spans else f"rest{s} aside"
        answer = (
            f"The clip shows {procedure}: the {_be(main.action)} used {often} to {main.action.verb} "
            f"the {scene.anatomy}, the {other.action.instrument} {aside}."
        )
    return Dialogue(request, answer, [])


def _rc(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    procedure = VOCABULARY[scene.source.name].procedure
    tool = scene.tools[0] if rng.random() < 0.75 else scene.tools[1]
    frame = int(rng.integers(scene.num_frames // 2))
    last = int(rng.integers(scene.num_frames // 2, scene.num_frames))
    a, b = scene.seconds(frame), scene.seconds(last)
    works = any(first <= last and end >= frame for first, end in tool.spans)
    where = f"inside the bounding box at {a} seconds, over the interval from {a} to {b} seconds"
    if author == "gpt":
        request = _pick(rng, f"Describe the action {where}.", f"Describe what is done {where}.")
        deed = f"{_does(tool.action)} the" if works else f"{_be(tool.action)} held still near the"
        answer = f"The {deed} {scene.anatomy} in the marked region during {procedure}."
    else:
        request = _pick(rng, f"What is seen {where}?", f"What happens {where}?")
        deed = f"used to {tool.action.verb} the" if works else "idle beside the"
        answer = f"In this {procedure}, the {_be(tool.action)} {deed} {scene.anatomy} within the box."
    return Dialogue(request, answer, [], (frame, list(tool.boxes[frame])))


def _dvc(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    words = VOCABULARY[scene.source.name]
    labelled = scene.source.name == "NurViD"
    segments, lines = [], []
    for first, last, tool in timeline(scene):
        caption = f"In this {words.procedure}, the {_be(tool.action)} used to {tool.action.verb} the {scene.anatomy}."
        if author == "gpt":
            caption = f"The {_does(tool.action)} the {scene.anatomy} during {words.procedure}."
        start, end = scene.seconds(first), scene.seconds(last)
        segments.append({"start": start, "end": end, "caption": caption})
        lines.append(f"{start}-{end} seconds: " + (f"{tool.action.label}: " if labelled else "") + caption)
    labels = ", ".join(action.label for action in words.actions)
    request = _pick(
        rng,
        f"Caption every action of {words.procedure} with its time: {labels}.",
        f"List all actions with times and captions. Actions: {labels}.",
    )
    return Dialogue(request, "\n".join(lines), [{"dc_segments": segments}] if labelled else [segments])


def _nap(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    actions = VOCABULARY[scene.source.name].actions
    labels = [action.label for action in actions]
    following = labels[(scene.tools[0].kind + 1) % len(labels)]
    request = _pick(rng, f"The steps are {labels}. What comes next?", f"Steps: {labels}. Which step follows?")
    return Dialogue(request, following, [{"action_list": labels, "next_action": following}])


def _sa(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    mean = sum(scene.scores.values()) / len(scene.scores)
    request = _pick(rng, "Rate the six aspects of skill from 1 to 5.", "Score the skill in six aspects, each 1 to 5.")
    answer = ", ".join(f"{aspect}: {score}/5" for aspect, score in scene.scores.items())
    level = "N" if mean <= 2 else "I" if mean <= 3.5 else "E"
    return Dialogue(request, answer, [{"skill_level": level, "skill_scores": scene.scores}])


def _cvs(scene: Scene, author: str, rng: np.random.Generator) -> Dialogue:
    request = _pick(
        rng,
        "Score Strasberg's three criteria of the critical view of safety, each 0 to 2.",
        "Rate the critical view of safety: three criteria, each 0, 1 or 2.",
    )
    answer = ", ".join(f"{name.replace('_', ' ').capitalize()}: {score}" for name, score in scene.scores.items())
    return Dialogue(request, answer, [{"cvs_scores": scene.scores}])


_DIALOGUES: dict[str, Callable[[Scene, str, np.random.Generator], Dialogue]] = {
    "tag": _tag, "stg": _stg, "vs": _vs, "rc": _rc, "dvc": _dvc, "nap": _nap, "sa": _sa, "cvs": _cvs,
}  # fmt: skip


def _pick(rng: np.random.Generator, *choices: str) -> str:
    return choices[rng.integers(len(choices))]


def _does(action: Action) -> str:
    """`hook dissects`, `scissors cut`."""
    ending = "" if action.instrument in _PLURAL else "es" if action.verb.endswith("s") else "s"
    return f"{action.instrument} {action.verb}{ending}"


def _be(action: Action) -> str:
    return f"{action.instrument} {'are' if action.instrument in _PLURAL else 'is'}"
