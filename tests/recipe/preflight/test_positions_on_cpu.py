# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The check before the first step: real rows pass, and each way in which trainer and vLLM can part is found."""

import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import command

from recipe.medgrpo.model_inputs.media_cache import MediaOptions
from recipe.medgrpo.preflight import positions
from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.positions import Checker


@pytest.fixture(scope="module")
def file(drawn):
    return str(drawn / "train.parquet")


@pytest.fixture(scope="module")
def checker(tiny_model):
    return Checker(str(tiny_model))


def test_one_row_of_each_source(file):
    rows = positions.first_rows([file], ["tag", "stg"])
    sources = [row["data_source"].rsplit("/", 1)[0] for row in rows]
    everything = pq.read_table(file)["data_source"].to_pylist()
    expected = {s.rsplit("/", 1)[0] for s in everything if s.rsplit("/", 1)[1] in ("tag", "stg")}
    assert len(sources) == len(set(sources)) and set(sources) == expected


def test_rows_of_every_source_and_rate_agree(checker, file):
    rates = set()
    for row in positions.first_rows([file], None):
        assert checker.check(row, MediaOptions()) > row["extra_info"]["num_tokens"]
        rates.add(row["extra_info"]["fps"])
    assert len(rates) > 1


def test_positions_of_stock_verl_are_found(checker, file, tiny_model, monkeypatch):
    from verl.utils import hf_processor

    stock = hf_processor.__wrapped__(str(tiny_model))
    row = next(row for row in positions.first_rows([file], None) if row["extra_info"]["fps"] <= 1)
    # Without the plugin the hook is absent and the function is transformers' own, which wants the token types.
    original = stock.get_rope_index
    stock.get_rope_index = lambda input_ids, **kwargs: original(
        input_ids=input_ids, mm_token_type_ids=(input_ids == stock.video_token_id).int() * 2, **kwargs
    )
    stock.get_rope_index_kwargs = lambda inputs: {}
    monkeypatch.setattr(checker, "processor", stock)
    with pytest.raises(SetupError, match=r"row \d+ of medvidbench/.*positions differ, first at token \d+.*plugin"):
        checker.check(row, MediaOptions())


def test_rows_written_for_another_model_are_found(checker, file):
    row = positions.first_rows([file], None)[0]
    row["extra_info"]["num_tokens"] += 1
    with pytest.raises(SetupError, match=r"the row states \d+ media tokens.*write the Parquet anew"):
        checker.check(row, MediaOptions())


def test_another_prompt_is_found(checker, file, monkeypatch):
    row = positions.first_rows([file], None)[0]
    monkeypatch.setattr(
        "verl.workers.rollout.utils.qwen2_5_vl_dedup_image_tokens", lambda ids, processor: [*ids[:1], *ids]
    )
    with pytest.raises(SetupError, match="the trainer's prompt has .* tokens, vLLM's"):
        checker.check(row, MediaOptions())


def test_a_failure_of_the_check_is_no_pass(tmp_path):
    with positions.in_background({"model": "m", "files": [str(tmp_path / "none.parquet")]}) as found:
        with pytest.raises(SetupError, match=r"(?s)could not be compared:.*none\.parquet"):
            found()


@pytest.mark.e2e
def test_a_start_that_is_refused_while_ray_comes_up_ends_with_one_sentence(drawn, tiny_model, tmp_path):
    table = pq.read_table(drawn / "train.parquet")
    rows = table.to_pylist()
    # The first row of another source is compared. Frames of the file's first row and of the longest are read before.
    compared = positions.first_rows([str(drawn / "train.parquet")], ["vs", "rc"])
    row = min(compared[1:], key=lambda row: row["extra_info"]["num_tokens"])
    [lost] = [one for one in rows if one["extra_info"]["index"] == row["extra_info"]["index"]]
    lost["videos"][0]["video"][0] = "gone.jpg"
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "train.parquet")
    words = command(drawn, tiny_model, tmp_path / "run", f"data.train_files='{tmp_path}/train.parquet'")
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1 and "Started a local Ray instance" in done.stderr, done.stderr[-3000:]
    message = f"training does not start: positions could not be compared: row {row['extra_info']['index']} of "
    assert message in done.stderr and "gone.jpg" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").rglob("config.yaml"))
