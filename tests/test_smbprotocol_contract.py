"""What netsession/srvsvc relies on inside smbprotocol and pyspnego, each thing by its name.

They are overridden and called where neither promises anything. A version that has changed one fails
here with what changed and who relies on it, rather than somewhere in a logon. That the whole works
is for the tests with a server to tell: ``make test-dependencies`` runs both with the oldest and the
newest versions.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("smbprotocol")

from smbprotocol.connection import Connection
from smbprotocol.open import Open
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

import netsession.srvsvc

SOURCES = Path(netsession.srvsvc.__file__).parent
PACKAGES = {"smbprotocol": "smbprotocol", "spnego": "pyspnego"}


class Callee(NamedTuple):
    """A function whose first parameters must have these names; ``why`` says who relies on it."""

    place: str  # module:name
    parameters: str
    why: str


class Attribute(NamedTuple):
    """What a new object of a class must have, of that type."""

    owner: str
    name: str
    kind: type
    why: str


class Exported(NamedTuple):
    """What a module must have, below that class where it is one."""

    place: str
    base: type | None
    why: str


_SEND = "message sid tid credit_request"

CALLEES = [
    Callee("smbprotocol.connection:Connection", "guid server_name port require_signing",
           "SmbConnection.__init__ passes them"),
    Callee("smbprotocol.connection:Connection._send_smb2_negotiate",
           "self dialect timeout encryption_algorithms signing_algorithms",
           "SmbConnection.negotiate calls it in the place of connect()"),
    Callee("smbprotocol.connection:Connection.send", f"self {_SEND}",
           "SmbConnection.send overrides it and puts the credits it asks for fourth"),
    Callee("smbprotocol.connection:Connection.receive", "self request",
           "SmbConnection.receive overrides it: replies are read by the thread that waits"),
    Callee("smbprotocol.connection:Connection.verify_signature", "self header session_id",
           "SmbConnection.verify_signature overrides it: signatures are checked elsewhere"),
    Callee("smbprotocol.session:Session", "connection username password require_encryption",
           "smb._open passes them"),
    Callee("smbprotocol.session:Session.connect", "self", "smb._open logs on with it"),
    Callee("smbprotocol.tree:TreeConnect", "session share_name", "smb._open passes them"),
    Callee("smbprotocol.tree:TreeConnect.connect", "self require_secure_negotiate",
           "smb._open connects to IPC$ and has the negotiation compared"),
    Callee("smbprotocol.open:Open", "tree name", "smb._open passes them"),
    Callee("smbprotocol.open:Open.create",
           "self impersonation_level desired_access file_attributes share_access"
           " create_disposition create_options",
           "smb._open opens the pipe, all of them by position"),
    Callee("smbprotocol.header:SMB2HeaderResponse", "", "SmbConnection.receive makes one"),
    Callee("smbprotocol.header:SMB2HeaderResponse.unpack", "self data",
           "SmbConnection.receive gives it the checked reply"),
    Callee("smbprotocol.exceptions:SMBResponseException", "header",
           "SmbConnection.receive raises it for a status, which smbprotocol looks at"),
    Callee("spnego:client", "username password hostname service",
           "logon.why_no_logon asks for a ticket alone; smbprotocol hands over our credentials"),
    Callee("spnego:NTLMHash", "username lm_hash nt_hash", "credentials.for_spnego makes one"),
    Callee("spnego:Password", "username password", "KerberosPassword is one"),
    Callee("spnego._ntlm_raw.crypto:is_ntlm_hash", "password", "credentials.for_spnego asks it"),
    Callee("spnego._ntlm_raw.crypto:ntowfv1", "password", "credentials.for_spnego makes NT hashes"),
]  # fmt: skip

_SECURE = "SmbConnection.secure takes the session's keys from it"
_NEGOTIATE = "SmbConnection.negotiate sets it, smbprotocol reads it"
_NOTHING = type(None)

ATTRIBUTES = [
    Attribute("Connection", "server_name", str, "why_no_logon asks for its ticket"),
    Attribute("Connection", "sequence_window", dict, "credits are counted in its low and high"),
    Attribute("Connection", "outstanding_requests", dict, "receive takes what is answered out"),
    Attribute("Connection", "preauth_integrity_hash_value", list, "receive appends the reply"),
    Attribute("Connection", "preauth_integrity_session_hash_value", dict, "the same of the logon"),
    Attribute("Connection", "negotiated_dialects", list, "_checked_body reads what was offered"),
    Attribute("Connection", "transport", _NOTHING, "SmbConnection.transport is in its place"),
    Attribute("Connection", "dialect", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "max_transact_size", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "max_read_size", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "max_write_size", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "gss_negotiate_token", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "server_guid", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "server_capabilities", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "server_security_mode", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "supports_multi_credit", bool, _NEGOTIATE),
    Attribute("Connection", "supports_encryption", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "cipher_id", _NOTHING, _NEGOTIATE),
    Attribute("Connection", "signing_algorithm_id", _NOTHING, _NEGOTIATE),
    Attribute("Session", "session_id", _NOTHING, _SECURE),
    Attribute("Session", "signing_key", _NOTHING, _SECURE),
    Attribute("Session", "encryption_key", _NOTHING, _SECURE),
    Attribute("Session", "decryption_key", _NOTHING, _SECURE),
    Attribute("Session", "encrypt_data", _NOTHING, _SECURE),
    Attribute("TreeConnect", "is_dfs_share", _NOTHING, "smb._open clears it"),
    Attribute("TreeConnect", "encrypt_data", _NOTHING, "smb._open encrypts where it is set"),
    Attribute("TreeConnect", "tree_connect_id", _NOTHING, "pipe.py's requests carry it"),
    Attribute("Open", "file_id", bytes, "pipe.py's requests carry it"),
]

EXPORTED = [
    Exported("smbprotocol.exceptions:SMBException", Exception, "smb._translate tells them apart"),
    Exported("smbprotocol.exceptions:SMBAuthenticationError", Exception, "likewise"),
    Exported("spnego.exceptions:InvalidTokenError", Exception, "likewise, as its cause"),
    Exported("spnego:Password.supported_protocols", None, "KerberosPassword overrides it"),
]


def found(place: str) -> Any:
    """The object at module:name; the test fails where there is none."""
    module, _, name = place.partition(":")
    thing: Any = importlib.import_module(module)
    for part in name.split("."):
        assert hasattr(thing, part), f"{_which(place)} has no {name} in {module}"
        thing = getattr(thing, part)
    return thing


def _which(place: str) -> str:
    package = PACKAGES[place.partition(":")[0].partition(".")[0]]
    return f"{package} {version(package)}"


def check_callee(callee: Callee) -> None:
    signature = inspect.signature(found(callee.place))
    wanted = callee.parameters.split()
    assert list(signature.parameters)[: len(wanted)] == wanted, (
        f"{_which(callee.place)}: {callee.place.partition(':')[2]}{signature} does not begin with "
        f"({', '.join(wanted)}); {callee.why}"
    )
    needed = [
        name
        for name, parameter in list(signature.parameters.items())[len(wanted) :]
        if parameter.default is parameter.empty and parameter.kind < parameter.VAR_POSITIONAL
    ]
    assert not needed, f"{_which(callee.place)}: {callee.place} now needs {needed}; {callee.why}"


def check_attribute(attribute: Attribute, made: Any) -> None:
    whose = f"smbprotocol {version('smbprotocol')}: a new {attribute.owner}"
    assert hasattr(made, attribute.name), f"{whose} has no {attribute.name}; {attribute.why}"
    value = getattr(made, attribute.name)
    # what is None at first may come to be set sooner: only what is read at once must be of a type
    assert attribute.kind is _NOTHING or isinstance(value, attribute.kind), (
        f"{whose} has {value!r} as its {attribute.name}, no {attribute.kind.__name__}; "
        f"{attribute.why}"
    )


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """A new object of each class, before anything is sent."""
    connection = Connection(uuid.uuid4(), "fs01", 445, require_signing=True)
    session = Session(connection, "alice", "secret", require_encryption=False)
    tree = TreeConnect(session, r"\\fs01\IPC$")
    pipe = Open(tree, "srvsvc")
    return {"Connection": connection, "Session": session, "TreeConnect": tree, "Open": pipe}


@pytest.mark.parametrize("callee", CALLEES, ids=lambda callee: callee.place)
def test_signatures(callee: Callee) -> None:
    check_callee(callee)


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda each: f"{each.owner}.{each.name}")
def test_attributes(attribute: Attribute, made: dict[str, Any]) -> None:
    check_attribute(attribute, made[attribute.owner])


@pytest.mark.parametrize("exported", EXPORTED, ids=lambda exported: exported.place)
def test_names(exported: Exported) -> None:
    thing = found(exported.place)
    assert exported.base is None or issubclass(thing, exported.base), (
        f"{_which(exported.place)}: {exported.place} is {thing!r}; {exported.why}"
    )


def test_a_new_connection_has_one_credit_and_no_thread(made: dict[str, Any]) -> None:
    connection = made["Connection"]
    assert connection.sequence_window == {"low": 0, "high": 1}
    assert connection._t_worker is None  # sending does not look for it; nothing is started


def test_ours_are_in_the_place_of_smbprotocols() -> None:
    """What smbprotocol calls on its connection is what we have overridden."""
    called = {
        node.attr
        for part in (Session, TreeConnect, Open)
        for node in ast.walk(ast.parse(inspect.getsource(inspect.getmodule(part) or part)))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "connection"
    }
    assert {"send", "receive", "verify_signature"} <= called


def test_credentials_are_asked_for_their_protocols() -> None:
    from netsession.srvsvc.credentials import KerberosPassword, for_spnego

    credentials, password = for_spnego("CORP\\alice", "secret")
    assert password is None
    kerberos, ntlm = credentials
    assert isinstance(kerberos, KerberosPassword)
    assert kerberos.supported_protocols == ["kerberos"]
    assert "ntlm" in ntlm.supported_protocols
    assert len(bytes.fromhex(ntlm.nt_hash)) == 16


# --- the table is whole, and its checks can fail ------------------------------------------------


def _sources() -> Iterator[ast.Module]:
    for path in sorted(SOURCES.glob("*.py")):
        yield ast.parse(path.read_text("utf-8"))


def test_every_imported_name_is_in_the_table() -> None:
    named = {entry.place for entry in (*CALLEES, *EXPORTED)}
    imported = {
        f"{node.module}:{alias.name}"
        for tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in PACKAGES
        for alias in node.names
    }
    assert len(imported) > 10
    assert imported <= named | {place.rpartition(".")[0] for place in named}


def _members_in_use() -> Iterator[tuple[str, str]]:
    """Class and name of what smb.py uses of smbprotocol's objects, by the names it gives them."""
    variables = {"session": Session, "tree": TreeConnect, "pipe": Open, "connection": Connection}
    tree = ast.parse((SOURCES / "smb.py").read_text("utf-8"))
    (ours,) = (node for node in tree.body if getattr(node, "name", "") == "SmbConnection")
    for scope, names in ((ours, {"self": Connection}), (tree, variables)):
        for node in ast.walk(scope):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = names.get(node.value.id)
                if owner is not None:
                    yield owner.__name__, node.attr
    assert isinstance(ours, ast.ClassDef)
    for node in ours.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
            yield "Connection", node.name


def test_every_member_in_use_is_in_the_table(made: dict[str, Any]) -> None:
    named = {(entry.owner, entry.name) for entry in ATTRIBUTES}
    named |= {
        (owner, name)
        for entry in CALLEES
        for owner, _, name in [entry.place.partition(":")[2].partition(".")]
    }
    theirs = {(owner, name) for owner, name in _members_in_use() if hasattr(made[owner], name)}
    assert len(theirs) > 20
    assert theirs <= named


def test_a_change_is_told(monkeypatch: pytest.MonkeyPatch, made: dict[str, Any]) -> None:
    def send(self: Any, message: Any, session_id: Any = None) -> None: ...

    (callee,) = (each for each in CALLEES if each.place.endswith("Connection.send"))
    monkeypatch.setattr(Connection, "send", send)
    with pytest.raises(AssertionError, match=r"Connection\.send.*session_id.*does not begin with"):
        check_callee(callee)

    def greedy(self: Any, message: Any, sid: Any, tid: Any, credit_request: Any, more: Any) -> None:
        """Wants what we do not pass."""

    monkeypatch.setattr(Connection, "send", greedy)
    with pytest.raises(AssertionError, match=r"now needs \['more'\]"):
        check_callee(callee)
    monkeypatch.delattr(Connection, "send")
    with pytest.raises(AssertionError, match=r"has no Connection\.send"):
        check_callee(callee)
    (window,) = (each for each in ATTRIBUTES if each.name == "sequence_window")
    with pytest.raises(AssertionError, match="has no sequence_window; credits"):
        check_attribute(window, object())
