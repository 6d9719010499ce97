"""Session records: one NamedTuple a level, with fields exactly as the server sent them.

The classes are declared here and allocated by the native core, which checks at import that they
have the fields of its level table. Typed in ``records.pyi``; ``typing`` itself would cost more at
import than all the rest of the package.

Units: ``active_time`` and ``idle_time`` are seconds. Source: SESSION_INFO_x of lmshare.h,
[MS-SRVS] 2.2.4.11 to 2.2.4.15.
"""

from collections import namedtuple

__all__ = [
    "SessionInfo",
    "SessionInfo0",
    "SessionInfo1",
    "SessionInfo2",
    "SessionInfo10",
    "SessionInfo502",
]

UNKNOWN_TIME = 0xFFFFFFFF  # what servers send for a time they do not know
_SESS_GUEST = 1
_IPV6_CHARACTERS = frozenset("0123456789abcdefABCDEF:.")

_timedelta = None


def bare_client(name):
    """A client name without leading backslashes, and without the brackets of an IPv6 address."""
    name = name.lstrip("\\")
    if name.startswith("[") and name.endswith("]") and _may_be_ipv6(name[1:-1]):
        return name[1:-1]
    return name


def _may_be_ipv6(text):
    address = text.partition("%")[0]
    return address.count(":") > 1 and _IPV6_CHARACTERS.issuperset(address)


def is_time(field):
    """Whether a field holds seconds."""
    return field.endswith("_time")


def known(field, value):
    """A field's value, with None for a time that the server did not know."""
    return None if value == UNKNOWN_TIME and is_time(field) else value


def _duration(seconds):
    if seconds is None or seconds == UNKNOWN_TIME:
        return None
    global _timedelta
    if _timedelta is None:  # not with the package: datetime is slow to import
        from datetime import timedelta as _timedelta
    return _timedelta(seconds=seconds)


class _Interpreted:
    """What people want of a record. A field that the level lacks reads None."""

    client_name = user_name = num_opens = active_time = idle_time = None
    user_flags = client_type = transport = None

    @property
    def client(self):
        """``client_name`` without leading backslashes and IPv6 brackets (str or None)."""
        return None if self.client_name is None else bare_client(self.client_name)

    @property
    def active(self):
        """How long the session exists (timedelta), or None where the server did not know."""
        return _duration(self.active_time)

    @property
    def idle(self):
        """How long the session has been idle (timedelta), or None where the server did not know."""
        return _duration(self.idle_time)

    @property
    def flags(self):
        """``user_flags`` as SessionFlags, or None where the level lacks them."""
        from .flags import SessionFlags

        return None if self.user_flags is None else SessionFlags(self.user_flags)

    @property
    def is_guest(self):
        """Whether the user was logged on as guest (bool), or None where the level lacks flags."""
        return None if self.user_flags is None else bool(self.user_flags & _SESS_GUEST)

    def as_dict(self):
        """The fields by name, as ``--format jsonl`` has them (dict of str to str, int or None).

        A time that the server did not know is None; ``_asdict()`` has it as it was sent.
        """
        return {field: known(field, value) for field, value in zip(self._fields, self, strict=True)}


#: The docstrings of the fields.
_FIELDS = {
    "client_name": "The client as the server spells it (str or None): by name or address, Windows "
    "with two backslashes before it and brackets around IPv6.",
    "user_name": "The user as the server spells it (str or None); empty for an anonymous one.",
    "num_opens": "How many files, devices and pipes are open (int).",
    "active_time": "Seconds since the session began (int); 0xFFFFFFFF where the server does not "
    "know.",
    "idle_time": "Seconds since it was last used (int); 0xFFFFFFFF where the server does not know. "
    "Samba says 0 of every session.",
    "user_flags": "Bits (int), which ``flags`` has as SessionFlags.",
    "client_type": "What kind of client it is (str or None); usually empty.",
    "transport": "The device of the transport (str or None), as ``\\Device\\NetbiosSmb``.",
}


def _record(level, names, doc):
    """The NamedTuple of a level. One class each: inheriting would double what import costs."""
    record = namedtuple(f"SessionInfo{level}", names, module=__name__)
    record.__doc__ = doc
    for name in names:
        getattr(record, name).__doc__ = _FIELDS.get(name)
    for name, meaning in vars(_Interpreted).items():
        if not name.startswith("__") and name not in record._fields:
            setattr(record, name, meaning)
    return record


SessionInfo0 = _record(
    0,
    ("client_name",),
    "A session at level 0: the client's name only.",
)
SessionInfo1 = _record(
    1,
    ("client_name", "user_name", "num_opens", "active_time", "idle_time", "user_flags"),
    "A session at level 1: names, open files, times in seconds, SESS_* flags.",
)
SessionInfo2 = _record(
    2,
    (*SessionInfo1._fields, "client_type"),
    "A session at level 2: level 1 and the client's type (often an empty string).",
)
SessionInfo10 = _record(
    10,
    ("client_name", "user_name", "active_time", "idle_time"),
    "A session at level 10: names and times in seconds.",
)
SessionInfo502 = _record(
    502,
    (*SessionInfo2._fields, "transport"),
    "A session at level 502: level 2 and the transport's device name.",
)

#: Any session record.
SessionInfo = SessionInfo0 | SessionInfo1 | SessionInfo2 | SessionInfo10 | SessionInfo502
