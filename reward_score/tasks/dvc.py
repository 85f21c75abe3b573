# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""DVC, dense video captioning: all events of a clip, each with its time and a sentence.

Answer: one line per event, ``36.0-49.0 seconds: place an underpad: <sentences>``, in seconds from the first frame.

Reward: half the temporal F1, half the captions (`tasks.caption`). It differs knowingly from the leaderboard. Events are
matched one to one (there, fragments may cover an event together). An event without a partner counts as a caption of 0
(there, only matched pairs are judged), and an answer without any scores 0 (there, it is skipped). Nothing is cut to
frames; zero-length events are widened. Surplus (`tasks.surplus`) are events said twice, events beyond twice the
reference's number, lines that belong to no event, and what a caption says again or beyond its limit.
"""

import math
import re
from functools import lru_cache
from typing import Any, NamedTuple

from reward_score.errors import BadGroundTruth
from reward_score.ground_truth import load_struc_info, read_span
from reward_score.sample import CaptionPair, Rating, Sample
from reward_score.tasks.caption import length_factor, word_limit, words
from reward_score.tasks.geometry import Span, merge_spans, span_iou, widen, widen_answer
from reward_score.tasks.surplus import Range, around, concise, distinct

COMPONENTS = ("raw", "similarity", "judge")
THRESHOLDS = (0.3, 0.5, 0.7)

Event = tuple[float, float, str]

_HEADER = r"\d+(?:\.\d+)?-\d+(?:\.\d+)?\s+seconds?:"
_EVENT = re.compile(rf"(?<!\d)(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)\s+seconds?:\s+(.*?)(?=\n{_HEADER}|\Z)", re.DOTALL)
# The fall-back for Markdown answers works line by line; its caption runs to the end of the line.
_MARKDOWN = re.compile(
    r"(?:\*\*Start Time:\*\*|Start\s*\(?Time\)?|Time\s*Range:|Time\s*Interval:|^)"
    r"\s*(\d+(?:\.\d*)?)\s*[-–]\s*(\d+(?:\.\d*)?)\s*seconds?"
)
_CAPTION_MARK = re.compile(r"(?:\*\*Description:\*\*|-)(?=.)", re.DOTALL)
_CANONICAL = re.compile(r"(?:\d+(?:\.\d+)?-\d+(?:\.\d+)? seconds: \S[^\n]*(?:\n|\Z))+")
_FAR = 1e9


def parse(text: str) -> list[Event]:
    """Events (start, end, caption) in seconds, in the order of the text, as the leaderboard reads them.

    Quirks kept: no spaces around the hyphen, at least one space or newline after ``seconds:``; a further event starts
    only right after a newline, so bulleted, indented or one-line lists, and the event after an empty caption, end up
    in the caption before; of equal times the first event counts; a Markdown-like form is read only if all else fails.
    """
    return _unique([found.event for found in _find(text)]) or [found.event for found in _find_markdown(text)]


class _Found(NamedTuple):
    """An event and the place of its text."""

    event: Event
    place: Range


def _find(text: str, lines: int | None = None) -> list[_Found]:
    """All events in the main form, repeated times included; of a longer caption only the first `lines` lines."""
    events = []
    for match in _EVENT.finditer(text):
        caption = "\n".join(match[3].split("\n")[:lines])
        event = float(match[1]), float(match[2]), caption.strip().replace("\n", " ")
        events.append(_Found(event, (match.start(), match.start(3) + len(caption.rstrip()))))
    return events


def _find_markdown(text: str) -> list[_Found]:
    events, start = [], len(text) - len(text.lstrip())
    for line in text.strip().split("\n"):
        header = _MARKDOWN.search(line)
        mark = header and _CAPTION_MARK.search(line, header.end())
        if header and mark:
            caption = line[mark.end() :].strip().rstrip(".")
            events.append(_Found((float(header[1]), float(header[2]), caption), (start, start + len(line))))
        start += len(line) + 1
    return events


def _unique(events: list[Event]) -> list[Event]:
    """The first event of each pair of times."""
    by_span: dict[Span, Event] = {}
    for event in events:
        by_span.setdefault(event[:2], event)
    return list(by_span.values())


def flatten(spans: list[Span]) -> list[Span]:
    """Spans as they stand, or, if any two overlap, the pieces between all their ends that some span covers.

    Quirk kept: cutting drops reversed and zero-length spans, which stay as long as nothing overlaps.
    """
    ordered = sorted(spans)
    if all(later[0] >= earlier[1] for earlier, later in zip(ordered, ordered[1:], strict=False)):
        return spans
    points = sorted({point for span in spans for point in span})
    covered = merge_spans([span for span in spans if span[0] < span[1]])
    pieces, i = [], 0
    for start, end in zip(points, points[1:], strict=False):
        while i < len(covered) and covered[i][1] <= start:
            i += 1
        if i < len(covered) and covered[i][0] <= start:
            pieces.append((start, end))
    return pieces


def _events(struc_info: Any) -> list[Event]:
    """Reference events that have a caption; quirk kept: of a list of lists only the first list is read."""
    if isinstance(struc_info, list) and struc_info:
        first = struc_info[0]
        if isinstance(first, list):
            struc_info = first
        elif isinstance(first, dict) and "dc_segments" in first:
            struc_info = first["dc_segments"]
    events = []
    for item in struc_info if isinstance(struc_info, list) else []:
        if isinstance(item, dict) and {"start", "end", "caption"} <= item.keys():
            events.append((*read_span(item, "event"), str(item["caption"]).strip()))
    return events


class _References(NamedTuple):
    """Events of distinct times as labelled, and their times after widening."""

    spans: list[Span]
    wide: list[Span]
    captions: list[str]
    #: Words up to which a caption is not overlong.
    limit: int
    #: Of the longest caption.
    lines: int
    #: Events whose times another one has too.
    repeats: int


@lru_cache(maxsize=4096)
def _references(struc_info: str, answer: str, fps: float) -> _References:
    structured = load_struc_info(struc_info)
    if isinstance(structured, list) and structured and all(isinstance(item, list) for item in structured):
        structured = [item for segments in structured for item in segments]
    events = _events(structured) or [found.event for found in _find(answer) or _find_markdown(answer)]
    if not events:
        raise BadGroundTruth("no reference events in struc_info, and none in the reference answer")
    # Equal times are one event here, as they are for an answer.
    unique = _unique([(min(event[:2]), max(event[:2]), event[2]) for event in events])
    spans, captions = [event[:2] for event in unique], [event[2] for event in unique]
    wide = [widen(span, fps) for span in spans]
    told = [*captions, *(match[3].strip() for match in _EVENT.finditer(answer))]
    lines = 1 + max(caption.count("\n") for caption in told)
    return _References(spans, wide, captions, word_limit(max(map(words, captions))), lines, len(events) - len(unique))


def _match(spans: list[Span], references: list[Span]) -> list[tuple[float, int, int]]:
    """One-to-one pairs (IoU, event, reference) with an IoU above the lowest threshold, best pairs first."""
    candidates = [
        (iou, i, j)
        for i, span in enumerate(spans)
        for j, reference in enumerate(references)
        if (iou := span_iou(span, reference)) > THRESHOLDS[0]
    ]
    pairs, used, taken = [], set(), set()
    for iou, i, j in sorted(candidates, key=lambda pair: -pair[0]):
        if i not in used and j not in taken:
            pairs.append((iou, i, j))
            used.add(i)
            taken.add(j)
    return pairs


def rate(sample: Sample, fallback: float) -> Rating:
    """Reward parts of one answer: mean one-to-one F1 over the thresholds, and the captions of the matched events.

    Format is 1 in the official form, `fallback` if events are found otherwise or times repeat. It is `fallback` as well
    if any had to be dropped: reversed, endless, or of no length where the reference has a length.

    Example:
        >>> from reward_score import make_sample
        >>> reference = "0.0-9.0 seconds: A hook cuts.\\n9.0-12.0 seconds: A clip is set."
        >>> rating = rate(make_sample("medvidbench/AVOS/dvc", "0.0-9.0 seconds: Hooks cut.", reference, None), 0.5)
        >>> round(rating.raw, 3), rating.format, rating.n_pairs, rating.pairs
        (0.667, 1.0, 2, [CaptionPair(candidate='Hooks cut.', reference='A hook cuts.')])
    """
    references = _references(sample.struc_info, sample.reference, sample.fps)
    listed = _find(sample.answer, references.lines) or _find_markdown(sample.answer)
    first: dict[Span, _Found] = {}
    for found in listed:
        first.setdefault(found.event[:2], found)
    proper = [
        (wide, found)
        for span, found in first.items()
        if span[0] <= span[1] < _FAR and (wide := widen_answer(span, references.spans, sample.fps)) is not None
    ]
    if not proper:
        return Rating(0.0, 0.0)
    pairs = _match([span for span, _ in proper], references.wide)
    # Dropped and repeated events match nothing, yet they were claimed.
    repeats = max(0, len(listed) - len(first) - references.repeats)
    claimed = len(first) + repeats
    total = claimed + len(references.spans)
    f1 = sum(2 * sum(iou > threshold for iou, _, _ in pairs) / total for threshold in THRESHOLDS) / len(THRESHOLDS)
    complete = len(proper) == len(first) and not repeats
    canonical = complete and _CANONICAL.fullmatch(sample.answer.strip())
    captions, surplus = _distinct_captions([found.event[2] for _, found in proper], references)
    useful = [found.place for _, found in proper][: 2 * len(references.spans)]
    if not repeats:
        # The reference says some times twice, and so may an answer.
        useful += [found.place for found in listed if found is not first[found.event[:2]]]
    matched = [CaptionPair(captions[i], references.captions[j]) for _, i, j in pairs]
    matched = [pair for pair in matched if pair.candidate or not pair.reference]
    factor = concise(surplus + around(sample.answer, useful), sample.reference or "\n".join(references.captions))
    return Rating(1.0 if canonical else fallback, f1, matched, max(claimed, len(references.spans)), concise=factor)


def _distinct_captions(captions: list[str], references: _References) -> tuple[list[str], float]:
    """Captions without what they say again, and their surplus characters."""
    said = "\n".join(references.captions)
    kept, surplus = [], 0.0
    for caption in captions:
        caption, again = (caption, 0) if caption in references.captions else distinct(caption, said)
        kept.append(caption)
        surplus += again + len(caption) * (1 - length_factor(caption, references.limit))
    return kept, surplus


def metric(prediction: str, struc_info: Any, fps: float) -> dict[str, Any]:
    """DVC_F1 of one record, as the leaderboard computes it.

    Overlapping predictions are cut (`flatten`), both sides become frames by ``int(seconds * fps)``. At each threshold
    a prediction (reference) is covered if any pair has a higher IoU, reversed ends swapped; precision and recall are
    averaged over the thresholds, then combined. Quirk kept: records without a parsed event or without references are
    left out, not scored 0. Times whose frame overflows, which break the official code, are dropped.

    Returns:
        `parsed`, `flattened` (seconds), `n_gt`, and `precision`, `recall`, `f1`: None when the record is left out.
    """
    parsed, references = parse(prediction), _events(struc_info)
    flattened = flatten([event[:2] for event in parsed])
    result = {"parsed": parsed, "flattened": flattened, "n_gt": len(references)}
    predicted = _frames(flattened, fps)
    expected = _frames([event[:2] for event in references], fps)
    if not predicted or not expected:
        return result | {"precision": None, "recall": None, "f1": None}
    ious = [[span_iou(span, reference) for reference in expected] for span in predicted]
    by_reference = [max(column) for column in zip(*ious, strict=True)]
    precision = recall = 0.0
    for threshold in THRESHOLDS:
        precision += sum(max(row) > threshold for row in ious) / len(predicted) / len(THRESHOLDS)
        recall += sum(best > threshold for best in by_reference) / len(expected) / len(THRESHOLDS)
    f1 = 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0
    return result | {"precision": precision, "recall": recall, "f1": f1}


def _frames(spans: list[Span], fps: float) -> list[Span]:
    scaled = [(start * fps, end * fps) for start, end in spans]
    frames = [(int(start), int(end)) for start, end in scaled if math.isfinite(start) and math.isfinite(end)]
    return [(min(span), max(span)) for span in frames]


def judge_pairs(prediction: str, struc_info: Any) -> dict[float, list[tuple[int, int]]] | None:
    """(event, reference) indices that go to the leaderboard's caption judge, per threshold; None when undefined.

    Every parsed event, uncut and in seconds, is paired with its reference of highest IoU if that reaches the
    threshold; a reference may serve several events. The indices point into `parse` and `reference_captions`.
    """
    parsed, references = parse(prediction), _events(struc_info)
    if not parsed or not references:
        return None
    pairs: dict[float, list[tuple[int, int]]] = {threshold: [] for threshold in THRESHOLDS}
    for i, event in enumerate(parsed):
        ious = [span_iou(event[:2], reference[:2], hull=False) for reference in references]
        j = max(range(len(ious)), key=ious.__getitem__)
        for threshold in THRESHOLDS:
            if ious[j] >= threshold:
                pairs[threshold].append((i, j))
    return pairs


def reference_captions(struc_info: Any) -> list[str]:
    """Captions of the reference events, in the order that `judge_pairs` counts them."""
    return [event[2] for event in _events(struc_info)]
