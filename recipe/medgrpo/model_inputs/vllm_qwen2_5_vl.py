# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Qwen2.5-VL for vLLM 0.24 to 0.26 with the true fps of each clip; registered through ``vllm.general_plugins``.

vLLM's own processor drops the metadata that comes with a video. So the Hugging Face processor assumes 24 fps, and all
frames of a clip end up at one temporal position. This subclass keeps the metadata, as vLLM's Qwen3-VL does.
"""

from collections.abc import Mapping

from transformers import BatchFeature
from transformers.video_utils import VideoMetadata
from vllm.model_executor.models.qwen2_5_vl import (
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLMultiModalProcessor,
    Qwen2_5_VLProcessingInfo,
)
from vllm.model_executor.models.qwen2_vl import Qwen2VLDummyInputsBuilder, Qwen2VLMultiModalDataParser
from vllm.multimodal import MULTIMODAL_REGISTRY

_FIELDS = ("fps", "frames_indices", "total_num_frames")


class TimedProcessingInfo(Qwen2_5_VLProcessingInfo):
    """Asks vLLM's parser for the metadata of videos."""

    def get_data_parser(self):
        return Qwen2VLMultiModalDataParser(
            self.get_hf_config().vision_config.spatial_merge_size,
            video_needs_metadata=True,
            expected_hidden_size=self._get_expected_hidden_size(),
        )


class TimedDummyInputsBuilder(Qwen2VLDummyInputsBuilder):
    """Profiling videos with metadata."""

    def _get_dummy_videos(self, **kwargs):
        videos = super()._get_dummy_videos(**kwargs)
        return [
            (video, {"fps": 1.0, "frames_indices": list(range(len(video))), "total_num_frames": len(video)})
            for video in videos
        ]


class TimedMultiModalProcessor(Qwen2_5_VLMultiModalProcessor):
    """Hands the metadata of videos to the Hugging Face processor."""

    def _call_hf_processor(
        self,
        prompt: str,
        mm_data: Mapping[str, object],
        mm_kwargs: Mapping[str, object],
        tok_kwargs: Mapping[str, object],
    ) -> BatchFeature:
        mm_data = dict(mm_data)
        if videos := mm_data.get("videos"):
            mm_data["videos"] = [video for video, _ in videos]
            mm_data["video_metadata"] = [VideoMetadata(**{key: meta[key] for key in _FIELDS}) for _, meta in videos]
            # The rows list exactly the frames to use; sampling again would change their times.
            mm_kwargs = {**mm_kwargs, "do_sample_frames": False}
        return super()._call_hf_processor(prompt, mm_data, mm_kwargs, tok_kwargs)


@MULTIMODAL_REGISTRY.register_processor(
    TimedMultiModalProcessor, info=TimedProcessingInfo, dummy_inputs=TimedDummyInputsBuilder
)
class TimedQwen2_5_VLForConditionalGeneration(Qwen2_5_VLForConditionalGeneration):
    """The stock model; only its multimodal processor differs."""
