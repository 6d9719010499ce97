"""Builds the project's wheels for Windows by cross-compiling, and inspects them.

setuptools builds them, told about the target in the way CPython's own cross builds are: the
platform through _PYTHON_HOST_PLATFORM (so that sysconfig.get_platform() says win-amd64) and the
compiler and file names through a sysconfig data module of ours.  It works on a copy of the
project, so that nothing built for this machine gets into the wheel.
"""

from __future__ import annotations

import email
import shutil
import zipfile
from pathlib import Path, PurePosixPath

import fetch
import pe
from compilers import Compiler, compiler
from fetch import run, say
from targets import C_FLAGS, ROOT, Target

_COPIED = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "README.md", "LICENSE")
_PLUGIN = "_netsession_pytestplugin.py"  # of pytest, beside the package
_COPIED_FOLDERS = ("src", "netsession")
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "*.egg-info")
_DATA_MODULE = "_netsession_cross"

#: What a .pyd may load beside the interpreter: KnownDLLs of Windows, and what the interpreter has
#: loaded before it, so that nothing is looked for.  netapi32 is not among them: src/netapi.c loads
#: that.
_SYSTEM_DLLS = ("kernel32.dll", "msvcrt.dll", "ucrtbase.dll", "vcruntime140.dll")
_SYSTEM_PREFIX = "api-ms-win-"
_PACKAGE_SUFFIXES = (".py", ".pyi", ".typed")


class BadWheelError(AssertionError):
    """A wheel holds what it should not, or lacks what it should hold."""


def build(target: Target, output: Path, project: Path = ROOT) -> Path:
    """Build and inspect the wheel for a target; its path in `output`."""
    tools = compiler(target)
    work = target.folder / "build"
    shutil.rmtree(work, ignore_errors=True)
    source = work / "project"
    _copy(project, source)
    _configure(source, target, tools)
    built = work / "lib"
    _setup(source, tools, target, "build")
    for import_library in built.rglob("*.lib"):  # zig's linker leaves them beside the .pyd files
        import_library.unlink()
    _setup(source, tools, target, "bdist_wheel", "--skip-build", "--plat-name", target.platform)
    wheel = _tagged(source / "dist", target, output)
    inspect(wheel, target)
    say(f"built {wheel.name}")
    return wheel


def _copy(project: Path, source: Path) -> None:
    source.mkdir(parents=True)
    for name in (*_COPIED, _PLUGIN):
        if (project / name).exists():
            shutil.copy(project / name, source)
    for name in _COPIED_FOLDERS:
        if (project / name).exists():
            shutil.copytree(project / name, source / name, ignore=_NOT_COPIED)


def _configure(source: Path, target: Target, tools: Compiler) -> None:
    """Write the sysconfig data module and setuptools' options into the copy."""
    include = fetch.headers(target)
    command = " ".join(tools.command)
    # -isystem: this project's warnings are errors, those of CPython's headers are not ours
    variables = {
        "CC": command,
        "CXX": command,
        "CFLAGS": " ".join([*C_FLAGS, "-isystem", str(include)]),
        "CCSHARED": "",
        "LDSHARED": " ".join(tools.link),
        "LDCXXSHARED": " ".join(tools.link),
        "LDFLAGS": "",
        "AR": "ar",
        "ARFLAGS": "rcs",
        "SHLIB_SUFFIX": ".pyd",
        "EXT_SUFFIX": target.extension_suffix,
        "INCLUDEPY": str(include),
        "CONFINCLUDEPY": str(include),
        "Py_ENABLE_SHARED": 0,
        "Py_DEBUG": 0,
        "Py_GIL_DISABLED": 0,
    }
    (source / f"{_DATA_MODULE}.py").write_text(f"build_time_vars = {variables!r}\n")
    with (source / "setup.cfg").open("a") as options:
        options.write(f"\n[build]\nbuild_base = {source.parent}\nbuild_lib = {source.parent}/lib\n")
        options.write(f"[build_ext]\nlibraries = python{target.nodot}\n")
        options.write(f"library_dirs = {tools.libraries}\n")


def _setup(source: Path, tools: Compiler, target: Target, *command: str) -> None:
    environment = tools.full_environment() | {
        "_PYTHON_HOST_PLATFORM": target.platform.replace("win_", "win-"),
        "_PYTHON_SYSCONFIGDATA_NAME": _DATA_MODULE,
        "PYTHONPATH": str(source),
        "SOURCE_DATE_EPOCH": "315532800",  # the same wheel from the same source
    }
    for name in ("CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "LDSHARED", "ARCHFLAGS"):
        environment.pop(name, None)  # meant for this machine's compiler
    run([fetch.host_python(), "setup.py", "-q", *command], cwd=source, env=environment)


def _tagged(dist: Path, target: Target, output: Path) -> Path:
    """Give the wheel the target's Python tag: setuptools knows only the one it runs on."""
    (wheel,) = dist.glob("*.whl")
    tags = [f"--python-tag={target.abi}", f"--abi-tag={target.abi}"]
    run([fetch.host_python(), "-m", "wheel", "tags", "--remove", *tags, wheel])
    (wheel,) = dist.glob("*.whl")
    output.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(wheel, output / wheel.name))


def inspect(wheel: Path, target: Target) -> None:
    """Check a wheel's name, content, metadata, and extensions; BadWheelError if wrong."""
    name, version, tag = wheel.stem.split("-", 2)
    _require(tag == f"{target.abi}-{target.name}", f"tag {tag}")
    information = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        _require(archive.testzip() is None, "damaged archive")
        extensions = _check_names(archive.namelist(), name, information, target)
        _check_metadata(archive, information, name, version, tag)
        for extension in extensions:
            _check_extension(extension, pe.read(archive.read(extension)), target)


def _check_names(names: list[str], package: str, information: str, target: Target) -> list[str]:
    extensions = []
    for name in names:
        path = PurePosixPath(name)
        if path.parts[0] == information or name == _PLUGIN:
            continue
        _require(path.parts[0] == package, f"stray file {name}")
        if name.endswith(target.extension_suffix):
            extensions.append(name)
        else:
            _require(path.suffix in _PACKAGE_SUFFIXES or path.name == "py.typed", f"stray {name}")
    _require(f"{package}/__init__.py" in names, "no package")
    _require(_PLUGIN in names, f"no {_PLUGIN}")
    _require(f"{package}/_netsession{target.extension_suffix}" in extensions, "no extension")
    return extensions


def _check_metadata(
    archive: zipfile.ZipFile, information: str, name: str, version: str, tag: str
) -> None:
    metadata = email.message_from_bytes(archive.read(f"{information}/METADATA"))
    _require((metadata["Name"], metadata["Version"]) == (name, version), "METADATA's name")
    _require(metadata["Requires-Python"] is not None, "METADATA without Requires-Python")
    wheel = email.message_from_bytes(archive.read(f"{information}/WHEEL"))
    _require(wheel["Root-Is-Purelib"] == "false", "WHEEL says it is pure Python")
    _require(wheel.get_all("Tag") == [tag], f"WHEEL's tags {wheel.get_all('Tag')}")


def _check_extension(name: str, image: pe.Image, target: Target) -> None:
    _require(image.machine == target.arch, f"{name} is for {image.machine}")
    loaded = {dll.lower() for dll in (*image.imports, *image.delay_imports)}
    _require(target.dll in loaded, f"{name} does not load {target.dll}")
    for dll in loaded - {target.dll}:
        system = dll in _SYSTEM_DLLS or dll.startswith(_SYSTEM_PREFIX)
        _require(system, f"{name} loads {dll}, for which Windows would look in several folders")
    module = PurePosixPath(name).name.split(".")[0]
    _require(image.exports == [f"PyInit_{module}"], f"{name} exports {image.exports}")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise BadWheelError(what)
