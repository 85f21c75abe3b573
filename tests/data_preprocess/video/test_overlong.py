# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Clips with too many tokens: three ways out, each counted, and every time stays true."""

import pytest

from data_preprocess.media.token_count import pixel_budget, video_size
from data_preprocess.video import rows as video_rows

# Frames of 64 x 48: a pair has 12 tokens in MedVidBench's budget, three frames 24.
WHOLE = video_size(3, 48, 64).num_tokens


@pytest.fixture
def run(bench, capsys):
    def run(*options, region=False):
        content = [bench.region_record() if region else bench.record(), bench.record("b")]
        status = bench.run(content, "--val-ratio", "0", "--workers", "1", *options)
        return status, capsys.readouterr()

    return run


def test_nothing_is_too_long_by_default(run, bench):
    status, _ = run()
    assert status == 0
    assert [len(row["videos"][0]["video"]) for row in bench.rows("train")] == [3, 3]
    assert {row["extra_info"]["num_tokens"] for row in bench.rows("train")} == {WHOLE}


def test_clips_beyond_the_recipes_limits_are_counted(run, monkeypatch):
    note = f"note: 2 records: more than {WHOLE - 1} tokens of media, too little room for text"
    monkeypatch.setattr(video_rows, "ROOMY", WHOLE)
    assert "too little room" not in run()[1].out
    monkeypatch.setattr(video_rows, "ROOMY", WHOLE - 1)
    status, printed = run()
    assert status == 0 and note in printed.out and f"--max-clip-tokens {WHOLE - 1} leaves such clips" in printed.out
    assert "too little room" not in run("--max-clip-tokens", str(WHOLE - 1), "--overlong", "fewer_frames")[1].out


def test_fewer_frames_keep_their_times(run, bench):
    status, printed = run("--max-clip-tokens", str(WHOLE - 1), "--overlong", "fewer_frames")
    assert status == 0 and "made to fit" in printed.out + printed.err and "fewer frames" in printed.out + printed.err
    for row in bench.rows("train"):
        (clip,) = row["videos"]
        # Frames 0 and 2 of a clip at 1 fps: at 0 and 2 seconds.
        assert [path[-5:] for path in clip["video"]] == ["0.jpg", "2.jpg"]
        assert clip["sample_fps"] == clip["raw_fps"] == row["extra_info"]["fps"] == 0.5
        assert row["extra_info"]["num_tokens"] == WHOLE // 2 and row["extra_info"]["num_frames"] == 2


def test_lower_pixels_keep_the_frames(run, bench):
    status, printed = run("--max-clip-tokens", str(WHOLE - 1), "--overlong", "lower_pixels")
    assert status == 0 and "lower pixels" in printed.out + printed.err
    for row in bench.rows("train"):
        (clip,) = row["videos"]
        assert len(clip["video"]) == 3 and clip["sample_fps"] == 1.0 and clip["max_pixels"] < 48 * 784
        limits = {key: clip[key] for key in ("min_pixels", "max_pixels")}
        assert row["extra_info"]["num_tokens"] == video_size(3, 48, 64, **limits).num_tokens < WHOLE


def test_a_region_caption_is_left_out_rather_than_its_region(run, bench):
    status, printed = run("--max-clip-tokens", str(WHOLE - 1), "--overlong", "fewer_frames", region=True)
    assert status == 0 and "left out: more than" in printed.out + printed.err
    assert [row["extra_info"]["task"] for row in bench.rows("train")] == ["tag"]


def test_drop_is_counted(run, bench):
    status, printed = run("--max-clip-tokens", str(WHOLE - 1))
    assert status != 0 and "no usable record" in printed.out + printed.err


def test_patches_of_qwen3_vl(run, bench):
    status, _ = run("--patch", "16")
    assert status == 0
    for row in bench.rows("train"):
        assert row["videos"][0]["min_pixels"] == 8 * 32 * 32
        assert row["extra_info"]["num_tokens"] == video_size(3, 48, 64, **pixel_budget(16), patch=16).num_tokens
