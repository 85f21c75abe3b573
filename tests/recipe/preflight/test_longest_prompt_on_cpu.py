# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Rows that training would stumble over in the middle of an epoch are found before it, to the token."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recipe.medgrpo.preflight import longest_prompt
from recipe.medgrpo.preflight.errors import SetupError
from recipe.medgrpo.preflight.longest_prompt import check_lengths, check_longest, find_longest

WINDOW = "actor_rollout_ref.rollout.max_model_len"
PER_GPU = "actor_rollout_ref.actor.ppo_max_token_len_per_gpu"


@pytest.fixture
def composed(composed):
    """With a batch that the drawn rows fill."""
    return lambda name, *overrides: composed(name, "data.train_batch_size=8", *overrides)


@pytest.fixture(scope="module")
def processor(tiny_model):
    from verl.utils import hf_processor

    return hf_processor(str(tiny_model))


@pytest.fixture
def table(drawn):
    return pq.read_table(drawn / "train.parquet")


@pytest.fixture
def rewritten(table, tmp_path):
    """``rewritten(rows)``: a file of these rows."""

    def call(rows):
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "changed.parquet")
        return str(tmp_path / "changed.parquet")

    return call


def first(rows, task):
    return next(index for index, row in enumerate(rows) if row["ability"] == task)


def test_the_longest_row_of_the_rewarded_tasks_is_found(drawn, table, rewritten, composed, processor):
    rows = table.to_pylist()
    for task, tokens in {"stg": 900, "vs": 1100}.items():
        rows[first(rows, task)]["extra_info"]["num_tokens"] = tokens
    file = rewritten(rows)
    files = [str(drawn / "train.parquet"), file]
    data = composed("medgrpo").data
    assert find_longest(files, data, processor).where == f"{file}, row {first(rows, 'vs')}"
    data.tasks = ["tag", "stg"]
    assert find_longest(files, data, processor).media_tokens == 900
    data.tasks = ["mcq"]
    assert find_longest(files, data, processor) is None


def test_words_count_too(table, rewritten, composed, processor):
    from recipe.medgrpo.model_inputs.encode import encode, load_media

    rows = table.to_pylist()
    row = rows[first(rows, "tag")]
    row["prompt"][-1]["content"] += " seconds" * 400
    row["extra_info"]["num_tokens"] -= 1
    data = composed("medgrpo").data
    longest = find_longest([rewritten(rows)], data, processor)
    assert longest.row["prompt"][-1]["content"].endswith("seconds seconds")
    # Exactly what the processor makes of it, but for the token that the row does not admit.
    messages = longest_prompt.messages_of(longest.row, data)
    ids = encode(processor, messages, *load_media(messages, 14))["input_ids"]
    assert longest.length == ids.shape[1] - 1


def test_a_sample_that_fits_is_processed_and_told(composed, capsys):
    check_longest(composed("medgrpo"))
    assert "longest sample: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "override, told",
    [
        ("data.max_prompt_length=20", r"data.max_prompt_length leaves a prompt of RL \(20\)"),
        (f"{WINDOW}=60", r"rollout.max_model_len leaves a prompt of RL \(28\)"),
        (f"{PER_GPU}=62", r"ppo_max_token_len_per_gpu leaves a prompt of RL \(30\)"),
    ],
)
def test_a_limit_that_is_too_small_is_named(composed, override, told):
    with pytest.raises(SetupError, match=rf"train.parquet: \d+ of \d+ rows .*{told}; the longest is row \d+: \d+"):
        check_longest(composed("medgrpo", override))


def test_sequence_parallel_ranks_share_a_sequence(composed):
    shared = "actor_rollout_ref.actor.fsdp_config.ulysses_sequence_parallel_size=4"
    assert longest_prompt.rl_limits(composed("medgrpo", f"{PER_GPU}=62", shared))[PER_GPU] == 4 * 62 - 32


def test_rows_that_will_be_left_out_do_not_count(composed, drawn):
    two = f"data.train_files=['{drawn}/train.parquet','{drawn}/train.parquet']"
    check_longest(composed("medgrpo", "data.max_prompt_length=20", "data.filter_overlong_prompts=true", two))


def test_data_of_another_model_are_refused(composed, table, rewritten):
    rows = table.to_pylist()
    for row in rows:
        row["extra_info"]["num_tokens"] += 1
    with pytest.raises(SetupError, match="changed.parquet, row .*--patch"):
        check_longest(composed("medgrpo", f"data.train_files='{rewritten(rows)}'"))


def test_a_lost_frame_is_told_with_its_row(composed, table, rewritten):
    rows = table.to_pylist()
    for row in rows:
        row["videos"][0]["video"][0] = "gone.jpg"
    with pytest.raises(SetupError, match=r"changed.parquet, row \d+: gone.jpg cannot be read"):
        check_longest(composed("medgrpo", f"data.train_files='{rewritten(rows)}'"))


@pytest.mark.parametrize("name", ["medgrpo", "sft"])
def test_rows_for_another_patch_size_are_refused_in_sft_too(composed, processor, table, rewritten, name):
    rows = table.to_pylist()
    for row in rows:
        row["extra_info"]["num_tokens"] -= 4
    config = composed(name, f"data.train_files='{rewritten(rows)}'")
    with pytest.raises(SetupError, match=r"changed.parquet, row \d+: .* of its media: .*--patch: 14 for"):
        check_lengths(config, processor, sft=name == "sft")


@pytest.mark.parametrize(
    ("overrides", "rows"),
    [(["data.train_batch_size=48"], 36), (["data.train_max_samples=3"], 3), (["data.tasks=[mcq]"], 0)],
)
def test_rows_that_fill_no_batch_are_refused(composed, overrides, rows):
    with pytest.raises(SetupError, match=rf"RL would train on {rows} rows .*fewer than data.train_batch_size="):
        check_longest(composed("medgrpo", *overrides))


def test_what_is_no_file_of_data_preprocess_is_refused(composed, tmp_path):
    (tmp_path / "x.json").write_text("[]")
    pq.write_table(pa.table({"ability": ["tag"]}), tmp_path / "y.parquet")
    for name, reason in {"x.json": "is no Parquet file", "y.parquet": "has no column data_source, extra_info"}.items():
        with pytest.raises(SetupError, match=f"{name} {reason}"):
            check_longest(composed("medgrpo", f"data.train_files='{tmp_path}/{name}'"))


def test_sft_rows_are_counted_as_sft_sees_them(composed, processor):
    from recipe.medgrpo.trainer.dataset import MedGRPOSFTDataset

    data = composed("sft").data
    rows = MedGRPOSFTDataset(data.train_files, processor.tokenizer, data, processor=processor)
    longest = max(len(rows[i]["input_ids"]) for i in range(len(rows)))
    check_lengths(composed("sft", f"data.max_length={longest}"), processor, sft=True)
    too_low = composed("sft", f"data.max_length={longest - 1}")
    with pytest.raises(SetupError, match=rf"row \d+: {longest}, .*--max-clip-tokens \d+.*data.max_length.*SFT_ARGS"):
        check_lengths(too_low, processor, sft=True)
    halved = f"data.max_token_len_per_gpu={(longest - 1) // 2}", "engine.ulysses_sequence_parallel_size=2"
    with pytest.raises(SetupError, match="data.max_token_len_per_gpu"):
        check_lengths(composed("sft", *halved), processor, sft=True)


def test_rl_prompts_are_counted_to_the_token(composed, processor):
    data = composed("medgrpo").data
    longest = find_longest([data.train_files], data, processor)
    check_lengths(composed("medgrpo", f"data.max_prompt_length={longest.length}"), processor)
    short, filtered = f"data.max_prompt_length={longest.length - 1}", "data.filter_overlong_prompts=true"
    told = rf"[1-9]\d* of \d+ rows .*: {longest.length}, {longest.media_tokens} of them"
    with pytest.raises(SetupError, match=told):
        check_lengths(composed("medgrpo", short), processor)
    # Such rows are left out; then the other limits must hold those that stay.
    check_lengths(composed("medgrpo", short, filtered), processor)
    with pytest.raises(SetupError, match="max_model_len leaves"):
        check_lengths(composed("medgrpo", short, filtered, f"{WINDOW}={32 + longest.length // 2}"), processor)


def test_a_turn_format_of_the_configurations_own_counts(composed):
    wordy = "actor_rollout_ref.model.custom_chat_template='" + "seconds " * 600 + "'"
    with pytest.raises(SetupError, match=r"(\d+) of \1 rows"):
        check_longest(composed("medgrpo", wordy))
