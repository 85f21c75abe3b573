# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""A drawn clip: what happens in it, and its pictures.

Every clip has a main tool, which moves and acts, and another one, which stays at one side and may act too. While a tool
acts, light of the action's colour surrounds it. Boxes lie on a grid of 8 pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from data_preprocess.synthetic.world import (
    CONTACT_LIGHT,
    CVS_CRITERIA,
    FRAME_HEIGHT,
    FRAME_WIDTH,
    GRID,
    SKILL_ASPECTS,
    VOCABULARY,
    Action,
    Source,
)

Box = tuple[int, int, int, int]

# Drawn at twice the size and halved: smooth edges for little time.
_SCALE = 2
_OTHER_SIDE = 24

# Outlines within a unit square; each touches its four sides, so that the square is the tool's tight box.
_SHAPES = {
    "forceps": ([(0, 0), (0.26, 0), (0.4, 0.7), (0.6, 0.7), (0.74, 0), (1, 0), (0.78, 1), (0.22, 1)],),
    "knife": ([(0, 1), (0.35, 0), (1, 0.25), (0.75, 0.6)],),
    "grasper": ([(0.1, 0), (0.42, 0.42), (0.5, 1), (0, 0.7)], [(0.9, 0), (0.58, 0.42), (0.5, 1), (1, 0.7)]),
    "hook": ([(0, 0), (0.34, 0), (0.34, 0.66), (1, 0.66), (1, 1), (0, 1)],),
    "clipper": ([(0, 0), (1, 0), (1, 0.34), (0.67, 0.34), (0.67, 1), (0.33, 1), (0.33, 0.34), (0, 0.34)],),
    "scissors": ([(0, 0), (0.25, 0), (1, 0.8), (0.8, 1), (0, 0.25)],
                 [(1, 0), (0.75, 0), (0, 0.8), (0.2, 1), (1, 0.25)]),
    "needle driver": ([(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)],),
    "swab": ([(0.3, 0), (0.7, 0), (1, 0.3), (1, 0.7), (0.7, 1), (0.3, 1), (0, 0.7), (0, 0.3)],),
    "syringe": ([(0, 0), (1, 0), (1, 0.2), (0.75, 0.2), (0.75, 0.75), (0.55, 1), (0.45, 1), (0.25, 0.75), (0.25, 0.2),
                 (0, 0.2)],),
    "gauze": ([(0, 0), (1, 0), (1, 1), (0, 1)],),
}  # fmt: skip
_COLOURS = {
    "forceps": (0, 205, 225), "knife": (255, 145, 0), "grasper": (50, 90, 255), "hook": (250, 225, 30),
    "clipper": (235, 50, 235), "scissors": (245, 245, 245), "needle driver": (125, 50, 225), "swab": (250, 245, 160),
    "syringe": (30, 120, 255), "gauze": (245, 245, 255),
}  # fmt: skip


@dataclass(frozen=True)
class Tool:
    """A tool in a clip: its action, a box for each frame (x1, y1, x2, y2 pixels), and spans (first, last frame)."""

    action: Action
    kind: int
    boxes: list[Box]
    spans: list[tuple[int, int]]


@dataclass(frozen=True)
class Scene:
    """What happens in a clip. Frame i lies at i / fps seconds.

    Attributes:
        tools: the main one and the other one.
        scores: aspects of skill (1 to 5) or criteria of the critical view of safety (0 to 2), where there are such.
    """

    source: Source
    num_frames: int
    fps: float
    anatomy: str
    tissue: tuple[int, int, int]
    tools: tuple[Tool, Tool]
    scores: dict[str, int] = field(default_factory=dict)

    def seconds(self, frame: int) -> float:
        return round(frame / self.fps, 1)


def sample_scene(source: Source, rng: np.random.Generator) -> Scene:
    """Draw the contents of one clip of ``source``."""
    words = VOCABULARY[source.name]
    frames = int(rng.integers(source.frames[0], source.frames[1] + 1))
    fps = source.fps[rng.integers(len(source.fps))]
    anatomy, tissue = words.anatomy[rng.integers(len(words.anatomy))]
    main = int(rng.integers(len(words.actions)))
    others = [k for k, action in enumerate(words.actions) if action.instrument != words.actions[main].instrument]
    other = others[rng.integers(len(others))]

    width = int(rng.integers(source.box[0] // GRID, source.box[1] // GRID + 1)) * GRID
    height = max(2, round(width / GRID / 2) + int(rng.integers(-1, 2))) * GRID
    # The other tool has a strip of its own, so that no box ever covers another.
    strip = _OTHER_SIDE + GRID
    left = bool(rng.integers(2))
    corner = 0 if left else FRAME_WIDTH - _OTHER_SIDE
    row = int(rng.integers((FRAME_HEIGHT - _OTHER_SIDE) // GRID + 1)) * GRID
    free = (strip, FRAME_WIDTH - width) if left else (0, FRAME_WIDTH - strip - width)
    across = _walk(rng, frames, *free, source.step)
    down = _walk(rng, frames, 0, FRAME_HEIGHT - height, source.step)
    boxes = [(x, y, x + width, y + height) for x, y in zip(across, down, strict=True)]
    acts = rng.random() < source.rival
    main_spans = _spans(rng, frames, source.event, rng.random() < source.twice)
    other_box = (corner, row, corner + _OTHER_SIDE, row + _OTHER_SIDE)
    tools = (
        Tool(words.actions[main], main, boxes, main_spans),
        Tool(words.actions[other], other, [other_box] * frames, _spans(rng, frames, source.event) if acts else []),
    )
    return Scene(source, frames, fps, anatomy, tissue, tools, _scores(source, rng))


def _scores(source: Source, rng: np.random.Generator) -> dict[str, int]:
    if "sa" in source.records:
        level = rng.integers(1, 6)
        return {aspect: int(np.clip(level + rng.integers(-1, 2), 1, 5)) for aspect in SKILL_ASPECTS}
    if "cvs" in source.records:
        return {criterion: int(rng.integers(3)) for criterion in CVS_CRITERIA}
    return {}


def _walk(rng: np.random.Generator, frames: int, low: int, high: int, step: int) -> list[int]:
    """Positions on the grid within [low, high], in a direction that turns at the ends and now and then."""
    place = low + int(rng.integers((high - low) // GRID + 1)) * GRID
    direction = int(rng.choice((-1, 1)))
    places = []
    for _ in range(frames):
        places.append(place)
        if rng.random() < 0.15:
            direction = -direction
        move = direction * int(rng.integers(step // GRID + 1)) * GRID
        if not low <= place + move <= high:
            direction, move = -direction, -move
        place = min(max(place + move, low), high)
    return places


def _spans(
    rng: np.random.Generator, frames: int, length: tuple[int, int], twice: bool = False
) -> list[tuple[int, int]]:
    """One or two spans (first, last frame), at least one frame apart."""
    sizes = [int(rng.integers(length[0], length[1] + 1)) for _ in range(2 if twice else 1)]
    while sum(sizes) + len(sizes) - 1 > frames:
        sizes.pop()
    spare = frames - sum(sizes) - (len(sizes) - 1)
    cuts = sorted(int(cut) for cut in rng.integers(0, spare + 1, size=len(sizes)))
    starts = [cut + sum(sizes[:k]) + k for k, cut in enumerate(cuts)]
    return [(start, start + size - 1) for start, size in zip(starts, sizes, strict=True)]


def render(scene: Scene, rng: np.random.Generator) -> Iterator[Image.Image]:
    """The frames of a clip, 112 x 56 pixels (width x height), RGB."""
    back = _tissue(scene, rng)
    source = scene.source
    tissue = np.array(scene.tissue)
    colours, size = list(_COLOURS.values()), (FRAME_WIDTH, FRAME_HEIGHT)
    blobs = [
        (*(rng.random(2) * size), 3 + 5 * rng.random(), colours[rng.integers(len(colours))])
        for _ in range(source.clutter)
    ]
    for frame in range(scene.num_frames):
        picture = back.copy()
        draw = ImageDraw.Draw(picture, "RGBA")
        for x, y, radius, colour in blobs:
            _disc(draw, x, y, radius, _mix(tissue, colour, 0.8 * source.contrast))
        for tool in reversed(scene.tools):
            _draw_tool(draw, tool, frame, tissue, source.contrast)
        pixels = np.asarray(picture.reduce(_SCALE), dtype=np.float32)
        pixels = pixels + rng.normal(0, source.noise, (FRAME_HEIGHT, FRAME_WIDTH, 1)) + rng.normal(0, 2)
        yield Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _draw_tool(draw: ImageDraw.ImageDraw, tool: Tool, frame: int, tissue: np.ndarray, contrast: float) -> None:
    x1, y1, x2, y2 = tool.boxes[frame]
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    acting = any(first <= frame <= last for first, last in tool.spans)
    if acting:
        reach = max(x2 - x1, y2 - y1) / 2 + 14
        for share, alpha in ((1.0, 0.45), (0.8, 0.7)):
            _disc(draw, *middle, share * reach, (*CONTACT_LIGHT[tool.kind], int(255 * alpha * contrast)))
    end = (FRAME_WIDTH if middle[0] > FRAME_WIDTH / 2 else 0, FRAME_HEIGHT)
    shaft = _mix(tissue, (150, 155, 165), contrast)
    draw.line([_up(middle), _up(end)], fill=shaft, width=5 * _SCALE)
    colour = _mix(tissue, _COLOURS[tool.action.instrument], contrast)
    for outline in _SHAPES[tool.action.instrument]:
        corners = [_up((x1 + u * (x2 - x1), y1 + v * (y2 - y1))) for u, v in outline]
        draw.polygon(corners, fill=colour, outline=_mix(tissue, (20, 20, 25), contrast))
    if acting:
        _disc(draw, *middle, 4, (255, 255, 255, int(255 * contrast)))


def _tissue(scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Background: the tissue's colour under uneven light, with soft texture, and what the scores are read from."""
    size = (FRAME_WIDTH, FRAME_HEIGHT)
    soft = Image.fromarray((rng.random((4, 7)) * 255).astype(np.uint8)).resize(size, Image.BICUBIC)
    across, down = np.linspace(-1, 1, FRAME_WIDTH), np.linspace(-1, 1, FRAME_HEIGHT)
    angle = rng.random() * 2 * np.pi
    light = 0.9 + 0.12 * (np.cos(angle) * across[None, :] + np.sin(angle) * down[:, None])
    light = light + 0.22 * (np.asarray(soft, dtype=np.float32) / 255 - 0.5)
    pixels = (np.array(scene.tissue) * light[..., None]).clip(0, 255).astype(np.uint8)
    picture = Image.fromarray(pixels).resize((FRAME_WIDTH * _SCALE, FRAME_HEIGHT * _SCALE), Image.BILINEAR)
    draw = ImageDraw.Draw(picture, "RGBA")
    if "sa" in scene.source.records:
        _draw_stitches(draw, scene.scores)
    elif "cvs" in scene.source.records:
        _draw_triangle(draw, scene.scores)
    return picture


def _draw_stitches(draw: ImageDraw.ImageDraw, scores: dict[str, int]) -> None:
    """Six stitches on the pad, one for each aspect of skill, the longer the better."""
    for place, score in enumerate(scores.values()):
        x = 10 + 18 * place
        draw.line([_up((x, 52)), _up((x, 52 - 9 * score))], fill=(40, 30, 120), width=8 * _SCALE)


def _draw_triangle(draw: ImageDraw.ImageDraw, scores: dict[str, int]) -> None:
    """The gallbladder's neck: tubes that can be seen, a plate that is freed, a triangle that is cleared of fat."""
    structures, plate, triangle = scores.values()
    for x in (14, 38)[:structures]:
        draw.line([_up((x, 28)), _up((x, 54))], fill=(245, 225, 200), width=9 * _SCALE)
    if plate:
        draw.rectangle([_up((8, 4)), _up((8 + 48 * plate, 16))], fill=(225, 225, 235))
    if triangle < 2:
        draw.rectangle([_up((64, 28)), _up((108, 54 if triangle == 0 else 40))], fill=(240, 205, 60))


def _mix(tissue: np.ndarray, colour: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(int(value) for value in tissue * (1 - share) + np.array(colour) * share)


def _up(point: tuple[float, float]) -> tuple[float, float]:
    return point[0] * _SCALE, point[1] * _SCALE


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: tuple[int, ...]) -> None:
    draw.ellipse([_up((x - radius, y - radius)), _up((x + radius, y + radius))], fill=fill)


def timeline(scene: Scene) -> list[tuple[int, int, Tool]]:
    """All actions of a clip by time: (first frame, last frame, tool)."""
    events = [(first, last, tool) for tool in scene.tools for first, last in tool.spans]
    return sorted(events, key=lambda event: event[:2])
