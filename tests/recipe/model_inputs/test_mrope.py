# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Our positions against vLLM's own computation, and against the two stock rules that differ from it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recipe.medgrpo.model_inputs.mrope import get_rope_index, get_rope_index_kwargs, mrope_positions

IMAGE, VIDEO, MERGE, TOKENS_PER_SECOND = 1001, 1002, 2, 2
FPS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 29.97)


def ours(ids, videos=(), seconds=None, images=()):
    return mrope_positions(
        ids,
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        spatial_merge_size=MERGE,
        tokens_per_second=TOKENS_PER_SECOND,
        image_grid_thw=images,
        video_grid_thw=videos,
        second_per_grid_ts=seconds,
    )


def positions_by(model_class, config, ids, media):
    """``media``: (offset, "video" or "image", (t, h, w), seconds per grid step, if any) in prompt order."""
    features = []
    for offset, kind, grid, seconds in media:
        data = {f"{kind}_grid_thw": SimpleNamespace(data=torch.tensor(grid))}
        if seconds is not None:
            data["second_per_grid_ts"] = SimpleNamespace(data=torch.tensor(seconds))
        features.append(SimpleNamespace(modality=kind, data=data, mm_position=SimpleNamespace(offset=offset)))
    model = SimpleNamespace(config=config)
    model.iter_mm_grid_thw = lambda features: model_class.iter_mm_grid_thw(model, features)
    return model_class.get_mrope_input_positions(model, ids, features)[0].numpy()


def vllm_positions(ids, media):
    from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VLForConditionalGeneration as Model

    vision = SimpleNamespace(spatial_merge_size=MERGE, tokens_per_second=TOKENS_PER_SECOND)
    return positions_by(Model, SimpleNamespace(vision_config=vision), ids, media)


def prompt(parts):
    """Token ids and vLLM's description of them, from text lengths (int) and media (kind, grid, fps)."""
    ids, media = [], []
    for part in parts:
        if isinstance(part, int):
            ids += list(range(1, part + 1))
        else:
            kind, grid, fps = part
            seconds = float(torch.tensor(2 / fps)) if fps else None
            media.append((len(ids), kind, grid, seconds))
            ids += [VIDEO if kind == "video" else IMAGE] * (grid[0] * (grid[1] // MERGE) * (grid[2] // MERGE))
    return ids, media


def check(parts):
    ids, media = prompt(parts)
    found = ours(
        ids,
        videos=[grid for _, kind, grid, _ in media if kind == "video"],
        seconds=[seconds for _, kind, _, seconds in media if kind == "video"],
        images=[grid for _, kind, grid, _ in media if kind == "image"],
    )
    np.testing.assert_array_equal(found, vllm_positions(ids, media))


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("grid", [(1, 4, 4), (4, 4, 8), (5, 8, 8), (90, 8, 16)])
def test_equals_vllm_at_every_fps(fps, grid):
    check([3, ("video", grid, fps), 7])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equals_vllm_on_any_prompt(data):
    grids = st.tuples(st.integers(1, 12), st.sampled_from((2, 4, 8)), st.sampled_from((2, 4, 10)))
    video = st.tuples(st.just("video"), grids, st.sampled_from(FPS))
    image = st.tuples(st.just("image"), grids.map(lambda grid: (1, *grid[1:])), st.none())
    media = data.draw(st.lists(video | image, min_size=1, max_size=3))
    # At least one text token lies between two media: each is closed by <|vision_end|>.
    parts = [part for medium in media for part in (data.draw(st.integers(1, 5)), medium)]
    check([*parts, data.draw(st.integers(1, 9))])


@pytest.mark.parametrize("parts", [
    [2, ("image", (1, 8, 4), None), 5],
    [2, ("image", (1, 8, 4), None), 1, ("image", (1, 4, 4), None), 3],
    [4, ("video", (1, 4, 4), None), 2],
    [4, ("video", (5, 4, 8), None), 2, ("image", (1, 8, 4), None), 3],
])  # fmt: skip
def test_qwen2_vl_has_no_time_step(parts):
    """Qwen2-VL (Med-R1) through the function that verl calls, padding included, against vLLM's Qwen2-VL."""
    from transformers import Qwen2VLConfig
    from vllm.model_executor.models.qwen2_vl import Qwen2VLForConditionalGeneration as Model

    ids, media = prompt(parts)
    config = Qwen2VLConfig(image_token_id=IMAGE, video_token_id=VIDEO)
    expected = positions_by(Model, config, ids, media)
    grids = {
        kind: torch.tensor(found) if (found := [grid for _, one, grid, _ in media if one == kind]) else None
        for kind in ("image", "video")
    }
    padded, mask = torch.tensor([[0, 0, *ids, 0]]), torch.tensor([[0, 0, *[1] * len(ids), 0]])
    found, _ = get_rope_index(
        SimpleNamespace(config=config), padded, mask, image_grid_thw=grids["image"], video_grid_thw=grids["video"],
        **get_rope_index_kwargs({}),
    )  # fmt: skip
    np.testing.assert_array_equal(found[:, 0, 2:-1].numpy(), expected)
    assert (found[:, 0, [0, 1, -1]] == 1).all()


def test_the_three_stock_rules_differ_for_one_clip():
    """8 frames at 1 fps: what vLLM computes, and what verl 0.9.1 + transformers 5.9.0 compute without this recipe."""
    from transformers import Qwen2_5_VLConfig
    from transformers.models.qwen2_5_vl import Qwen2_5_VLModel

    grid = (4, 4, 4)
    ids, media = prompt([4, ("video", grid, 1), 3])
    reference = vllm_positions(ids, media)
    np.testing.assert_array_equal(reference[0, 4:20:4], [4, 8, 12, 16])
    assert reference[0, -3] == 17

    processor = SimpleNamespace(
        config=Qwen2_5_VLConfig(image_token_id=IMAGE, video_token_id=VIDEO, vision_config={"tokens_per_second": 2})
    )
    processor.get_vision_position_ids = lambda *args, **kwargs: Qwen2_5_VLModel.get_vision_position_ids(
        processor, *args, **kwargs
    )
    tokens = torch.tensor([ids])
    stock, _ = Qwen2_5_VLModel.get_rope_index(
        processor, tokens, (tokens == VIDEO).int() * 2, video_grid_thw=torch.tensor([grid])
    )
    # Once transformers gives vLLM's positions when it is told no fps, bind_true_positions can go.
    assert not np.array_equal(stock[:, 0].numpy(), reference)
    np.testing.assert_array_equal(ours(ids, [grid], [2.0]), reference)


@pytest.mark.parametrize(
    ("ids", "videos", "message"),
    [
        ([1, VIDEO, VIDEO], [], "for which no grid was given"),
        ([1, VIDEO, VIDEO, 5], [(1, 4, 4)], "needs 4 placeholders"),
        ([1, 2, 3], [(1, 4, 4)], "more image or video grids"),
    ],
)
def test_placeholders_that_do_not_match_the_grids(ids, videos, message):
    with pytest.raises(ValueError, match=message):
        ours(ids, videos)
