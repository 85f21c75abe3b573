# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Console script ``medgrpo``: routes a subcommand to its module and nothing else.

Every module in the table has ``add_arguments(parser)`` and ``run(args) -> int`` (the exit status). A module is imported
only when its command was given, so that ``medgrpo --help`` answers at once although torch and vLLM are seconds away.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import NamedTuple


class Command(NamedTuple):
    """Where a subcommand lives and what ``medgrpo --help`` says about it."""

    module: str
    help: str


COMMANDS = {
    "doctor": Command(
        "recipe.medgrpo.preflight.doctor", "versions, memory, and whether trainer and vLLM see the same prompt"
    ),
    "tiny-model": Command(
        "recipe.medgrpo.cpu.tiny_model", "make a small random vision-language model to try things with"
    ),
    "generate": Command("recipe.medgrpo.evaluation.generate", "answer the rows of a Parquet file with vLLM"),
    "calibrate": Command(
        "recipe.medgrpo.evaluation.calibrate", "measure the SFT model's scores: the normalization artifact"
    ),
    "evaluate": Command(
        "recipe.medgrpo.evaluation.evaluate", "answer and score held-out rows, benchmark metrics included"
    ),
    "matrices": Command(
        "recipe.medgrpo.evaluation.accuracy_matrices", "accuracy by modality and question type, of several evaluations"
    ),
    "estimate": Command("recipe.medgrpo.preflight.estimate", "memory and time that a training will need"),
    "report": Command("recipe.medgrpo.report.page", "one HTML page about a run: before, after, and how it went"),
    "data": Command("recipe.medgrpo.data_audit.cli", "check Parquet files, and what two of them have in common"),
    "judge": Command("recipe.medgrpo.preflight.judge", "ask the LLM judge for a verdict, look into its cache"),
    "score": Command("recipe.medgrpo.evaluation.leaderboard", "benchmark metrics of a submission file"),
    "submit": Command(
        "recipe.medgrpo.evaluation.submission", "write a leaderboard submission from answers, and check it"
    ),
}

OWN_PACKAGES = ("recipe.medgrpo", "reward_score", "data_preprocess")


def is_own_error(error: BaseException) -> bool:
    """Whether the error's class, or one it derives from, is defined in this project.

    Such an error's message is written for the user: file, row, field, remedy. Any other is a bug and keeps its trace.
    """
    modules = (cls.__module__ for cls in type(error).__mro__)
    return any(module == own or module.startswith(own + ".") for module in modules for own in OWN_PACKAGES)


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser of all commands; only ``chosen`` gets its arguments, because only its module is imported."""
    parser = argparse.ArgumentParser(
        prog="medgrpo",
        description="MedGRPO on verl: tools around the training run.",
        epilog="Training itself: `python -m recipe.medgrpo.main_medgrpo`. `medgrpo COMMAND --help` explains a command.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        if name == chosen:
            module = import_module(command.module)
            subparser.description = (module.__doc__ or command.help).strip().splitlines()[0]
            module.add_arguments(subparser)
            # No option can be called so: ``--run`` of `medgrpo matrices` would overwrite a plain ``run``.
            subparser.set_defaults(_run=module.run)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand.

    Returns:
        Exit status: the command's own, or 2 after an error of our own taxonomy (one message on stderr; with
        ``MEDGRPO_TRACEBACK=1`` the exception is raised instead).
    """
    argv = sys.argv[1:] if argv is None else argv
    chosen = next((argument for argument in argv if not argument.startswith("-")), None)
    args = build_parser(chosen).parse_args(argv)
    try:
        return args._run(args)
    except Exception as error:
        if os.environ.get("MEDGRPO_TRACEBACK") == "1" or not is_own_error(error):
            raise
        print(f"medgrpo {args.command}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
