# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""The cache file, and what can happen to it: no lost verdict, no wrong one, no stopped judge."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_score.errors import CacheUnusable
from reward_score.judge import DIMENSIONS, JudgeConfig, LLMJudge, Verdict, cache
from reward_score.judge.cache import VerdictCache, make_key
from reward_score.sample import CaptionPair

PARAMETERS = {"temperature": 0.0, "max_tokens": 128}


def pair(i):
    return CaptionPair(f"candidate {i}", f"reference {i}")


def key(i):
    return make_key("m", "p", PARAMETERS, pair(i))


def graded(i):
    """A verdict that tells which one it is."""
    return Verdict(**{name: 1 + (i // 5**n) % 5 for n, name in enumerate(DIMENSIONS)})


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a folder" / "judge.sqlite"


def fill(file, number, start=0):
    store = VerdictCache(file)
    for i in range(start, number):
        store.put(key(i), "m", "p", graded(i))
        print(i, flush=True)
    assert store.pop_errors() == 0
    store.close()


def check(file, numbers):
    """All verdicts are there, each under its own key."""
    found = VerdictCache(file).get_many([key(i) for i in numbers])
    assert found == {key(i): graded(i) for i in numbers}


def writer(file, start, stop):
    """A process that puts verdicts and prints the number of each that was put."""
    argv = [sys.executable, __file__, str(file), str(start), str(stop)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_two_processes_write_and_nothing_is_lost(file):
    writers = [writer(file, 0, 300), writer(file, 200, 500)]
    for one in writers:
        one.communicate(timeout=300)
        assert one.returncode == 0
    check(file, range(500))


def test_kill_9_while_writing_loses_nothing_that_was_put(file):
    process = writer(file, 0, 10**6)
    assert next(line for line in process.stdout if int(line) == 200)
    process.send_signal(signal.SIGKILL)
    rest = process.communicate(timeout=300)[0].split()
    last = int(rest[-1]) if rest else 200
    check(file, range(last + 1))
    fill(file, 10)


def test_a_finished_run_is_scored_again_without_a_call(server, make, file):
    pairs = [pair(i % 7) for i in range(20)]
    first = make(cache=str(file)).judge(pairs)
    # The same pair is asked about once, however often it comes.
    assert len(server.requests) == 7
    assert make(cache=str(file)).judge(pairs) == first
    assert len(server.requests) == 7


@pytest.mark.parametrize(
    "change", [{"model": "another"}, {"rubric": "absolute"}, {"temperature": 0.5}, {"max_tokens": 200}]
)
def test_another_judge_does_not_take_these_verdicts(server, make, file, change):
    make(cache=str(file)).judge([pair(1)])
    make(cache=str(file), **change).judge([pair(1)])
    assert len(server.requests) == 2


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_keys_tell_pairs_apart(one, other):
    same = make_key("m", "p", PARAMETERS, CaptionPair(*one)) == make_key("m", "p", PARAMETERS, CaptionPair(*other))
    assert same == (one == other)


def works_without_the_file(make, file, caplog, message, errors_at_least=1):
    judge = make(cache=str(file))
    began = time.monotonic()
    assert judge.judge([pair(1)])[0].mean == 4 == judge.judge([pair(1)])[0].mean
    assert time.monotonic() - began < 2 * cache.BUSY_TIMEOUT + 3
    assert message in caplog.text and "Verdicts go on without it" in caplog.text
    tally = judge.limiter._tally
    for _ in range(50):
        if tally.asked == 2:
            break
        time.sleep(0.02)
    assert tally.cache_errors >= errors_at_least


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_truncated_file(server, make, file, caplog, cut):
    fill(file, 2000)
    os.truncate(file, int(file.stat().st_size * cut))
    before = file.read_bytes()
    # What can still be read is read; what cannot is asked for anew; nothing wrong comes out, nothing is deleted.
    found = VerdictCache(file).get_many([key(i) for i in range(2000)])
    assert all(found[key(i)] == graded(i) for i in range(2000) if key(i) in found)
    works_without_the_file(make, file, caplog, "malformed")
    assert file.read_bytes()[: len(before) // 2] == before[: len(before) // 2]


def test_grades_out_of_range_in_the_file_are_not_believed(server, make, file, caplog):
    judge = make(cache=str(file))
    judge.judge([pair(1)])
    judge.cache.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE verdicts SET action = 500")
    works_without_the_file(make, file, caplog, "damaged entry")


def test_a_locked_file(server, make, file, caplog, monkeypatch):
    monkeypatch.setattr(cache, "BUSY_TIMEOUT", 0.3)
    fill(file, 1)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    works_without_the_file(make, file, caplog, "locked")
    other.execute("ROLLBACK")
    other.close()
    check(file, range(1))


def test_a_read_only_folder(server, make, file, caplog, monkeypatch):
    fill(file, 1)
    # Root may write anywhere, so the operating system's refusal is SQLite's own here.
    honest = sqlite3.connect

    def read_only(path, **options):
        return honest(f"file:{path}?mode=ro", uri=True, **options)

    monkeypatch.setattr(sqlite3, "connect", read_only)
    works_without_the_file(make, file, caplog, "readonly")


@pytest.mark.parametrize(("text", "message"), [("no verdicts" * 200, "not a database"), (None, "unable to open")])
def test_a_file_of_something_else_or_a_folder(server, make, file, caplog, text, message):
    file.parent.mkdir() if text else file.mkdir(parents=True)
    if text:
        file.write_text(text)
    works_without_the_file(make, file, caplog, message)
    assert file.is_dir() or file.read_text() == text


def test_the_file_is_used_again_when_it_is_well_again(server, make, file, monkeypatch):
    monkeypatch.setattr(cache, "PAUSE", 0.0)
    file.mkdir(parents=True)
    store = VerdictCache(file)
    store.put(key(1), "m", "p", graded(1))
    assert store.pop_errors() == 1 and store.get_many([key(1)]) == {key(1): graded(1)}
    file.rmdir()
    store.put(key(2), "m", "p", graded(2))
    assert store.pop_errors() == 0
    check(file, [2])


def test_threads_share_one_cache(file):
    store = VerdictCache(file, size=10)

    def work(start):
        for i in range(start, start + 50):
            store.put(key(i), "m", "p", graded(i))
            assert store.get_many([key(i)])[key(i)] == graded(i)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, (0, 25, 50)))
    assert store.pop_errors() == 0 and len(store._memory) == 10
    check(file, range(100))


def test_statistics(file):
    fill(file, 10)
    [row] = cache.statistics(file)
    assert (row["model"], row["prompt"], row["verdicts"]) == ("m", "p", 10)
    assert row["mean_grade"] == pytest.approx(sum(graded(i).mean for i in range(10)) / 10)
    assert row["first"] <= row["last"] <= time.time()
    file.write_text("no database" * 500)
    with pytest.raises(CacheUnusable, match="move the file away"):
        cache.statistics(file)


def test_without_a_file_verdicts_are_kept_in_memory(server):
    judge = LLMJudge(JudgeConfig(cache=None, base_url=server.url))
    judge.judge([pair(1)])
    judge.judge([pair(1)])
    assert len(server.requests) == 1


if __name__ == "__main__":
    fill(sys.argv[1], int(sys.argv[3]), int(sys.argv[2]))
