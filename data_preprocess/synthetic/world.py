# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""What the synthetic world consists of: how hard each source is, and its vocabulary (that of MedVidBench).

How hard a source is was chosen so that an SFT model's median raw reward differs by a factor of three or more between
sources of one task: the heterogeneity that MedGRPO's normalization exists for.
"""

from dataclasses import dataclass

#: Pixels. Twice as wide as high, as 1920 x 1080 is after the benchmark's own resize, and its smallest frame: 8 tokens.
FRAME_WIDTH, FRAME_HEIGHT = 112, 56
#: Boxes lie on a grid of so many pixels.
GRID = 8


@dataclass(frozen=True)
class Source:
    """One line of the table: how hard the clips of a source are to read, and how many questions it gets.

    Attributes:
        frames: fewest and most frames of a clip.
        fps: sampling rates, drawn per clip (frames per second).
        contrast: 0 to 1, how far tools and contact light stand out from the tissue.
        noise: standard deviation of the grey noise (of 255 levels).
        clutter: number of meaningless blobs in tool colours.
        box: least and greatest width of the main tool's box (pixels, multiples of 8); it is about half as high.
        step: farthest that the main tool moves along an axis between two frames (pixels, multiple of 8).
        event: fewest and most frames of one action.
        twice: probability that the action happens a second time, where the clip has room.
        rival: probability that the other tool acts too.
        records: task -> questions per clip (times ``clips_per_source`` gives the number of records).
        stride: fewest and most frames from one box that is asked for to the next.
        late: probability that they begin anywhere in the clip instead of at its first frame.
    """

    name: str
    frames: tuple[int, int]
    fps: tuple[float, ...]
    contrast: float
    noise: float
    clutter: int
    box: tuple[int, int]
    step: int
    event: tuple[int, int]
    twice: float
    rival: float
    records: dict[str, float]
    stride: tuple[int, int] = (2, 3)
    late: float = 1.0


# Easy to hard. This is the table to tune.
# fmt: off
SOURCES = (
    Source("CoPESD",        (8, 8),   (1.0,),          1.00,  2, 0, (56, 72), 8,  (4, 6), 0.0, 0.0,
           dict(tag=0.9, stg=0.9, vs=0.5, nap=0.25), (2, 2), 0.0),
    Source("CholecTrack20", (8, 8),   (1.0, 0.5),      0.95,  3, 0, (40, 56), 8,  (3, 5), 0.2, 0.2,
           dict(stg=0.8, vs=0.5, rc=0.8), (2, 2), 0.0),
    Source("AVOS",          (8, 8),   (1.0, 2.0),      0.90,  4, 1, (32, 48), 8,  (3, 4), 0.3, 0.2,
           dict(tag=0.8, stg=0.8, nap=0.25), (2, 2), 0.5),
    Source("CholecT50",     (8, 10),  (1.0, 0.5),      0.85,  5, 1, (32, 40), 8,  (2, 4), 0.4, 0.3,
           dict(tag=0.8, vs=0.5, dvc=0.5, nap=0.25)),
    Source("EgoSurgery",    (8, 10),  (0.5,),          0.55, 10, 3, (24, 32), 16, (2, 4), 0.3, 0.4,
           dict(tag=0.7, stg=0.9, vs=0.5, rc=0.8, nap=0.25)),
    Source("NurViD",        (10, 12), (0.5, 1.0, 2.0), 0.45, 14, 5, (16, 32), 16, (1, 4), 0.3, 0.5,
           dict(tag=0.9, vs=0.5, dvc=0.5, nap=0.25)),
    Source("JIGSAWS",       (4, 8),   (3.0, 2.0),      0.90,  4, 0, (24, 32), 8,  (2, 4), 0.0, 0.0,
           dict(sa=0.75)),
    Source("Cholec80-CVS",  (4, 8),   (0.5, 1.0),      0.90,  4, 0, (24, 32), 8,  (2, 4), 0.0, 0.0,
           dict(cvs=0.75)),
)
# fmt: on


@dataclass(frozen=True)
class Action:
    """A class label, the tool that does it, and the verb that a caption says it with."""

    label: str
    instrument: str
    verb: str


@dataclass(frozen=True)
class Vocabulary:
    """Words of a source.

    Attributes:
        field: completes "You are an expert in".
        actions: in the order in which they follow each other.
        anatomy: each structure with the colour of its tissue.
        spelling: the name in the released JSON.
        frame_rate: of the frames that the released paths number (per second).
        extent: the metadata's names of a clip's start and end.
    """

    field: str
    procedure: str
    actions: tuple[Action, ...]
    anatomy: tuple[tuple[str, tuple[int, int, int]], ...]
    spelling: str
    frame_rate: float
    extent: str = "input_video_{}_frame"


_LAPAROSCOPY = (
    Action("preparation", "grasper", "retract"),
    Action("carlot-triangle-dissection", "hook", "dissect"),
    Action("clipping-and-cutting", "clipper", "clip"),
)
_ABDOMEN = (("gallbladder", (96, 118, 66)), ("liver", (128, 46, 38)))

# fmt: off
VOCABULARY = {
    "CoPESD": Vocabulary(
        "endoscopy", "submucosal dissection",
        (Action("lift flap with forceps", "forceps", "lift"),
         Action("dissect flap tissue with knife", "knife", "dissect"),
         Action("stabilize flap with forceps", "forceps", "stabilize")),
        (("mucosal flap", (186, 104, 96)), ("submucosa", (96, 104, 150))), "CoPESD", 1),
    "CholecTrack20": Vocabulary("laparoscopic surgery", "cholecystectomy", _LAPAROSCOPY, _ABDOMEN, "CholecTrack20", 25),
    "CholecT50": Vocabulary("laparoscopic surgery", "cholecystectomy", _LAPAROSCOPY, _ABDOMEN, "CholecT50", 1),
    "AVOS": Vocabulary(
        "open surgery", "open repair",
        (Action("cutting", "scissors", "cut"), Action("tying", "forceps", "tie"),
         Action("suturing", "needle driver", "suture")),
        (("skin", (196, 150, 120)), ("vessel", (136, 40, 50))), "AVOS", 15),
    "EgoSurgery": Vocabulary(
        "open surgery", "plastic surgery",
        (Action("incision", "knife", "cut"), Action("hemostasis", "forceps", "coagulate"),
         Action("closure", "needle driver", "suture")),
        (("skin", (196, 150, 120)), ("flap", (160, 76, 70))), "EgoSurgery", 0.5),
    "NurViD": Vocabulary(
        "nursing", "subcutaneous injection",
        (Action("disinfect skin", "swab", "disinfect"), Action("inject medication", "syringe", "inject"),
         Action("press injection site", "gauze", "press")),
        (("arm", (206, 160, 130)), ("abdomen", (180, 124, 100))), "NurViD", 2, "input_video_{}_time"),
    "JIGSAWS": Vocabulary(
        "robotic surgery", "bench-top suturing",
        (Action("suturing", "needle driver", "suture"), Action("pulling", "grasper", "pull")),
        (("suture pad", (206, 176, 150)),), "jigsaws", 30),
    "Cholec80-CVS": Vocabulary(
        "laparoscopic surgery", "cholecystectomy", _LAPAROSCOPY, _ABDOMEN, "Cholec80_CVS", 25, "{}_frame"),
}
# fmt: on

# Contact light of the first, second and third action of a source.
CONTACT_LIGHT = ((255, 250, 130), (255, 120, 250), (120, 250, 255))

SKILL_ASPECTS = ("Respect for tissue", "Suture/needle handling", "Time and motion", "Flow of operation",
                 "Overall performance", "Quality of final product")  # fmt: skip
CVS_CRITERIA = ("two_structures", "cystic_plate", "hepatocystic_triangle")
