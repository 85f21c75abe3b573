# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Console script ``medgrpo``: routes a subcommand to its module and nothing else.

Every module in the table has ``add_arguments(parser)`` and ``run(args) -> int`` (the exit status), and is imported only
when its command was given, so that ``medgrpo --help`` answers at once.
"""

from __future__ import annotations

import argparse
import errno
import importlib.metadata
import os
import sys
from importlib import import_module
from types import ModuleType

from recipe.medgrpo import PLUGIN

#: Subcommand -> its module in this package, and what ``medgrpo --help`` says about it.
COMMANDS = {
    "doctor": ("preflight.doctor", "versions, memory, and whether trainer and vLLM see the same prompt"),
    "tiny-model": ("cpu.tiny_model", "make a small random vision-language model to try things with"),
    "generate": ("evaluation.generate", "answer the rows of a Parquet file with vLLM"),
    "calibrate": ("evaluation.calibrate", "measure the SFT model's scores: the normalization artifact"),
    "evaluate": ("evaluation.evaluate", "answer and score held-out rows, benchmark metrics included"),
    "matrices": ("evaluation.accuracy_matrices", "accuracy by modality and question type, of several evaluations"),
    "replay": ("replay.command", "what each normalization would do to given answers, without training"),
    "train": ("train", "train with RL; its arguments are overrides of the configuration"),
    "estimate": ("preflight.estimate", "memory and tokens that a training will need"),
    "browse": ("browse.site", "a page to look through a run's answers, step by step"),
    "export": ("export.cli", "a run's model as a folder for others, with a card and programs that use it"),
    "report": ("report.cli", "one HTML page about a run, before and after, or about several, compared"),
    "data": ("data_audit.cli", "build and convert records, check Parquet files, alone and in pairs"),
    "captions": ("captions.cli", "have two models caption built records, keep what they agree on, review it"),
    "judge": ("preflight.judge", "ask the LLM judge for a verdict, look into its cache"),
    "score": ("evaluation.leaderboard", "benchmark metrics of a submission file"),
    "submit": ("evaluation.submission", "write a leaderboard submission from answers, and check it"),
}

#: What the system says of a file or folder that a user named.
OF_A_FILE = {
    getattr(errno, name)
    for name in "EACCES EDQUOT EEXIST EFBIG EIO EISDIR ENAMETOOLONG ENOENT ENOSPC ENOTDIR EPERM EROFS".split()
}
#: Package to the extra of setup.py that has it and little else.
EXTRAS = {"openai": "judge", "tenacity": "judge", "sentence_transformers": "similarity"}
OWN_PACKAGES = ("recipe.medgrpo.", "reward_score.", "data_preprocess.")
#: Whose complaints about a configuration or an override are for the user too.
CONFIGURATION = ("hydra.", "omegaconf.")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str:
        untold = action.default is None or action.default is False or action.default == []
        return action.help if untold else super()._get_help_string(action)


def module_of(command: str) -> ModuleType:
    """The module of a subcommand."""
    return import_module(f"recipe.medgrpo.{COMMANDS[command][0]}")


def is_own_error(error: BaseException) -> bool:
    """Whether the error, or one it derives from, is this project's: its message is for the user. Any other is a bug."""
    return any(f"{cls.__module__}.".startswith(OWN_PACKAGES) for cls in type(error).__mro__)


def version() -> str:
    """Of this distribution."""
    try:
        return importlib.metadata.version("verl-medgrpo")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed: pip install --no-deps -e .)"


def build_parser(chosen: str | None) -> argparse.ArgumentParser:
    """The parser of all commands; only ``chosen`` gets its arguments, because only its module is imported."""
    parser = argparse.ArgumentParser(
        prog="medgrpo",
        description="MedGRPO on verl: tools around the training run.",
        epilog="`medgrpo COMMAND --help` explains a command.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    parser.add_argument("--version", action="version", version=f"verl-medgrpo {version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, help) in COMMANDS.items():
        subparser = commands.add_parser(name, help=help, formatter_class=HelpFormatter)
        if name == chosen:
            module = module_of(name)
            subparser.description = module.__doc__.splitlines()[0]
            module.add_arguments(subparser)
            # No option can be called so: ``--run`` of `medgrpo matrices` would overwrite a plain ``run``.
            subparser.set_defaults(_run=module.run)
    return parser


def complaint(error: Exception) -> str | None:
    """What a user sees instead of a trace of an error that can be fixed; None for any other, which is a bug."""
    if is_own_error(error):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and not f"{error.name}.".startswith(OWN_PACKAGES):
        if error.name is None:
            # transformers' own, of a class that it loads late: what is missing stands in the error's cause.
            return f"{error.__cause__ or error}: install what training needs (docs/install.md)"
        extra = EXTRAS.get(f"{error.name}".split(".")[0])
        remedy = f"pip install -e '.[{extra}]'" if extra else "install what training needs"
        return f"needs the Python package {error.name}, which is not installed: {remedy} (docs/install.md)"
    if isinstance(error, OSError) and error.errno in OF_A_FILE:
        return f"{error.filename or 'a file'}: {error.strerror}"
    if any(f"{cls.__module__}.".startswith(CONFIGURATION) for cls in type(error).__mro__):
        # Hydra lists the packages that it searched after what it has to say.
        return str(error).split("\nConfig search path")[0]
    return None


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; returns its exit status, or 2 after an error that has a `complaint`."""
    argv = sys.argv[1:] if argv is None else argv
    # verl and vLLM, should the command load them, are to be those of this recipe.
    os.environ[PLUGIN] = "1"
    chosen = next((argument for argument in argv if not argument.startswith("-")), None)
    # A notebook's shell names a backend that need not be installed here; no command opens a window.
    os.environ["MPLBACKEND"] = "agg"
    if argv[:1] == ["train"] and not {"-h", "--help"} & set(argv[1:2]):
        # Hydra's own options must reach Hydra.
        argv = ["train", "--", *argv[1:]]
    try:
        args = build_parser(chosen).parse_args(argv)
        status = args._run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader, say `head`, has seen enough. What is still buffered would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        message = complaint(error)
        if os.environ.get("MEDGRPO_TRACEBACK") == "1" or message is None:
            raise
        print(f"medgrpo {chosen}: {message}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
