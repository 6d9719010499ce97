"""Runs on the domain controller under the system's Python, which has Samba's bindings.

Reads one JSON list of requests from standard input and writes the list of answers. The database is
asked directly, so that no request of it counts as a logon of anyone.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import sys
from typing import Any

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB


def create(db: SamDB, name: str, password: str) -> None:
    """An account as ``samba-tool user create`` makes it."""
    db.newuser(name, password)


def set_password(db: SamDB, name: str, password: str) -> None:
    """As ``samba-tool user setpassword``."""
    db.setpassword(f"(sAMAccountName={name})", password)


def disable(db: SamDB, name: str) -> None:
    """As ``samba-tool user disable``."""
    db.disable_account(f"(sAMAccountName={name})")


def expire(db: SamDB, name: str) -> None:
    """Lets the account end at the beginning of time's count, 1601."""
    _modify(db, name, "accountExpires", "1")


def must_change(db: SamDB, name: str) -> None:
    """The password must be changed at the first logon."""
    _modify(db, name, "pwdLastSet", "0")


def lock_after(db: SamDB, tries: int) -> None:
    """So many wrong passwords lock an account, for half an hour."""
    _set(db, db.domain_dn(), "lockoutThreshold", str(tries))


def wrong_tries(db: SamDB, name: str) -> int:
    """How many wrong passwords the domain has counted."""
    found = db.search(expression=f"(sAMAccountName={name})", attrs=["badPwdCount"])
    return int(found[0].get("badPwdCount", ["0"])[0])


def _modify(db: SamDB, name: str, attribute: str, value: str) -> None:
    found = db.search(expression=f"(sAMAccountName={name})", attrs=["dn"])
    _set(db, found[0].dn, attribute, value)


def _set(db: SamDB, dn: Any, attribute: str, value: str) -> None:
    message = ldb.Message(dn if isinstance(dn, ldb.Dn) else ldb.Dn(db, dn))
    message[attribute] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, attribute)
    db.modify(message)


_REQUESTS = (create, set_password, disable, expire, must_change, lock_after, wrong_tries)
DO = {each.__name__: each for each in _REQUESTS}


def main() -> None:
    """All requests of standard input, in their order."""
    settings = LoadParm()
    settings.load_default()
    db = SamDB(session_info=system_session(), lp=settings)
    requests: list[dict[str, Any]] = json.load(sys.stdin)
    json.dump([DO[each.pop("do")](db, **each) for each in requests], sys.stdout)


if __name__ == "__main__":
    main()
