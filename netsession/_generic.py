"""Classes of what they hold, as ``Sessions[SessionInfo1]``: to a type checker, and in annotations.

``typing`` itself would cost more at import than all the rest of the package.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Generic

    from typing_extensions import TypeVar  # of the type checker's own: it has defaults

    from .records import SessionInfo

    #: The record class of a level.
    Record = TypeVar("Record", bound=SessionInfo, default=SessionInfo, covariant=True)

    class OfRecords(Generic[Record]):
        """A class that has records of one level, or of any."""

else:
    Record = None

    class OfRecords:
        """What ``typing.Generic`` would be."""

        __slots__ = ()
        __class_getitem__ = classmethod(type(list[int]))
