# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""OmniMedVQA's kinds of pictures and of questions."""

# `modality_type` of the published files, odd spellings included; compared by letters and digits alone.
MODALITIES = {
    "CT(Computed Tomography)": "CT",
    "MR (Mag-netic Resonance Imaging)": "MRI",
    "X-Ray": "X-Ray",
    "ultrasound": "US",
    "Dermoscopy": "Der",
    "Fundus Photography": "FP",
    "OCT (Optical Coherence Tomography": "OCT",
    "Microscopy Images": "Micro",
}
# `question_type` of the published files, and stems of Med-R1's files by question type.
QUESTION_TYPES = (
    "Anatomy Identification",
    "Disease Diagnosis",
    "Lesion Grading",
    "Modality Recognition",
    "Other Biological Attributes",
)
