"""Run as a program: which netapi32.dll does a module ask, and what is loaded by then?

    asked_library.py netsession|win32net [FOLDER...]

Each FOLDER is given to os.add_dll_directory; one that ends in a netapi32.dll is loaded before.
Prints JSON: ``calls`` of NetSessionEnum by the path of each netapi32.dll, ``loaded`` modules.
"""

from __future__ import annotations

import json
import os
import sys

NAME = "netapi32.dll"


def ask(module: str) -> None:
    """List this machine's sessions."""
    if module == "win32net":
        import win32net

        win32net.NetSessionEnum(10)
    else:
        import netsession

        list(netsession.Server().sessions(level=10))


def loaded() -> list[str]:
    """The files of this process's modules, by EnumProcessModules of psapi.h."""
    import ctypes

    kernel32 = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined, unused-ignore]
    kernel32.GetCurrentProcess.restype = ctypes.c_void_p
    process = ctypes.c_void_p(kernel32.GetCurrentProcess())
    modules, needed = (ctypes.c_void_p * 1000)(), ctypes.c_uint32()
    size = ctypes.sizeof(modules)
    assert kernel32.K32EnumProcessModules(process, modules, size, ctypes.byref(needed))
    assert needed.value <= size
    found = []
    for module in modules[: needed.value // ctypes.sizeof(ctypes.c_void_p)]:
        name = ctypes.create_unicode_buffer(1000)
        assert kernel32.GetModuleFileNameW(ctypes.c_void_p(module), name, len(name))
        found.append(name.value)
    return found


def calls(path: str) -> int:
    import ctypes

    return int(ctypes.CDLL(path).SimulatorCalls(0))  # the module that is loaded from there


def main() -> None:
    for folder in sys.argv[2:]:
        if os.path.basename(folder) == NAME:
            import ctypes

            ctypes.CDLL(folder)
        else:
            os.add_dll_directory(folder)  # type: ignore[attr-defined, unused-ignore]
    ask(sys.argv[1])
    modules = loaded()
    libraries = [path for path in modules if os.path.basename(path).lower() == NAME]
    print(json.dumps({"calls": {path: calls(path) for path in libraries}, "loaded": modules}))


if __name__ == "__main__":
    main()
