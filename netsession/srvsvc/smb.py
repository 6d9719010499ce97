r"""An SMB session with a server, up to the open pipe ``\PIPE\srvsvc``.

smbprotocol negotiates, logs on (through pyspnego) and derives the keys. Its receiving thread is
not used: replies are read by the thread that waits for them, so that the call's deadline bounds
every wait, no thread is left behind, and every reply is checked before anything looks at it.
smbprotocol itself accepts replies that are not signed; here they are refused.
"""

from __future__ import annotations

import struct
import uuid
from typing import Any, Final, NamedTuple

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBResponseException
from smbprotocol.header import SMB2HeaderResponse
from smbprotocol.open import Open
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from ..errors import MalformedReply
from .address import Address
from .deadline import Deadline
from .failures import LinkBrokenError, WireError
from .link import Link, connect_link
from .ntlm_name import NtlmName, ntlm_name
from .pipe import OpenPipe, Reply
from .security import AES_CMAC, HMAC_SHA256, TRANSFORM_ID, Sealer, Signer
from .statuses import (
    LINK_IS_GONE,
    STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_PENDING,
    win32_of_ntstatus,
)

NEGOTIATE: Final = 0
SESSION_SETUP: Final = 1
LOGOFF: Final = 2

# How many requests may be on their way at once. Credits for them are asked for early.
CREDITS: Final = 128

_SMB_3_0_0: Final = 0x0300
_SMB_3_1_1: Final = 0x0311
_AES_128_CCM: Final = 1
_FLAG_REPLY: Final = 0x01
_FLAG_SIGNED: Final = 0x08
_GUEST_OR_NULL: Final = 0x0003
_RPC_S_CANNOT_SUPPORT: Final = 1764
_ERROR_LOGON_FAILURE: Final = 1326

# protocol, size, charge, status, command, credits, flags, next, message id, -, tree, session, sig
_HEADER: Final = struct.Struct("<4sHHIHHIIQIIQ16s")
_PIPE_ACCESS: Final = 0x0012019F  # FILE_GENERIC_READ | FILE_GENERIC_WRITE
_SHARE_ALL: Final = 7
_IMPERSONATION: Final = 2
_FILE_OPEN: Final = 1

# What smbprotocol's and pyspnego's parsers raise on bytes that make no sense.
_PARSE_ERRORS: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)


class Credentials(NamedTuple):
    """Who logs on. None for the name: whoever the ticket cache (on Windows: the logon) says."""

    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"


class SmbConnection(Connection):  # type: ignore[misc]
    """smbprotocol's connection, receiving in the caller's thread over our link."""

    def __init__(self, address: Address, port: int, link: Link) -> None:
        self.link = link
        self.must_encrypt = False
        self._commands: dict[int, int] = {}  # message id: command, of what is on its way
        self._replies: dict[int, Reply] = {}
        self._asks: dict[int, int] = {}  # message id: credits asked for with it
        self._asked = 0  # their sum
        self._signer: Signer | None = None
        self._sealer: Sealer | None = None
        self._session_id = 0
        self._last_setup = (b"", 0)
        self.user_name: str | None = None
        host = address.host.partition("%")[0]
        super().__init__(uuid.uuid4(), host, port, require_signing=True)

    @property
    def transport(self) -> Link:
        """Our link, whatever smbprotocol would like to use."""
        return self.link

    @transport.setter
    def transport(self, _: object) -> None:
        """smbprotocol's own transport is not wanted."""

    def _process_message_thread(self) -> None:
        """smbprotocol's receiving thread: ends at once."""

    # -- credits -------------------------------------------------------------------------------

    def take_message_id(self) -> int | None:
        """A message id, or None if all credits are spent."""
        window = self.sequence_window
        if window["low"] >= window["high"]:
            return None
        message_id: int = window["low"]
        window["low"] += 1
        return message_id

    def credits_to_ask(self, message_id: int | None = None) -> int:
        """What to ask for with the next request, which has that id."""
        available: int = self.sequence_window["high"] - self.sequence_window["low"]
        wanted = max(1, CREDITS - available - self._asked)
        if message_id is not None:
            self._asks[message_id] = wanted
            self._asked += wanted
        return wanted

    # -- sending -------------------------------------------------------------------------------

    def send(self, message: Any, *args: Any, **kwargs: Any) -> Any:
        """Send one of smbprotocol's messages; called by smbprotocol."""
        if message.COMMAND != NEGOTIATE and len(args) < 3 and not kwargs.get("credit_request"):
            kwargs["credit_request"] = self.credits_to_ask()
        request = super().send(message, *args, **kwargs)
        self._commands[request.message["message_id"].get_value()] = message.COMMAND
        return request

    def post(self, messages: list[tuple[int, int, bytes]]) -> None:
        """Send (message id, command, unsigned message) in one go, signed or encrypted."""
        ready = []
        for message_id, command, message in messages:
            self._commands[message_id] = command
            ready.append(self._protect(message, message_id))
        self.link.send_all(ready)

    def _protect(self, message: bytes, message_id: int) -> bytes:
        if self.must_encrypt and self._sealer is not None:
            return self._sealer.seal(message)
        if self._signer is None:
            raise RuntimeError("nobody has logged on yet")
        return self._signer.signed(message, message_id)

    # -- receiving -----------------------------------------------------------------------------

    def wait_for(self, message_id: int) -> Reply:
        """The final reply to that message."""
        while message_id not in self._replies:
            self._accept(self.link.receive())
        return self._replies.pop(message_id)

    def receive(self, request: Any, *_: Any, **__: Any) -> Any:
        """The reply to one of smbprotocol's requests; called by smbprotocol."""
        message_id = request.message["message_id"].get_value()
        reply = self.wait_for(message_id)
        self.outstanding_requests.pop(message_id, None)
        command = request.message["command"].get_value()
        # [MS-SMB2] 3.2.5.2, 3.2.5.3.1: what the pre-authentication hash is made of
        if command == NEGOTIATE:
            self.preauth_integrity_hash_value.append(reply.message)
        elif command == SESSION_SETUP:
            if reply.status == STATUS_MORE_PROCESSING_REQUIRED:
                if isinstance(self.user_name, NtlmName):
                    self.user_name.learn(reply.message)
                self.preauth_integrity_session_hash_value[message_id].append(reply.message)
            else:
                self._check_setup(reply, message_id)
        header = SMB2HeaderResponse()
        header.unpack(reply.message)
        if reply.status:
            raise SMBResponseException(header)
        return header

    def _check_setup(self, reply: Reply, message_id: int) -> None:
        if reply.status:
            return
        self._last_setup = (reply.message, message_id)
        if int.from_bytes(reply.message[66:68], "little") & _GUEST_OR_NULL:
            raise WireError(
                _ERROR_LOGON_FAILURE,
                "the server would let these credentials in only as a guest or anonymously, which "
                "can neither be signed nor encrypted; that is refused",
            )

    def _accept(self, message: bytes) -> None:
        sealed = message[:4] == TRANSFORM_ID
        if sealed:
            if self._sealer is None:
                raise MalformedReply("encrypted SMB message without a key for it", 0)
            message = self._sealer.open(message)
        at = 0
        while True:
            if len(message) - at < 64:
                raise MalformedReply("SMB header cut short", at)
            following = int.from_bytes(message[at + 20 : at + 24], "little")
            if following and (following < 64 or following % 8):
                raise MalformedReply(f"NextCommand {following} of an SMB message", at + 20)
            end = at + following if following else len(message)
            self._accept_one(message[at:end] if at or following else message, sealed)
            if not following:
                return
            at = end

    def _accept_one(self, message: bytes, sealed: bool) -> None:
        protocol, size, _, status, command, granted, flags, _, message_id, *rest = (
            _HEADER.unpack_from(message)
        )
        if protocol != b"\xfeSMB" or size != 64:
            raise MalformedReply("no SMB2 message", 0)
        if not flags & _FLAG_REPLY or self._commands.get(message_id) != command:
            raise MalformedReply(f"SMB reply {message_id} to a request that was not made", 24)
        if not sealed:
            self._check_signature(message, message_id, status, flags)
        if self._session_id and rest[2] != self._session_id:
            raise MalformedReply("SMB reply for another session", 40)
        if not granted and command == NEGOTIATE:
            granted = 1  # smbprotocol asks for none there
        self.sequence_window["high"] += granted
        if status == STATUS_PENDING:  # interim: the final reply has the same message id
            return
        del self._commands[message_id]
        self._asked -= self._asks.pop(message_id, 0)
        self._replies[message_id] = Reply(status, message)

    def _check_signature(self, message: bytes, message_id: int, status: int, flags: int) -> None:
        if self._signer is None:
            return
        if flags & _FLAG_SIGNED and not self.must_encrypt:
            if not self._signer.verify(message, message_id):
                raise MalformedReply("the signature of an SMB reply is wrong", 48)
            return
        if status == STATUS_PENDING and not self.must_encrypt:
            return  # [MS-SMB2] 3.2.5.1.3: interim replies need no signature, and say nothing
        if status in LINK_IS_GONE:
            # The server has forgotten the session and its key: nothing but to connect anew.
            raise LinkBrokenError(*win32_of_ntstatus(status))
        needed = "encrypted" if self.must_encrypt else "signed"
        raise MalformedReply(f"an SMB reply is not {needed}, as it must be in this session", 16)

    # -- the session's keys ---------------------------------------------------------------------

    def secure(self, session: Any) -> None:
        """From here on every message is signed, or encrypted where the session is."""
        algorithm = HMAC_SHA256
        if self.dialect >= _SMB_3_0_0:
            chosen = self.signing_algorithm_id if self.dialect >= _SMB_3_1_1 else None
            algorithm = AES_CMAC if chosen is None else chosen
        self._signer = Signer(algorithm, session.signing_key)
        # [MS-SMB2] 3.2.5.3.3: the last reply of the logon is signed, encryption or not.
        if not self._signer.verify(*self._last_setup):
            raise MalformedReply("the signature of the SMB logon reply is wrong", 48)
        self._session_id = session.session_id
        if self.supports_encryption:
            cipher = self.cipher_id if self.dialect >= _SMB_3_1_1 else _AES_128_CCM
            keys = (session.encryption_key, session.decryption_key)
            self._sealer = Sealer(cipher, session.session_id, *keys)
        self.must_encrypt = bool(session.encrypt_data)


def open_pipe(
    address: Address,
    port: int,
    credentials: Credentials,
    encrypt: bool,
    deadline: Deadline,
) -> OpenPipe:
    """Connect, negotiate, log on, and open ``srvsvc`` on IPC$ ([MS-SRVS] 2.1)."""
    link = connect_link(address, port, deadline)
    try:
        return _open(SmbConnection(address, port, link), address, credentials, encrypt)
    except BaseException as error:
        link.close()
        cause = _translate(error, credentials)
        if cause is error:
            raise
        raise cause from error


def _translate(error: BaseException, credentials: Credentials) -> BaseException:
    """What smbprotocol raises, as one of our own failures."""
    if isinstance(error, SMBResponseException):
        return WireError(*win32_of_ntstatus(error.header["status"].get_value()))
    if isinstance(error, SMBAuthenticationError):
        return WireError(_ERROR_LOGON_FAILURE, _why_no_logon(error, credentials))
    if isinstance(error, SMBException):
        return MalformedReply(f"SMB: {error}")
    if isinstance(error, _PARSE_ERRORS) and not isinstance(error, MalformedReply):
        return MalformedReply(f"SMB negotiation or logon: {type(error).__name__}: {error}")
    return error


def _open(
    connection: SmbConnection, address: Address, credentials: Credentials, encrypt: bool
) -> OpenPipe:
    connection.connect(timeout=None)
    if encrypt and not connection.supports_encryption:
        raise WireError(
            _RPC_S_CANNOT_SUPPORT,
            f"encryption was asked for, but the server speaks SMB {_dialect(connection.dialect)} "
            "without it; enable SMB 3 encryption there, or leave encrypt out",
        )
    connection.user_name = ntlm_name(credentials.username)
    session = Session(
        connection, connection.user_name, credentials.password, require_encryption=encrypt
    )
    session.connect()
    connection.secure(session)
    tree = TreeConnect(session, rf"\\{address.unc}\IPC$")
    tree.connect(require_secure_negotiate=True)
    tree.is_dfs_share = False  # a pipe's name is no DFS path, even where IPC$ is in DFS
    if tree.encrypt_data:
        connection.must_encrypt = True
    pipe = Open(tree, "srvsvc")
    pipe.create(_IMPERSONATION, _PIPE_ACCESS, 0, _SHARE_ALL, _FILE_OPEN, 0)
    return OpenPipe(connection, session.session_id, tree.tree_connect_id, pipe.file_id)


def _dialect(number: int) -> str:
    return ".".join(f"{number:04x}"[1:])


def _why_no_logon(error: Exception, credentials: Credentials) -> str:
    if credentials.password is not None:
        return str(error)
    who = credentials.username or "the current user"
    return (
        f"no password was given, and no Kerberos ticket of {who} can be used: get one with kinit "
        "(needs pip install 'smbprotocol[kerberos]') and call the server by its DNS name, not its "
        "address, or give a user name and a password "
        f"({error})"
    )
