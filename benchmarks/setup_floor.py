"""Builds floor.c, with the flags that build netsession itself."""

from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path(__file__).resolve().parents[1] / "src"

setup(
    name="netsession-floor",
    ext_modules=[
        Extension(
            "netsession_floor",
            sources=["floor.c", str(SOURCES / "netapi.c")],
            include_dirs=[str(SOURCES)],
            extra_compile_args=["-std=c11", "-fvisibility=hidden", "-Wall", "-Wextra"],
        )
    ],
)
