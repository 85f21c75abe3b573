# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The row schema, as verl's two trainers read it, and the writer that leaves no half file."""

import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_preprocess.parquet_writer import RowWriter
from data_preprocess.schema import ROW_SCHEMA, Clip, build_row


def row(index=0, frames=("/f/0.jpg",), **changes):
    clip = Clip(frames, 0.5, 112, 112, 6272, 37632, 90_316_800, 16)
    arguments = dict(
        benchmark="medvidbench",
        source="CoPESD",
        task="stg",
        qa_type="stg",
        index=index,
        split="train",
        question="Where?",
        answer="0.0 seconds: [0, 0, 8, 8]",
        clip=clip,
        video_id="v",
        record_id="v&&0&&1&&0.5",
    )
    return build_row(**arguments | changes)


def test_row_contents():
    built = row()
    assert built["data_source"] == "medvidbench/CoPESD/stg"
    assert built["prompt"] == [{"role": "user", "content": "<video>Where?"}]
    assert built["messages"] == built["prompt"] + [{"role": "assistant", "content": "0.0 seconds: [0, 0, 8, 8]"}]
    assert built["reward_model"] == {"style": "rule", "ground_truth": "0.0 seconds: [0, 0, 8, 8]"}
    assert built["videos"][0]["sample_fps"] == built["videos"][0]["raw_fps"] == built["extra_info"]["fps"] == 0.5
    assert list(built) == ROW_SCHEMA.names
    assert list(built["extra_info"]) == [field.name for field in ROW_SCHEMA.field("extra_info").type]


def test_writer_streams_row_groups(tmp_path):
    path = tmp_path / "rows.parquet"
    with RowWriter(path, rows_per_group=2) as writer:
        for index in range(5):
            writer.write(row(index))
        assert not path.exists()
    file = pq.ParquetFile(path)
    assert writer.count == file.metadata.num_rows == 5
    assert file.metadata.num_row_groups == 3
    assert file.schema_arrow.equals(ROW_SCHEMA)
    assert file.read().to_pylist() == [row(index) for index in range(5)]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.parquet"
    with RowWriter(path) as writer:
        writer.write(row())
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), RowWriter(path, rows_per_group=1) as writer:
        writer.write(row(1))
        raise KeyboardInterrupt
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_split_is_a_valid_file(tmp_path):
    with RowWriter(tmp_path / "rows.parquet"):
        pass
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 0


def test_what_the_sft_trainer_reads_can_be_decoded(tmp_path):
    """verl's SFT data set reads with pandas on pyarrow types and hands the struct to qwen_vl_utils."""
    fetch_video = pytest.importorskip("qwen_vl_utils").fetch_video
    frames = []
    for number in range(3):
        frames.append(str(tmp_path / f"{number}.jpg"))
        Image.new("RGB", (112, 112)).save(frames[-1])
    with RowWriter(tmp_path / "rows.parquet") as writer:
        writer.write(row(frames=frames))
    read = pd.read_parquet(tmp_path / "rows.parquet", dtype_backend="pyarrow").iloc[0].to_dict()
    video, fps = fetch_video(dict(read["videos"][0]), return_video_sample_fps=True)
    assert tuple(video.shape) == (4, 3, 112, 112)
    assert fps == 0.5


def test_what_the_rl_trainer_reads(tmp_path, monkeypatch):
    """verl's RL data set reads with Hugging Face datasets."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    with RowWriter(tmp_path / "rows.parquet") as writer:
        writer.write(row())
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "c"))
    assert loaded["train"][0] == row()
