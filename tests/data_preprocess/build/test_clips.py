# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Windows, frames by presentation time, workbooks, wording."""

import json
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image
from published_sources import workbook

from data_preprocess.build import records
from data_preprocess.build.annotated import AnnotatedVideo, Frames, Run, Source, runs_of
from data_preprocess.build.clips import ending_at, stretches, windows, within
from data_preprocess.build.extract import extract, probe
from data_preprocess.build.published import read_sheet
from data_preprocess.build.tasks import drafts
from data_preprocess.media.frames import FrameError

SOURCE = Source("AVOS", None, (60, 600), 1, ("tag", "nap", "stg", "dvc"))


def test_windows_overlap_and_long_ones_take_fewer_frames_at_a_short_decimal_of_fps():
    frames = Frames(range(0, 1201), 1)
    found = list(windows(range(0, 1201), frames, SOURCE))
    short, long = ([clip for clip in found if len(clip.numbers) == count] for count in (61, 151))
    assert [clip.numbers[0] for clip in short[:3]] == [0, 30, 60]
    assert {clip.fps for clip in long} == {0.25} and len(long) == 3
    assert len(found) == len(short) + len(long)


@pytest.mark.parametrize(("last", "count"), [(15, 0), (25, 1), (45, 1)])
def test_a_short_stretch_is_one_clip_or_none(last, count):
    assert len(list(windows(range(0, last + 1), Frames(range(0, last + 1), 1), SOURCE))) == count


def test_stretches_end_at_gaps_of_frames_and_of_annotations():
    frames = Frames([0, 25, 50, 100, 125, 150, 175], 25, step=25)
    assert [list(one) for one in frames.stretches()] == [[0, 25, 50], [100, 125, 150, 175]]
    video = AnnotatedVideo("v", frames, "p", covered=[(0.5, 6.2)])
    assert [list(one) for one in stretches(video)] == [[25, 50], [100, 125, 150]]
    assert list(within(range(1, 102, 25), Frames([], 25, 1, 25), 1.0, 3.0)) == [26, 51, 76]


def test_runs_pass_over_a_gap_only_where_they_may():
    labelled = [(1, "a"), (2, "a"), (4, "a"), (5, "b"), (9, "b")]
    frames = Frames([], 0.5, 1)
    assert runs_of(labelled, frames) == [Run(0, 2, "a"), Run(6, 6, "a"), Run(8, 8, "b"), Run(16, 16, "b")]
    assert runs_of(labelled, frames, 1) == [Run(0, 6, "a"), Run(8, 8, "b"), Run(16, 16, "b")]


def test_the_next_action_is_not_told_where_two_are_under_way_or_nothing_is_known():
    frames = Frames(range(0, 200), 1)
    runs = [Run(0, 50, "cut"), Run(45, 70, "tie"), Run(80, 90, "sew"), Run(150, 160, "cut")]
    video = AnnotatedVideo("v", frames, "p", runs, ("cut", "tie", "sew"), covered=[(0, 100), (140, 199)])
    found = [draft for draft in drafts(video, SOURCE, 0, 0.5) if draft.task == "nap"]
    assert {(draft.clip.numbers[-1], draft.answer) for draft in found} == {(70, "sew")}
    assert ending_at(range(0, 200), frames, SOURCE, 70.4, 60).numbers == range(11, 71)


def test_a_return_of_the_same_action_is_not_skipped_over():
    runs = [Run(0, 25, "cut"), Run(25, 30, "none"), Run(30, 60, "cut"), Run(60, 65, "none"), Run(65, 120, "tie")]
    video = AnnotatedVideo("v", Frames(range(0, 121), 1), "p", runs, ("cut", "tie"), "none")
    found = [draft for draft in drafts(video, SOURCE, 0, 0.5) if draft.task == "nap"]
    assert {(draft.clip.end, draft.answer) for draft in found} == {(60, "tie")}


@pytest.mark.parametrize(("rate", "begin", "end"), [(1, 40, 39), (2, 40, 39.5), (2, 40.3, 40)])
def test_no_clip_shows_the_action_that_is_asked_for(rate, begin, end):
    video = AnnotatedVideo(
        "v", Frames(range(0, 80 * rate), rate), "p", [Run(0, begin, "cut"), Run(begin, 70, "tie")], ("cut", "tie")
    )
    found = [draft for draft in drafts(video, SOURCE, 0, 0.5) if draft.task == "nap"]
    assert {(draft.clip.end, draft.answer) for draft in found} == {(end, "tie")}


def test_a_span_that_rounds_to_no_time_is_none():
    """Of an action that ends just after the clip begins; one that lasts for a frame alone stays."""
    runs = [Run(0, 30.03, "cut"), Run(35, 50, "tie"), Run(55, 55, "cut")]
    video = AnnotatedVideo("v", Frames(range(0, 100), 1), "p", runs, ("cut", "tie"))
    found = [draft for draft in drafts(video, SOURCE, 0, 0.5) if draft.task == "tag"]
    spans = {draft.clip.start: draft.answer for draft in found if draft.words["label"] == "cut" and draft.clip.start}
    assert spans == {30: "25.0-25.0 seconds."}


@pytest.mark.parametrize("last", [60, 61, 74, 75, 120])
def test_no_clip_is_cut_twice(last):
    """A stretch that is hardly longer than a listed length, and boxes that begin with a window."""
    source = Source("AVOS", None, (60, 600), 15, ("stg",))
    frames = Frames(range(0, last + 1), 1)
    found = [clip.numbers for clip in windows(range(0, last + 1), frames, source)]
    assert len(set(found)) == len(found) > 0
    boxes = {"hook": {number: [0, 0, 5, 5] for number in (0, 15)}}
    asked = [draft.clip.numbers for draft in drafts(AnnotatedVideo("v", frames, "p", boxes=boxes), source, 0, 0.5)]
    assert len(set(asked)) == len(asked) > 0


def test_no_clip_is_shorter_than_the_benchmarks():
    runs = [Run(0, 10, "cut"), Run(12, 45, "tie"), Run(50, 60, "sew")]
    boxes = {"hook": {number: [0, 0, 5, 5] for number in (10, 50)}}
    coarse = AnnotatedVideo("v", Frames(range(0, 61), 1), "p", runs, ("cut", "tie", "sew"), boxes=boxes)
    source = Source("AVOS", None, (60,), 15, ("nap", "stg"))
    found = list(drafts(coarse, source, 0, 0.5)) + list(drafts(coarse, SOURCE, 0, 0.5))
    assert {"nap", "stg"} <= {draft.task for draft in found}
    assert all(draft.clip.end - draft.clip.start >= 20 for draft in found)


def test_events_of_a_dense_caption_do_not_overlap():
    runs = [Run(30, 50, "tie"), Run(0, 20, "cut"), Run(10, 40, "sew"), Run(19.8, 25, "tie")]
    video = AnnotatedVideo("v", Frames(range(0, 61), 1), "p", runs, ("cut", "tie", "sew"))
    [draft] = [draft for draft in drafts(video, SOURCE, 0, 0.5) if draft.task == "dvc"]
    assert draft.events == [Run(0, 20, "cut"), Run(19.8, 25, "tie"), Run(30, 50, "tie")]


def test_a_region_ends_with_its_track():
    boxes, tracks = {n: [0, 0, 9, 9] for n in range(61)}, {n: 1 + (n > 12) for n in range(61)}
    video = AnnotatedVideo("v", Frames(range(0, 61), 1), "p", boxes={"hook": boxes}, tracks={"hook": tracks})
    [draft] = drafts(video, Source("AVOS", None, (60, 600), 1, ("rc",)), 0, 0.5)
    assert draft.words == {"start": 0.0, "end": 12.0} and draft.region == (0, boxes[0])


def test_an_answer_is_not_asked_for_where_the_clip_is_one_action():
    video = AnnotatedVideo("v", Frames(range(0, 61), 1), "p", [Run(0, 99, "cut")], ("cut", "tie"))
    assert [draft.task for draft in drafts(video, SOURCE, 0, 0.5)] == []


def test_boxes_lie_on_a_grid_at_all_of_which_they_are_known():
    boxes = {number: [number, 0, number + 5, 5] for number in range(0, 61) if number % 10 < 6}
    video = AnnotatedVideo("v", Frames(range(0, 61), 1), "p", boxes={"hook": boxes})
    for seed in range(20):
        [draft] = drafts(video, SOURCE, seed, 0.5)
        found = draft.struc_info[0]["bbox_dict"]
        times = [float(time) for time in found]
        assert np.ptp(np.diff(times)) == 0 and draft.words["every"] == times[1] - times[0]
        assert all(found[str(time)] == boxes[round(time)] for time in times)
        assert draft.words["end"] == times[-1]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A video of ten frames a second that pauses from 1 s to 3 s; frame i has the grey value 8 * i."""
    av = pytest.importorskip("av")
    path = tmp_path_factory.mktemp("videos") / "uneven.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 64, 48, "yuv420p", 4_000_000
        stream.codec_context.time_base = Fraction(1, 10)
        for i in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * i, np.uint8), "rgb24")
            frame.pts = i if i <= 10 else i + 20
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def test_frames_are_those_that_a_player_shows_at_that_second(uneven, tmp_path):
    pytest.importorskip("decord")
    wanted = {str(tmp_path / f"{second}.jpg"): second for second in (0.0, 0.55, 1.0, 2.9, 3.1, 3.5)}
    assert extract(uneven, wanted) == 6 and extract(uneven, wanted) == 0
    greys = [np.asarray(Image.open(path)).mean() for path in wanted]
    np.testing.assert_allclose(greys, [0, 40, 80, 80, 88, 120], atol=4)
    notes = []
    size = probe(uneven, notes.append)
    assert size[1:] == (48, 64) and size.seconds == pytest.approx(4.5, abs=0.15) and not notes


@pytest.mark.parametrize(
    ("second", "seconds", "message"),
    [(9.0, None, r"ends at 4\.\d s; a frame at 9\.0 s is wanted"), (1.0, 30.0, "annotations say 30.0 s: it was cut")],
)
def test_a_video_that_is_not_the_annotated_one_is_refused(uneven, tmp_path, second, seconds, message):
    pytest.importorskip("decord")
    with pytest.raises(FrameError, match=message):
        extract(uneven, {str(tmp_path / "a.jpg"): second}, seconds)
    assert not list(tmp_path.iterdir())


def test_a_sheet_with_holes_and_shared_texts(tmp_path):
    workbook(tmp_path / "a.xlsx", [["x & y", "", 3], [], ["", "z"]])
    assert list(read_sheet(tmp_path / "a.xlsx")) == [["x & y", "", "3"], [], ["", "z"]]


def test_questions_vary_and_every_pool_can_be_filled():
    words = dict.fromkeys(("labels", "label", "procedure", "name", "every", "start", "end"), "WORD")
    pools = json.loads((records.Path(records.__file__).with_name("questions.json")).read_text())
    for source in pools["sources"]:
        for kind, pool in pools["requests"].items():
            asked = {records.question(source, kind, words, str(key)) for key in range(200)}
            assert len(asked) > 3 * len(pool)
