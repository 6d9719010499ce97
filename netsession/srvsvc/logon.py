"""Why nobody could be logged on, where it is this machine that says so and not the server.

pyspnego tries Kerberos and NTLM in turn and reports the last failure, which without a password is
always NTLM's: that it needs one. What the caller has to know is why Kerberos failed, so that is
asked again, alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import spnego

from .failures import WireError

# The minor status of a Kerberos library's GSSAPI is ERROR_TABLE_BASE_krb5 and the error code of
# RFC 4120 7.5.9, or one above 127 of the library's own (krb5_err.et, alike in MIT's and Heimdal).
_KRB5_BASE: Final = 0x96C73A00


class _Reason(NamedTuple):
    status: int
    text: str  # of {who} and {service}


_NO_LIBRARY: Final = _Reason(
    0x80090305, "Kerberos needs a library for Python that is not installed"
)
_NOT_TAKEN: Final = _Reason(1364, "the server does not take the Kerberos ticket that there is")
_NO_TICKET: Final = _Reason(0x8009030E, "there is no Kerberos ticket of {who}")
_EXPIRED: Final = _Reason(0x80090317, "the Kerberos ticket of {who} has expired")
_NO_KDC: Final = _Reason(0x80090311, "no domain controller of the Kerberos realm can be reached")
_SKEW: Final = _Reason(
    1398, "the clocks of this machine and of the domain differ too much for Kerberos"
)
_PASSWORD: Final = _Reason(1326, "the Kerberos realm does not take the password of {who}")
_REASONS: Final = {
    6: _Reason(1317, "the Kerberos realm has no user {who}"),
    7: _Reason(1396, "the Kerberos realm has no server {service}"),
    12: _Reason(1327, "the policy of the Kerberos realm refuses {who}"),
    14: _Reason(0x80090342, "the Kerberos realm does not take this machine's ciphers"),
    18: _Reason(1331, "the Kerberos account of {who} is disabled or locked"),
    23: _Reason(1330, "the Kerberos password of {who} has expired"),
    24: _PASSWORD,
    31: _PASSWORD,
    32: _EXPIRED,
    33: _SKEW,  # a ticket that is not yet valid
    37: _SKEW,
    141: _NO_TICKET,  # no matching credential
    154: _NO_KDC,  # realm unknown
    156: _NO_KDC,
    195: _NO_TICKET,  # no credentials cache
    220: _NO_KDC,  # realm cannot be resolved
}
_MAJOR_REASONS: Final = {458752: _NO_TICKET, 720896: _EXPIRED}  # GSS_S_NO_CRED and ..._EXPIRED


_STATUS_LOGON_FAILURE: Final = 0xC000006D
_STATUS_NOT_FOUND: Final = 0xC0000225
_ERROR_LOGON_FAILURE: Final = 1326


def explain_refusal(refusal: WireError, password: str | None) -> None:
    """Adds what the server's answer to a logon leaves out.

    Samba calls a wrong password of a user@realm "not found", and a ticket that it cannot accept,
    whatever the reason, a failed logon.
    """
    if refusal.ntstatus == _STATUS_NOT_FOUND:
        refusal.status = _ERROR_LOGON_FAILURE
    if refusal.ntstatus == _STATUS_LOGON_FAILURE and password is None:
        refusal.detail += (
            "; it was shown a Kerberos ticket, no password: it may be of another time than the "
            "server's clock (five minutes are allowed), or for another key of the server than "
            "it has now: get a new ticket with kinit once the clocks agree"
        )


def why_no_logon(
    error: BaseException, username: str | None, password: str | None, host: str
) -> WireError:
    """The failure, not raised, that pyspnego's ``error`` means to somebody who wants to log on."""
    reason = _reason_in(error)
    if reason is None:
        reason = _why_no_ticket(username, host) if password is None else _as_said(error)
    text = reason.text.replace("{who}", username or "the current user")
    text = text.replace("{service}", f"cifs/{host}")
    if password is None:
        text = f"no password was given, and {text}"
    return WireError(reason.status, text)


def _why_no_ticket(username: str | None, host: str) -> _Reason:
    try:
        spnego.client(username, hostname=host, service="cifs", protocol="kerberos").step()
    except Exception as error:  # pyspnego's, gssapi's or krb5's, which is only looked at
        return _reason_in(error) or _as_said(error)
    return _NOT_TAKEN


def _reason_in(error: BaseException) -> _Reason | None:
    for each in _chain(error):
        if isinstance(each, ImportError):
            return _NO_LIBRARY
        # gssapi's errors have two codes, those of krb5 one.
        minor = getattr(each, "min_code", None) or getattr(each, "err_code", None) or 0
        reason = _REASONS.get((minor & 0xFFFFFFFF) - _KRB5_BASE)
        reason = reason or _MAJOR_REASONS.get(getattr(each, "maj_code", 0))
        if reason is not None:
            return reason
    return None


def _as_said(error: BaseException) -> _Reason:
    """What is at the bottom of an error, without the names of the exceptions around it."""
    *_, innermost = _chain(error)
    said = str(innermost)
    said = said.rpartition("): ")[2].partition(", Context")[0] or said
    return _Reason(1326, f"this machine says: {said}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it, as Python or pyspnego tells that."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = getattr(error, "base_error", None) or error.__cause__ or error.__context__
