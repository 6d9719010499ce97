"""In processes that tests start: the mutant instead of its module, or the lines that are run.

Python imports this from PYTHONPATH.  MUTANT_CODE is ``module=file`` with the module's code
marshalled; MUTANT_TRACE is ``source=file``, to which the numbers of the lines are appended.
"""

import os
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location


class _Loader(SourceFileLoader):
    code = ""

    def get_code(self, fullname):
        import marshal

        with open(self.code, "rb") as file:
            return marshal.loads(file.read())


class _Finder:
    def __init__(self, name, code):
        self.name = name
        self.code = code

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        source = PathFinder.find_spec(name, path).origin
        loader = _Loader(name, source)
        loader.code = self.code
        return spec_from_file_location(name, source, loader=loader)


def trace(source, lines):
    """Notes in a set which lines of a source this process runs, in all its threads."""
    import threading

    def local(frame, event, argument):
        lines.add(frame.f_lineno)
        return local

    def global_(frame, event, argument):
        return local if frame.f_code.co_filename == source else None

    threading.settrace(global_)
    sys.settrace(global_)


def _traced(source, file):
    import atexit

    lines = set()
    trace(source, lines)

    def write():
        sys.settrace(None)
        with open(file, "a") as output:
            output.write("".join(f"{line}\n" for line in list(lines)))

    atexit.register(write)


if "MUTANT_CODE" in os.environ:
    sys.meta_path.insert(0, _Finder(*os.environ["MUTANT_CODE"].split("=", 1)))
if "MUTANT_TRACE" in os.environ:
    _traced(*os.environ["MUTANT_TRACE"].split("=", 1))
