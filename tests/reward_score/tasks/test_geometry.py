# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from reward_score.tasks.geometry import box_iou, is_proper_box, merge_spans, span_iou, union_iou


def test_span_iou():
    assert span_iou((0, 10), (5, 15)) == pytest.approx(1 / 3)
    assert span_iou((0, 10), (5, 15), hull=False) == pytest.approx(1 / 3)
    assert span_iou((0, 1), (1, 2)) == span_iou((0, 1), (5, 6)) == span_iou((3, 3), (3, 3)) == 0
    assert span_iou((10, 0), (0, 10)) == 0
    assert span_iou((0, math.inf), (0, 10)) == 0


def test_union_iou_counts_overlapping_and_split_spans_once():
    assert union_iou([(0, 4), (2, 6)], [(0, 6)]) == 1
    assert union_iou([(0, 3), (3, 6)], [(0, 6)]) == 1
    assert union_iou([(0, 10)] * 50, [(0, 10)]) == 1
    assert union_iou([(0, 2), (8, 10)], [(0, 10)]) == pytest.approx(0.4)
    assert union_iou([], [(0, 1)]) == union_iou([(1, 1)], [(1, 1)]) == 0


def test_merge_spans_keeps_nested_spans_inside():
    assert merge_spans([(5, 6), (0, 10), (10, 11)]) == [(0, 11)]


def test_box_iou():
    assert box_iou([0, 0, 2, 2], [1, 1, 3, 3]) == pytest.approx(1 / 7)
    assert box_iou([2, 2, 0, 0], [0, 0, 2, 2]) == box_iou([0, 0, 0, 0], [0, 0, 2, 2]) == 0
    assert box_iou([0, 0, 1e308, 1e308], [0, 0, 2, 2]) == 0
    assert box_iou([math.nan, 0, 2, 2], [0, 0, 2, 2]) == 0
    assert box_iou([math.inf, 0, math.inf, 2], [0, 0, 2, 2]) == 0


def test_proper_boxes_have_an_area_and_finite_corners():
    assert is_proper_box([0, 0, 1, 1])
    for box in ([1, 0, 0, 1], [0, 0, 0, 1], [0, 0, math.inf, 1], [math.nan, 0, 1, 1]):
        assert not is_proper_box(box)
