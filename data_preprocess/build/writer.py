# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A source's videos -> OUT/<Source>.json, the requests for captions, and a summary; one video in memory at a time."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from tqdm import tqdm

from data_preprocess.build.annotated import AnnotatedVideo, Run, Settings, Source
from data_preprocess.build.extract import extract
from data_preprocess.build.published import need, number, objects, read_json
from data_preprocess.build.records import record_of
from data_preprocess.build.tasks import drafts
from data_preprocess.common.atomic_file import whole_file, write_whole
from data_preprocess.common.errors import InputError
from data_preprocess.media.frames import FrameError

_WITH_TRANSCRIPT = "videos with a transcript (<video id>.json)"


@dataclass
class Built:
    """What was written: records by task, ``asked`` of them requests for captions; what was left out or repaired."""

    source: str
    answered: Path
    requests: Path
    records: Counter = field(default_factory=Counter)
    videos: int = 0
    asked: int = 0
    notes: dict[str, int] = field(default_factory=dict)


def build(source: Source, root: Path, out: Path, settings: Settings, *, seed: int = 0, overlap: float = 0.5) -> Built:
    """Write the records of a source; windows have the share ``overlap`` in common with the next one.

    Raises:
        InputError: the files are not as the publishers describe them, or nothing came of them.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder. Give the folder of {source.name} with --root")
    if out.resolve().is_relative_to(root.resolve()):
        raise InputError(f"--out {out} lies in --root, whose files are searched. Give a folder outside of it")
    if settings.transcripts and not settings.transcripts.is_dir():
        raise InputError(f"{settings.transcripts} is not a folder. Give that of the transcripts with --transcripts")
    out.mkdir(parents=True, exist_ok=True)
    built = Built(source.name, out / f"{source.name}.json", out / f"{source.name}_captions.jsonl", notes=settings.notes)
    with whole_file(built.answered) as answered, whole_file(built.requests) as requests:
        with answered.open("wb") as records, requests.open("wb") as lines:
            separator = b"[\n"
            for video in tqdm(source.read(root, settings), desc=source.name, unit="video", disable=None):
                try:
                    made = list(_records(video, source, out, settings, seed, overlap))
                except FrameError as error:
                    settings.note(f"left out, with all of its video: {error}")
                    continue
                built.videos += bool(made)
                for task, record in made:
                    built.records[task] += 1
                    if "evidence" in record:
                        built.asked += 1
                        lines.write(orjson.dumps(record) + b"\n")
                    else:
                        records.write(separator + orjson.dumps(record))
                        separator = b",\n"
            records.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
        if not built.records:
            known = "; ".join(f"{count} {what}" for what, count in settings.notes.items()) or "no video is long enough"
            raise InputError(f"{root}: nothing came of {source.name}: {known}")
    _tell_what_is_missing(built, source, settings)
    summary = {"seed": seed, "overlap": overlap, "root": str(root.absolute()), "videos": built.videos}
    summary |= {"records": dict(built.records), "notes": built.notes}
    write_whole(out / f"{source.name}_summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return built


def _tell_what_is_missing(built: Built, source: Source, settings: Settings) -> None:
    """Notes of 0: a task without records, and transcripts that nothing was taken from."""
    for task in source.tasks:
        if not built.records[task]:
            settings.notes[f"{task.upper()} records; are the files that they come from in --root? (docs/build.md)"] = 0
    if settings.transcripts:
        settings.notes.setdefault(_WITH_TRANSCRIPT, 0)


def _records(
    video: AnnotatedVideo, source: Source, out: Path, settings: Settings, seed: int, overlap: float
) -> Iterator[tuple[str, dict]]:
    """(task, record) of a video, whose frames are there by then."""
    frames = video.frames
    if settings.transcripts:
        said = _transcript(settings.transcripts / f"{video.id}.json")
        settings.note(_WITH_TRANSCRIPT, bool(said))
        video.facts = [*video.facts, *said]
    found = list(drafts(video, source, seed, overlap))
    folder = out.absolute() / "frames" / source.name / video.id
    paths = frames.paths
    if paths is None:
        numbers = sorted({number for draft in found for number in draft.clip.numbers})
        paths = {number: f"{folder}/{number:06d}.jpg" for number in numbers}
        if not settings.skip_frames:
            wanted = {path: frames.second(number) for number, path in paths.items()}
            extract(frames.video, wanted, frames.seconds)
    for draft in found:
        record = record_of(draft, video, source, [paths[number] for number in draft.clip.numbers], seed)
        yield draft.task, record


def _transcript(path: Path) -> list[Run]:
    """What is said, as Whisper writes it; [] without such a file."""
    if not path.is_file():
        return []
    content = read_json(path, dict, 'an object with "segments", as Whisper writes')
    runs = []
    for part in objects(content.get("segments"), path, "segments"):
        start, end = (number(part.get(key), path, f"segments.{key}", "seconds") for key in ("start", "end"))
        text = need(part.get("text"), path, "segments.text", str, "what is said").strip()
        runs.append(Run(start, end, f'said: "{text}"'))
    return runs
