"""parquet, where pyarrow is installed."""

from __future__ import annotations

from contextlib import ExitStack
from types import ModuleType

from netsession.server import Sessions

from .exits import USAGE, Stop
from .output import complete_file


def require_pyarrow() -> ModuleType:
    """pyarrow, or the end of the command."""
    try:
        import pyarrow.parquet  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ModuleNotFoundError:
        raise Stop(
            USAGE, "--format parquet needs pyarrow, which is not installed: pip install pyarrow"
        ) from None
    module: ModuleType = pyarrow
    return module


def write_parquet(sessions: Sessions, file: str) -> int:
    """One file with the sessions; it appears when it is complete. Returns their number.

    Page by page, not as one Arrow stream: so a failed call keeps its exception.
    """
    pyarrow = require_pyarrow()
    count = 0
    with complete_file(file) as path, ExitStack() as opened:
        writer = None
        for page in sessions.pages():
            batch = pyarrow.record_batch(page)
            if writer is None:
                writer = opened.enter_context(pyarrow.parquet.ParquetWriter(path, batch.schema))
            writer.write_batch(batch)
            count += len(page)
        if writer is None:  # no page at all: a filter that matched nothing
            pyarrow.parquet.ParquetWriter(path, pyarrow.schema(sessions)).close()
    return count
