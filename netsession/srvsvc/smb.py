r"""An SMB session with a server, up to the open pipe ``\PIPE\srvsvc``.

smbprotocol negotiates, logs on (through pyspnego) and derives the keys. Its receiving thread is
not used: replies are read by the thread that waits for them, so that the call's deadline bounds
every wait, no thread is left behind, and every reply is checked before anything looks at it.
smbprotocol itself accepts replies that are not signed; here they are refused. Nor is its
``connect`` used, which would start that thread; see ``SmbConnection.negotiate``.
"""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Any, Final, cast

from smbprotocol.exceptions import SMBAuthenticationError, SMBException, SMBResponseException
from smbprotocol.header import SMB2HeaderResponse
from smbprotocol.open import Open
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect
from spnego.exceptions import InvalidTokenError

from .._log import debug
from ..errors import MalformedReply, NetApiError
from . import opening
from .address import Address
from .credentials import Credentials, for_spnego
from .deadline import Deadline
from .failures import CalledOffError, DeadlinePassedError, LinkBrokenError, WireError
from .link import Link, connect_link
from .logon import explain_refusal, why_no_logon
from .ntlm_name import NtlmName, ntlm_name
from .pipe import OpenPipe, Reply, Request
from .security import AES_CMAC, AES_GMAC, HMAC_SHA256, TRANSFORM_ID, Sealer, Signer
from .statuses import (
    ERROR_GEN_FAILURE,
    LINK_IS_GONE,
    STATUS_MORE_PROCESSING_REQUIRED,
    STATUS_PENDING,
    failure_of_ntstatus,
)
from .stranger import is_smb_2, who_answers

if TYPE_CHECKING:

    class Connection:
        """smbprotocol's, of which no types are known."""

        def __init__(self, *arguments: Any, **options: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...
        def send(self, *arguments: Any, **options: Any) -> Any:
            """What ours goes on to."""

else:
    from smbprotocol.connection import Connection

NEGOTIATE: Final = 0
SESSION_SETUP: Final = 1
TREE_CONNECT: Final = 3
CREATE: Final = 5
IOCTL: Final = 11  # of smbprotocol's; those for the pipe are pipe.py's

# The replies that open a session and a pipe, and what checks them.
_CHECKS: Final = {
    SESSION_SETUP: opening.check_session_setup,
    TREE_CONNECT: opening.check_tree_connect,
    CREATE: opening.check_create,
    IOCTL: opening.check_validation,
}
# What is offered, best first: AES-128-GCM, AES-128-CCM, AES-256-GCM, AES-256-CCM; GMAC, CMAC, HMAC.
_CIPHERS: Final = (2, 1, 4, 3)
_SIGNING_ALGORITHMS: Final = (AES_GMAC, AES_CMAC, HMAC_SHA256)
# NTLM takes two, Kerberos one to three, one more where the server wants another mechanism.
_MOST_SETUPS: Final = 8

# How many requests may be on their way at once. Credits for them are asked for early.
CREDITS: Final = 128
# More than anybody grants; what is granted beyond that is left.
_MOST_CREDITS: Final = 8_192

_SMB_2_1: Final = 0x0210
_SMB_3_0_0: Final = 0x0300
_SMB_3_1_1: Final = 0x0311
_AES_128_CCM: Final = 1
_FLAG_REPLY: Final = 0x01
_FLAG_SIGNED: Final = 0x08
_CAN_LARGE_MTU: Final = 0x04
_CAN_ENCRYPT: Final = 0x40
_CREDITS_AT: Final = 14
# No reply is larger than what the link takes, but for pipe.py's requests it is known better.
_ANY_SIZE: Final = 1 << 32
_GUEST_OR_NULL: Final = 0x0003
_RPC_S_CANNOT_SUPPORT: Final = 1764
_ERROR_ACCESS_DENIED: Final = 5
_ERROR_LOGON_FAILURE: Final = 1326
_ERROR_NOT_ENOUGH_MEMORY: Final = 8
_ERROR_INVALID_PARAMETER: Final = 87

# protocol, size, charge, status, command, credits, flags, next, message id, -, tree, session, sig
_HEADER: Final = struct.Struct("<4sHHIHHIIQIIQ16s")
_PIPE_ACCESS: Final = 0x0012019F  # FILE_GENERIC_READ | FILE_GENERIC_WRITE
_SHARE_ALL: Final = 7
_IMPERSONATION: Final = 2
_FILE_OPEN: Final = 1


class SmbConnection(Connection):
    """smbprotocol's connection, receiving in the caller's thread over our link."""

    def __init__(self, address: Address, port: int, link: Link) -> None:
        self.link = link
        self.must_encrypt: bool = False
        self.share_must_encrypt: bool = False  # what the server says of IPC$
        # Message id: command and largest reply, of what is on its way. A reply to anything else, a
        # second or a larger one is refused, so _replies never holds more than was asked for.
        self._awaited: dict[int, tuple[int, int]] = {}
        self._replies: dict[int, Reply] = {}
        self._asks: dict[int, int] = {}  # message id: credits asked for with it
        self._asked = 0  # their sum
        self._signer: Signer | None = None
        self._sealer: Sealer | None = None
        self._session_id = 0  # of the session that is logged on; 0 before
        self._setups = 0  # how many SESSION_SETUPs were sent
        self._setup_session = b""  # the session that they made
        self._last_setup = (b"", 0)
        self._negotiated: opening.Negotiated | None = None
        self.user_name: NtlmName | str | None = None
        host = address.host.partition("%")[0]
        super().__init__(uuid.uuid4(), host, port, require_signing=True)

    @property
    def transport(self) -> Link:
        """Our link, whatever smbprotocol would like to use."""
        return self.link

    @transport.setter
    def transport(self, _: object) -> None:
        """smbprotocol's own transport is not wanted."""

    def verify_signature(self, *_: Any, **__: Any) -> None:
        """Nothing: signatures are checked before smbprotocol sees a reply, that of the logon by
        ``secure``."""

    def negotiate(self) -> None:
        """What ``Connection.connect`` does, but for a thread and with every field checked."""
        response = self._send_smb2_negotiate(None, None, [*_CIPHERS], [*_SIGNING_ALGORITHMS])
        found = cast(opening.Negotiated, self._negotiated)  # receive() has set it meanwhile
        self.dialect: int = found.dialect
        self.max_transact_size: int = found.max_transact
        self.max_read_size: int = found.max_read
        self.max_write_size: int = found.max_write
        self.gss_negotiate_token: bytes = found.token
        # These three are compared with what the server says again in a signed message.
        self.server_guid: uuid.UUID = response["server_guid"].get_value()
        self.server_capabilities: Any = response["capabilities"]
        self.server_security_mode: int = response["security_mode"].get_value()
        capabilities = found.capabilities if found.dialect >= _SMB_2_1 else 0
        self.supports_multi_credit: bool = bool(capabilities & _CAN_LARGE_MTU)
        if found.dialect >= _SMB_3_1_1:
            self.cipher_id: int | None = found.cipher
            self.signing_algorithm_id: int | None = found.signing_algorithm
            self.supports_encryption: bool = bool(found.cipher)
        elif found.dialect >= _SMB_3_0_0:
            self.supports_encryption = bool(capabilities & _CAN_ENCRYPT)

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
        if self.sequence_window["low"] >= self.sequence_window["high"]:
            raise MalformedReply("the server grants no credit to send another request", _CREDITS_AT)
        if message.COMMAND == SESSION_SETUP:
            self._count_setup()
        if message.COMMAND != NEGOTIATE and len(args) < 3 and not kwargs.get("credit_request"):
            kwargs["credit_request"] = self.credits_to_ask()
        request = super().send(message, *args, **kwargs)
        message_id = request.message["message_id"].get_value()
        self._awaited[message_id] = message.COMMAND, _ANY_SIZE
        return request

    def _count_setup(self) -> None:
        self._setups += 1
        if self._last_setup[0]:  # smbprotocol asks whether the token is the last one, not whether
            raise MalformedReply("the server says that the logon is complete before it is", 8)
        if self._setups > _MOST_SETUPS:
            raise MalformedReply(f"the server wants more than {_MOST_SETUPS} SESSION_SETUPs", 8)

    def post(self, requests: list[Request]) -> None:
        """Send requests in one go, signed or encrypted."""
        ready = []
        for message_id, command, message, largest in requests:
            self._awaited[message_id] = command, largest
            ready.append(self._protect(message, message_id))
        self.link.send_all(ready)

    def _protect(self, message: bytes, message_id: int) -> bytes:
        if self.must_encrypt:
            if self._sealer is None:
                raise WireError(_RPC_S_CANNOT_SUPPORT, "there is no key to encrypt with")
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
        elif command == SESSION_SETUP and reply.status == STATUS_MORE_PROCESSING_REQUIRED:
            self.preauth_integrity_session_hash_value[message_id].append(reply.message)
            if isinstance(self.user_name, NtlmName):
                self.user_name.learn(reply.message)
        header = SMB2HeaderResponse()
        # The one flag that is left says that it is a reply: smbprotocol refuses those it does not
        # know, and needs none.
        known = reply.message[:16] + b"\1\0\0\0" + reply.message[20:64]
        header.unpack(known + self._checked_body(command, reply, message_id))
        if reply.status:
            raise SMBResponseException(header)
        return header

    def _checked_body(self, command: int, reply: Reply, message_id: int) -> bytes:
        more = command == SESSION_SETUP and reply.status == STATUS_MORE_PROCESSING_REQUIRED
        if reply.status and not more:
            return reply.message[64:]  # nobody looks at it
        if command == NEGOTIATE:
            offer = opening.Offer(tuple(self.negotiated_dialects), _CIPHERS, _SIGNING_ALGORITHMS)
            self._negotiated = opening.check_negotiate(reply.message, offer)
            return self._negotiated.body()
        check = _CHECKS.get(command)
        body = reply.message[64:] if check is None else check(reply.message)
        if command == SESSION_SETUP:
            self._check_setup(reply.message)
            if not more:
                self._check_logon(reply.message, message_id)
        elif command == TREE_CONNECT and self.dialect >= _SMB_3_0_0:
            self.share_must_encrypt = opening.share_is_encrypted(body)
        return body

    def _check_setup(self, message: bytes) -> None:
        """A reply of a logon: all are of one session."""
        session = message[40:48]
        if self._setup_session not in (b"", session):
            raise MalformedReply("SessionId changes in the middle of a logon", 40)
        self._setup_session = session

    def _check_logon(self, message: bytes, message_id: int) -> None:
        """The last reply of a logon; ``secure`` verifies its signature."""
        self._last_setup = (message, message_id)
        if int.from_bytes(message[66:68], "little") & _GUEST_OR_NULL:
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
            kind = "an SMB 1 message" if protocol == b"\xffSMB" else "no SMB 2 message"
            raise MalformedReply(f"{kind} where SMB 2 was asked for", 0)
        awaited, largest = self._awaited.get(message_id, (-1, 0))
        if not flags & _FLAG_REPLY or awaited != command:
            raise MalformedReply(f"SMB reply {message_id} to a request that was not made", 24)
        if len(message) > largest:
            raise MalformedReply(f"SMB reply of {len(message):,} bytes, at most {largest:,} fit", 0)
        if not sealed:
            self._check_signature(message, message_id, status, flags)
        if self._session_id and rest[2] != self._session_id:
            raise MalformedReply("SMB reply for another session", 40)
        if not granted and command == NEGOTIATE:
            granted = 1  # smbprotocol asks for none there
        window = self.sequence_window
        window["high"] = min(window["high"] + granted, window["low"] + _MOST_CREDITS)
        if status == STATUS_PENDING:  # interim: the final reply has the same message id
            return
        del self._awaited[message_id]
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
            raise failure_of_ntstatus(status)
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
        if not self._last_setup[0]:
            raise MalformedReply("the server never says that the logon is complete", 8)
        if not self._signer.verify(*self._last_setup):
            raise MalformedReply("the signature of the SMB logon reply is wrong", 48)
        self._session_id = session.session_id
        if self.supports_encryption:
            cipher = cast(int, self.cipher_id) if self.dialect >= _SMB_3_1_1 else _AES_128_CCM
            keys = (session.encryption_key, session.decryption_key)
            self._sealer = Sealer(cipher, session.session_id, *keys)
        self.must_encrypt = bool(session.encrypt_data)

    def demand_encryption(self) -> None:
        """From here on every message is encrypted, since the share is ([MS-SMB2] 3.2.5.5)."""
        if self._sealer is None:  # smbprotocol would go on without
            raise WireError(
                _RPC_S_CANNOT_SUPPORT,
                f"the server wants IPC$ to be encrypted, but speaks SMB {_dialect(self.dialect)} "
                "without encryption",
            )
        self.must_encrypt = True


def open_pipe(
    address: Address,
    port: int,
    credentials: Credentials,
    encrypt: bool,
    deadline: Deadline,
) -> OpenPipe:
    """Connect, negotiate, log on, and open ``srvsvc`` on IPC$ ([MS-SRVS] 2.1)."""
    deadline.step = "connect"
    link = connect_link(address, port, deadline)
    connection = SmbConnection(address, port, link)
    try:
        return _open(connection, address, credentials, encrypt, deadline)
    except BaseException as error:
        link.close()
        cause = _translate(error, credentials, connection.server_name)
        if deadline.step == "negotiate" and isinstance(cause, (MalformedReply, LinkBrokenError)):
            if not is_smb_2(link.heard):
                cause = who_answers(link.heard, (address.host, port), deadline)
        elif deadline.step in ("logon", "share") and isinstance(cause, WireError):
            _mention_encryption(cause, connection)
            if deadline.step == "logon":
                explain_refusal(cause, credentials.password)
        if cause is error:
            raise
        # The text of a UnicodeEncodeError may quote the password, tracebacks print it.
        raise cause from (None if isinstance(error, UnicodeEncodeError) else error)


def _mention_encryption(error: WireError, connection: SmbConnection) -> None:
    """A server that demands encryption of a connection that has none says "access denied" only."""
    if error.status == _ERROR_ACCESS_DENIED and not connection.supports_encryption:
        dialect = _dialect(connection.dialect)
        error.detail += f"; it speaks SMB {dialect} here, without encryption"


def _translate(error: BaseException, credentials: Credentials, host: str) -> BaseException:
    """What is raised by smbprotocol, pyspnego or cryptography, as one of our own failures.

    Whatever it is: they parse what a server sends, and none says all that it may raise.
    """
    ours = (NetApiError, WireError, DeadlinePassedError, CalledOffError, MemoryError)
    if isinstance(error, ours):
        return error
    if isinstance(error, SMBResponseException):
        return failure_of_ntstatus(error.header["status"].get_value())
    if isinstance(error, SMBAuthenticationError) and isinstance(error.__cause__, InvalidTokenError):
        return MalformedReply(f"SMB logon: {error.__cause__}")  # not the credentials' fault
    if isinstance(error, SMBAuthenticationError):
        return why_no_logon(error, credentials.username, credentials.password, host)
    if isinstance(error, SMBException):
        return MalformedReply(f"SMB: {error}")
    if isinstance(error, UnicodeEncodeError):
        return WireError(
            _ERROR_INVALID_PARAMETER,
            "the user name or the password has characters that cannot be sent (surrogates)",
        )
    if isinstance(error, (OSError, ImportError)):  # of this machine: a ticket cache, a library
        return WireError(ERROR_GEN_FAILURE, f"logging on failed here: {_described(error)}")
    if isinstance(error, RuntimeError) and "new thread" in str(error):
        return WireError(_ERROR_NOT_ENOUGH_MEMORY, f"no thread could be started: {error}")
    if isinstance(error, Exception):
        return MalformedReply(f"SMB negotiation or logon: {_described(error)}")
    return error


def _described(error: Exception) -> str:
    kind = type(error)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    return f"{name}: {error}"


def _open(
    connection: SmbConnection,
    address: Address,
    credentials: Credentials,
    encrypt: bool,
    deadline: Deadline,
) -> OpenPipe:
    deadline.step = "negotiate"
    connection.negotiate()
    if encrypt and not connection.supports_encryption:
        raise WireError(
            _RPC_S_CANNOT_SUPPORT,
            f"encryption was asked for, but the server speaks SMB {_dialect(connection.dialect)} "
            "without it",
        )
    deadline.step = "logon"
    connection.user_name = ntlm_name(credentials.username)
    session = _session(connection, credentials, encrypt)
    with deadline.turn:
        session.connect()
    connection.secure(session)
    deadline.step = "share"
    tree = TreeConnect(session, rf"\\{address.unc}\IPC$")
    tree.connect(require_secure_negotiate=True)
    tree.is_dfs_share = False  # a pipe's name is no DFS path, even where IPC$ is in DFS
    if connection.share_must_encrypt:
        connection.demand_encryption()
    deadline.step = "pipe"
    pipe = Open(tree, "srvsvc")
    pipe.create(_IMPERSONATION, _PIPE_ACCESS, 0, _SHARE_ALL, _FILE_OPEN, 0)
    how = "encrypted" if connection.must_encrypt else "signed"
    debug("%s: SMB %s, %s; the pipe is open", address.host, _dialect(connection.dialect), how)
    return OpenPipe(connection, session.session_id, tree.tree_connect_id, pipe.file_id)


def _session(connection: SmbConnection, credentials: Credentials, encrypt: bool) -> Session:
    """Not yet logged on. Apart, so that no frame has the password from which anything is raised."""
    username, password = for_spnego(connection.user_name, credentials.password)
    return Session(connection, username, password, require_encryption=encrypt)


def _dialect(number: int) -> str:
    return ".".join(f"{number:04x}"[1:]).removesuffix(".0")
