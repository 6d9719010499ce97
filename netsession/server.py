"""The Python face of the session functions: a server, and the query for its sessions."""

from __future__ import annotations

import sys
from itertools import chain

from . import _names, _netsession
from ._eras import Eras
from ._generic import OfRecords, Record
from ._log import debug
from ._native import NativeCall
from ._options import check_level, check_options, check_timeout
from ._secret import hidden
from .errors import (
    AccessDenied,
    AmbiguousName,
    InvalidLevel,
    LogonFailed,
    NetApiError,
    NotSupported,
    SessionNotFound,
    error_from_status,
)
from .records import SessionInfo0, SessionInfo1, SessionInfo2, SessionInfo10, SessionInfo502

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Literal, NoReturn, Self, TypedDict, TypeVar, Unpack, overload

    from ._netsession import SessionPage
    from ._plan import DeletePlan, Target
    from ._where import Matcher, Where
    from .records import SessionInfo
    from .srvsvc import Call, SrvsvcClient
    from .watch import Watch

    T = TypeVar("T")

    class _Listing(TypedDict, total=False):
        """What says which sessions are listed, and how, beside the level."""

        client: str | None
        user: str | None
        where: Where | None
        page_bytes: int | None
        timeout: float | None

    class _Watched(TypedDict, total=False):
        """What says what is watched, and how, beside the level."""

        every: float
        client: str | None
        user: str | None
        where: Where | None
        existing: bool


__all__ = ["Server", "Sessions"]

#: Levels from the richest to the poorest, as ``level=None`` tries them.
_ENUM_LEVELS = (502, 2, 1, 10, 0)
_FIELDS_AT = {
    502: frozenset(SessionInfo502._fields),
    2: frozenset(SessionInfo2._fields),
    1: frozenset(SessionInfo1._fields),
    10: frozenset(SessionInfo10._fields),
    0: frozenset(SessionInfo0._fields),
}
_INFO_LEVELS = (2, 1, 10, 0)  # 502 is documented for NetSessionEnum only
_POOREST_WITH_USER = (10, 1)
_EVERYTHING = 0xFFFFFFFF  # MAX_PREFERRED_LENGTH
_NERR_CLIENT_NAME_NOT_FOUND = 2312
_NERR_USER_NOT_FOUND = 2221
_ERROR_NOT_ENOUGH_MEMORY = 8
_SENT_AS_TYPED = (
    "the server does not let you list its sessions, so the names were sent as typed, and it may "
    "spell them otherwise (CORP\\alice, alice)"
)


class Server:
    """A file server whose sessions are listed, shown or ended.

    Args:
        name: computer name or address (str), also as ``\\\\fs01``, ``smb://fs01`` or
            ``fs01:1445``. None or empty means the local machine, which only Windows can ask.
        username: ``"DOMAIN\\\\user"``, ``"user@realm"`` or ``"user"`` (str), to use other
            credentials than the caller's; asks over SMB. None: the caller's own.
        password: the user's password (str); None uses a Kerberos ticket.
        port: TCP port (int, 445 when None); a port asks over SMB.
        encrypt: demand SMB encryption (bool). Messages are always signed.
        timeout: seconds (float) that one call may take, connecting included and whatever it has
            to try, and the list that showing and ending look at; None for no limit. Iterating is a
            call a page; sessions(timeout=) bounds the whole. Over SMB only: netapi32.dll has
            time-outs of its own.
        max_reply_bytes: the largest reply accepted over SMB, in bytes (int).
        backend: private; what netsession.testing puts in the place of netapi32.dll.

    On Windows, without ``username``, ``password``, ``port`` or ``encrypt``, the functions of
    netapi32.dll are called. Otherwise [MS-SRVS] is spoken over SMB, which needs
    ``netsession[smb]``. Nothing is sent before the first call. One connection serves many calls;
    close it with :meth:`close` or a ``with`` statement (a ResourceWarning says where that was
    forgotten). Any thread may use it. A process that is forked off makes a connection of its own.
    """

    #: What ages are reckoned by, in seconds, where that is not the time that passes (simulator).
    _time_of_ages: Callable[[], float] | None = None
    # What repr() tells: of a half-made one, too, where a tool shows the frames of an error.
    _name: str | None = None
    _backend: Any = None

    def __init__(
        self,
        name: str | None = None,
        *,
        username: str | None = None,
        password: str | None = None,
        port: int | None = None,
        encrypt: bool = False,
        timeout: float | None = 60.0,
        max_reply_bytes: int = 1 << 30,
        backend: Any = None,
    ) -> None:
        secret = hidden(password)
        del password  # which a traceback's frame would show to some tools
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a str or None, not {type(name).__name__}")
        check_options(
            username=username,
            password=secret,
            port=port,
            encrypt=encrypt,
            timeout=timeout,
            max_reply_bytes=max_reply_bytes,
        )
        self._name, named_port = None, None
        if name is not None and name.strip("\\"):
            self._name, named_port = _names.parse_server(name)
        if named_port is not None and port not in (None, named_port):
            raise ValueError(f"name says port {named_port} and port= says {port}: give one of them")
        port = named_port if port is None else port
        self._timeout = timeout
        self._granted: int | None = None  # the richest level that the server granted so far
        self._eras = Eras()
        self._client: SrvsvcClient | None = None
        self._backend = backend  # None: netapi32.dll
        given = (username, secret, port)
        elsewhere = encrypt or any(value is not None for value in given)
        if backend is None and (sys.platform != "win32" or elsewhere):
            self._client = self._connectable(
                username=username,
                password=secret,
                port=445 if port is None else port,
                encrypt=encrypt,
                timeout=timeout,
                max_reply_bytes=max_reply_bytes,
            )
            self._backend = self._client.call

    def _connectable(self, **options: Any) -> SrvsvcClient:
        if self._name is None:
            raise ValueError(
                "name must be given: over SMB there is no local machine (use 'localhost' for it)"
            )
        from .srvsvc import SrvsvcClient  # only where SMB is spoken

        return SrvsvcClient(self._name, **options)

    @property
    def name(self) -> str | None:
        """The server's name without backslashes (str), or None for the local machine."""
        return self._name

    def _begin(self, function: str, timeout: float | None = None) -> NativeCall | Call:
        """One public call: whatever it asks shares a time limit, and ends with close()."""
        if self._client is not None:
            return self._client.begin(timeout)
        return NativeCall(self, function, timeout)

    def _begin_one(self, function: str) -> NativeCall | Call:
        """A public call that is one answer: the pages that it lists get no more time than it."""
        return self._begin(function, None if self._client is None else self._timeout)

    @property
    def _connections(self) -> int:
        """How many connections were made so far; natively it is not told."""
        return 0 if self._client is None else self._client.connections

    @property
    def _speaks_srvsvc(self) -> bool:
        """Whether calls go out as stubs of MS-SRVS, which has no NetSessionGetInfo."""
        return callable(self._backend)

    @property
    def _unc_name(self) -> str | None:
        return None if self._name is None else "\\\\" + self._name

    def _resolve(self, name: str, call: NativeCall | Call) -> tuple[frozenset[str], str | None]:
        """The addresses of a client's name, and why there are none."""
        from ._lookup import addresses_of

        return addresses_of(name, call)

    if TYPE_CHECKING:

        @overload
        def sessions(
            self, *, level: Literal[0], **listing: Unpack[_Listing]
        ) -> Sessions[SessionInfo0]: ...
        @overload
        def sessions(
            self, *, level: Literal[1], **listing: Unpack[_Listing]
        ) -> Sessions[SessionInfo1]: ...
        @overload
        def sessions(
            self, *, level: Literal[2], **listing: Unpack[_Listing]
        ) -> Sessions[SessionInfo2]: ...
        @overload
        def sessions(
            self, *, level: Literal[10], **listing: Unpack[_Listing]
        ) -> Sessions[SessionInfo10]: ...
        @overload
        def sessions(
            self, *, level: Literal[502], **listing: Unpack[_Listing]
        ) -> Sessions[SessionInfo502]: ...
        @overload
        def sessions(
            self, *, level: int | None = None, **listing: Unpack[_Listing]
        ) -> Sessions: ...

    def sessions(
        self,
        *,
        level: int | None = None,
        client: str | None = None,
        user: str | None = None,
        where: Where | None = None,
        page_bytes: int | None = None,
        timeout: float | None = None,
    ) -> Sessions:
        """The server's sessions, as a query that asks afresh each time it is iterated.

        Args:
            level: information level 0, 1, 2, 10 or 502 (int); None for the richest granted.
            client: only sessions from this computer (str): a name, or an address in any spelling.
                A name also means the addresses that it resolves to; it is looked up when the
                first session from an address is met, within ``timeout``.
            user: only sessions of this user (str): ``alice``, ``CORP\\alice`` or
                ``alice@corp.example``. Without a domain those of every domain are meant; with one,
                those of that domain and those that the server lists without any.
            where: only sessions of which these conditions are true (Where, made with
                :func:`netsession.where`), beside ``client`` and ``user``. Levels that lack the
                fields that they look at are not asked; ValueError for a ``level`` that does.
            page_bytes: preferred maximum length of one reply in bytes (int); None asks for
                everything at once.
            timeout: seconds (float) for a whole listing, all its pages and what is done between
                them included; None for no limit but that of each page. Natively it is looked at
                between pages.

        Filters that match nothing give an empty list. They are applied here, without regard to
        case, since only the server's list tells how the server spells names (docs/names.md); for
        ``level=0`` with a user that needs level 10 or 1 from the server.

        Iterating raises AccessDenied, InvalidLevel, ServerUnreachable, CallTimeout,
        MalformedReply, NoProgress or another NetApiError. Source: NetSessionEnum,
        NetrSessionEnum ([MS-SRVS] 3.1.4.5).
        """
        return Sessions(self, level, client, user, page_bytes, timeout, where)

    if TYPE_CHECKING:

        @overload
        def watch(
            self, *, level: Literal[0], **watched: Unpack[_Watched]
        ) -> Watch[SessionInfo0]: ...
        @overload
        def watch(
            self, *, level: Literal[1], **watched: Unpack[_Watched]
        ) -> Watch[SessionInfo1]: ...
        @overload
        def watch(
            self, *, level: Literal[2], **watched: Unpack[_Watched]
        ) -> Watch[SessionInfo2]: ...
        @overload
        def watch(
            self, *, level: Literal[10], **watched: Unpack[_Watched]
        ) -> Watch[SessionInfo10]: ...
        @overload
        def watch(
            self, *, level: Literal[502], **watched: Unpack[_Watched]
        ) -> Watch[SessionInfo502]: ...
        @overload
        def watch(self, *, level: int | None = None, **watched: Unpack[_Watched]) -> Watch: ...

    def watch(
        self,
        *,
        every: float = 5.0,
        level: int | None = None,
        client: str | None = None,
        user: str | None = None,
        where: Where | None = None,
        existing: bool = False,
    ) -> Watch:
        """What happens on the server from now on, as events: sessions that open, close and change.

        Args:
            every: seconds (float) from one list to the next.
            level, client, user, where: as for :meth:`sessions`. What is watched is this selection:
                what comes to match is told as opened, what matches no more as closed.
            existing: whether the sessions of the first list are told as opened too (bool).

        Returns a Watch, to be iterated with ``for`` or ``async for``. There is no session id in
        MS-SRVS: a session is a client, a user and the time that it began, which the server tells
        in whole seconds. What opens and closes between two lists is not seen, nor one that ends
        within a second of its beginning and is opened again at once. Levels without times (0), and
        times that the server does not know, only tell how many sessions of each client and user
        there are. The rules are in docs/watch.md.

        A list that fails is an event too, and the server is asked on. Iterating raises
        InvalidLevel, InvalidParameter and LogonFailed only before the first list came;
        MissingDependency at once. A logon that is refused later is tried again after 5 minutes
        and then every half hour, so that no account is locked. Source: NetSessionEnum, as for
        :meth:`sessions`.
        """
        from .watch import Watch  # few programs watch

        return Watch(
            self, every=every, level=level, client=client, user=user, where=where, existing=existing
        )

    if TYPE_CHECKING:

        @overload
        def session(self, client: str, user: str, *, level: Literal[0]) -> SessionInfo0: ...
        @overload
        def session(self, client: str, user: str, *, level: Literal[1]) -> SessionInfo1: ...
        @overload
        def session(self, client: str, user: str, *, level: Literal[2]) -> SessionInfo2: ...
        @overload
        def session(self, client: str, user: str, *, level: Literal[10]) -> SessionInfo10: ...
        @overload
        def session(self, client: str, user: str, *, level: Literal[502]) -> SessionInfo502: ...
        @overload
        def session(self, client: str, user: str, *, level: int | None = None) -> SessionInfo: ...

    def session(self, client: str, user: str, *, level: int | None = None) -> SessionInfo:
        """One session of a user from a client.

        Args:
            client: computer name or address (str), as for :meth:`sessions`.
            user: user name (str), likewise.
            level: 0, 1, 2 or 10 (int), None for the richest of them granted; 502, which
                NetSessionGetInfo does not document, is answered through NetSessionEnum.

        Returns a SessionInfo record. A user may have several sessions from one client: this is
        one of them. Raises SessionNotFound where there is none, AmbiguousName where they are of
        more than one account, AccessDenied, InvalidLevel and other NetApiError. Source:
        NetSessionGetInfo with the names as the server lists them; over SMB, NetrSessionEnum.
        """
        for argument, name in (("client", client), ("user", user)):
            if name == "":
                raise ValueError(f"{argument} must not be empty: both say which session is meant")
        _names.ClientPattern(client)  # they check the names
        _names.UserPattern(user)
        check_level(level)
        levels = _INFO_LEVELS if level is None else (level,)
        call = self._begin_one("NetSessionGetInfo")
        if self._speaks_srvsvc:
            return _first_granted(levels, lambda each: self._listed(call, each, client, user))
        try:
            return _first_granted(levels, lambda each: self._session_at(call, each, client, user))
        except SessionNotFound:
            names = self._spelled(call, client, user)
            if names is None:
                raise
        return _first_granted(levels, lambda each: self._session_at(call, each, *names))

    def _spelled(self, call: NativeCall | Call, client: str, user: str) -> tuple[str, str] | None:
        """A session's client and user as the server lists them; None where it may not be listed."""
        try:
            record = self._listed(call, None, client, user)
        except NetApiError as error:
            if _may_not_list(error):
                return None
            raise
        return record.client_name or "", record.user_name or ""

    def _listed(
        self, call: NativeCall | Call, level: int | None, client: str, user: str
    ) -> SessionInfo:
        """The session as it is listed."""
        from . import _plan

        query = self.sessions(level=level, client=client, user=user)
        pages = query._pages_with_users(call)
        function = "NetSessionGetInfo"
        try:
            record = _plan.one_session(chain.from_iterable(pages), _names.UserPattern(user))
        except AmbiguousName as error:
            raise AmbiguousName(
                error.detail or "", error.candidates, function=function, server=self._name
            ) from None
        if record is None:
            raise self._not_found(query, function)
        return SessionInfo0(record.client_name) if level == 0 else record

    def _not_found(self, query: Sessions, function: str) -> NetApiError:
        """That nothing matches, and what might have been meant."""
        detail = query._why_nothing()
        client_is_there = query._client is None or query._client.met
        status = _NERR_USER_NOT_FOUND if client_is_there else _NERR_CLIENT_NAME_NOT_FOUND
        return error_from_status(status, function, self._name, detail=detail)

    def _session_at(
        self, call: NativeCall | Call, level: int, client: str, user: str
    ) -> SessionInfo:
        if level == 502:
            return self._listed(call, level, client, user)
        page = _first_spelling(
            _names.client_spellings(client),
            lambda spelling: _netsession.session_get_info(
                call.backend, self._unc_name, spelling, user, level
            ),
        )
        return page[0]

    def delete_sessions(
        self,
        *,
        client: str | None = None,
        user: str | None = None,
        where: Where | None = None,
        plan: DeletePlan | None = None,
    ) -> DeletePlan:
        """Ends sessions: those from a client, those of a user, or those of a user from a client.

        Args:
            client: computer name or address (str), as for :meth:`sessions`.
            user: user name (str), likewise.
            where: only sessions of which these conditions are true (Where, made with
                :func:`netsession.where`), beside or instead of both names.
            plan: instead of all three, what :meth:`plan_delete` of this server returned. ValueError
                or TypeError, and nothing is sent, where any of its targets may not be.

        Naming nothing is refused with ValueError and nothing is sent. The server is listed first,
        to learn how it spells the names, and nothing is guessed: see :meth:`plan_delete`. Returns
        the DeletePlan that was carried out.

        Open files of the sessions are closed and unsaved data is lost; Samba ends the whole
        connection, with the sessions of other users on it. Raises SessionNotFound and
        AmbiguousName, where nothing was sent, AccessDenied (Samba also where nothing matches any
        more) and other NetApiError. Its ``maybe_done`` is True wherever a request may have left and
        no answer tells that it was refused, as when the caller's own session is ended, and where
        part of the plan had been carried out; no request is repeated. Source: NetSessionDel,
        NetrSessionDel ([MS-SRVS] 3.1.4.6).

        With ``where``, and with a plan made so, a user's sessions from a client are ended only
        where all of them match, which is looked at again right before each request; ``outcomes`` of
        the plan tells what became of each. Nothing to end is no error then. A request that was
        refused does not keep the others from being sent; the first such error is raised at the end,
        with what became of how many. A connection that is lost, a time-out and a malformed reply
        end the whole. The time limit is for each of them. See docs/ending.md.
        """
        if plan is not None and not (client is None and user is None and where is None):
            raise ValueError("give client=, user= and where=, or plan=, not both")
        if where is not None or getattr(plan, "where", None) is not None:
            return self._delete_where(client, user, where, plan)
        call = self._begin_one("NetSessionDel")
        if plan is None:
            plan = self._planned(call, client, user)
        self._carry_out(call, self._checked_targets(plan), plan.listed)
        return plan

    def _delete_where(
        self, client: str | None, user: str | None, where: Where | None, plan: DeletePlan | None
    ) -> DeletePlan:
        if plan is None:
            plan = self.plan_delete(client=client, user=user, where=where)
        else:
            self._checked_targets(plan)
        from ._carry_out import CarryingOut  # few programs end by conditions

        CarryingOut(self, self._begin("NetSessionDel"), plan).run()
        return plan

    def _checked_targets(self, plan: DeletePlan) -> list[Target]:
        """The plan's targets; nothing is sent before all of them have been found to be harmless."""
        from . import _plan

        if not isinstance(plan, _plan.DeletePlan):
            raise TypeError(f"plan must be a DeletePlan, not {type(plan).__name__}")
        if plan.server is not None and plan.server != self._name:
            raise ValueError(f"plan is for the server {plan.server!r}, not for {self._name!r}")
        targets = list(plan.targets)
        if not targets and plan.where is None:
            raise ValueError("plan has no targets: there is nothing to send")
        for target in targets:
            if not isinstance(target, tuple) or len(target) != 2:
                raise TypeError(f"plan has a target that is no (client, user): {target!r:.80}")
            client, user = target
            _netsession.encode_delete_request(self._unc_name, client, user)
            if plan.where is not None and (client is None or user is None):
                raise ValueError(f"plan has conditions and a target for any name: {target!r:.80}")
            for spelling in _names.client_spellings(client):
                _netsession.encode_delete_request(self._unc_name, spelling, user)
        return targets

    def _carry_out(self, call: NativeCall | Call, targets: list[Target], listed: bool) -> None:
        ended = 0
        missing: SessionNotFound | None = None
        try:
            for target in targets:
                try:
                    self._end(call, *target)
                except SessionNotFound as error:
                    missing = missing or error  # gone meanwhile, perhaps with the one before
                else:
                    ended += 1
            if missing is not None and not ended:
                if not listed:
                    missing.detail = _joined(missing.detail, _SENT_AS_TYPED)
                raise missing
        except BaseException as error:
            if ended:
                _tell(error, f"{ended} of {len(targets)} requests had been carried out")
            raise
        finally:
            del missing  # its traceback has this frame

    def _end(self, call: NativeCall | Call, client: str | None, user: str | None) -> None:
        _first_spelling(
            _names.client_spellings(client),
            lambda spelling: _netsession.session_del(call.backend, self._unc_name, spelling, user),
        )

    def plan_delete(
        self,
        *,
        client: str | None = None,
        user: str | None = None,
        where: Where | None = None,
    ) -> DeletePlan:
        """What :meth:`delete_sessions` would send, in the server's own spelling. Ends nothing.

        Args and the rules for names are those of :meth:`sessions`; the table is in docs/names.md.
        Returns a DeletePlan: ``targets``, ``sessions``, ``addresses``, ``listed``. Raises
        SessionNotFound where nothing matches and AmbiguousName where the user is more than one
        account as the server spells them, or a name fits only perhaps. Where the server refuses to
        be listed (AccessDenied, InvalidLevel, NotSupported), the plan is what was typed: that can
        end this one account's sessions only.

        With ``where`` the plan ends a user's sessions from a client only where they match, all of
        them; the others are in ``left_alone`` with the reason, and so are those that may be the
        caller's own. ``endangered`` are other sessions from the same clients. Nothing to end is no
        error: ``targets`` is empty. Raises what a refused list raises, and ValueError where the
        conditions leave no session out. See docs/ending.md.
        """
        call = self._begin_one("NetSessionDel")
        if where is None:
            return self._planned(call, client, user)
        from ._plan_where import plan_where  # few programs end by conditions

        plan = plan_where(self, call, client, user, where)
        self._checked_targets(plan)  # the server may have listed anything
        return plan

    def _planned(self, call: NativeCall | Call, client: str | None, user: str | None) -> DeletePlan:
        plan = self._unchecked_plan(call, client, user)
        plan.server = self._name
        self._checked_targets(plan)  # the server may have listed anything
        return plan

    def _unchecked_plan(
        self, call: NativeCall | Call, client: str | None, user: str | None
    ) -> DeletePlan:
        from . import _plan  # decides; few programs end sessions

        if client is None and user is None:
            raise ValueError(
                "name a client or a user (client=, user=): ending every session of a server is "
                "never done"
            )
        query = self.sessions(client=client, user=user)
        # What may not be sent is not listed either: encoding checks the names as sending does.
        _netsession.encode_delete_request(None, client, user)
        records: list[SessionInfo] | None = None
        try:
            for page in query._pages(call):
                records = records or []
                records += page
                del page  # not kept while the next one comes
        except NetApiError as error:
            # Who may list has begun to: what comes after the first page is a failure.
            if records is None and _may_not_list(error):
                return _plan.typed_plan(query._client, query._user)
            error.detail = _joined(error.detail, "nothing was done")
            raise
        try:
            plan = _plan.planned(records or (), query._client, query._user)
        except AmbiguousName as error:
            error.server = self._name
            raise
        if not plan.targets:
            raise self._not_found(query, "NetSessionDel")
        return plan

    def close(self) -> None:
        """Ends the connection, if there is one. A later call makes a new one.

        Calls of other threads that have begun fail within a second with ConnectionLost, also a
        listing of which not all pages have come, and send nothing once this has returned. (What a
        function of netapi32.dll is doing goes on; it is the next one that does not begin.)
        """
        self._eras.end()
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"cannot pickle or copy {type(self).__name__!r} object: it holds a connection and "
            "credentials; make another one where it is needed"
        )

    def __repr__(self) -> str:
        how = "netapi32" if self._backend is None else "SMB"
        return f"<{type(self).__name__} {self._name or 'local machine'} through {how}>"


class Sessions(OfRecords[Record]):
    """The sessions of a server: a query, made with :meth:`Server.sessions`.

    Each iteration asks the server afresh. ``for`` fetches page by page and builds record by
    record; ``async for`` does the same with the calls in a thread (asyncio).
    """

    _fields: frozenset[str] = frozenset()  # repr() looks at it before it is known

    def __init__(
        self,
        server: Server,
        level: int | None,
        client: str | None,
        user: str | None,
        page_bytes: int | None,
        timeout: float | None = None,
        where: Where | None = None,
    ) -> None:
        self._server = server
        self._asked_level = level
        self._level = level
        check_level(level)
        self._look_up = _LookUp(server)
        self._client = None if client is None else _names.ClientPattern(client, self._look_up)
        self._user = None if user is None else _names.UserPattern(user)
        self._matchers = self._made_matchers(where)
        self._fields = _fields_of(client, user, where)
        if level is not None:
            _check_fields(level, self._fields)
        #: How many sessions the latest listing has brought, before any was left out (int).
        self._seen = 0
        self._preferred_length = _check_page_bytes(page_bytes)
        if timeout is not None:
            check_timeout(timeout)
        self._timeout = timeout

    @property
    def server(self) -> Server:
        """The server that is asked."""
        return self._server

    @property
    def level(self) -> int | None:
        """The level asked for, or that the server granted (int); None until it is known."""
        granted = self._server._granted
        return granted if self._level is None and granted in self._levels() else self._level

    def _made_matchers(self, where: Where | None) -> list[Matcher]:
        """What decides which sessions come: one matcher for client and user, one for where."""
        if where is None and self._client is None and self._user is None:
            return []
        from ._where import Matcher, Where  # where anything is selected

        made = []
        if self._client is not None or self._user is not None:
            clients = [] if self._client is None else [self._client]
            users = [] if self._user is None else [self._user]
            made.append(Matcher(clients, users))
        if where is not None:
            if not isinstance(where, Where):
                raise TypeError(
                    f"where must be what netsession.where() makes, or None, "
                    f"not {type(where).__name__}"
                )
            if where._conditions():
                made.append(where._matcher(self._look_up))
        return made

    def pages(self) -> Iterator[SessionPage[Record]]:
        """Reply by reply, as SessionPage. Raises what iterating raises."""
        return self._pages(self._begin())

    def _begin(self) -> NativeCall | Call:
        return self._server._begin("NetSessionEnum", self._timeout)

    def _pages(self, call: NativeCall | Call) -> _Pages[Record]:
        pages = self._pages_with_users(call)
        if self._is_cut_down:
            return pages.then(lambda page: page.as_level(0))
        return pages

    @property
    def _is_cut_down(self) -> bool:
        """Whether level 0 is wanted and another one asked for: without users none can be found."""
        return self._asked_level == 0 and "user_name" in self._fields

    def _pages_with_users(self, call: NativeCall | Call) -> _Pages[Record]:
        """Pages that match; where a user was named, at a level that has user names."""
        self._look_up.call = call
        self._seen = 0
        pages: _Pages[Record] = _Pages(self, call)
        for matcher in self._matchers:
            pages.then(self._filter_of(matcher, call))
        return pages

    def _filter_of(
        self, matcher: Matcher, call: NativeCall | Call
    ) -> Callable[[SessionPage], SessionPage]:
        if not matcher.not_self:
            return matcher.filter
        from ._caller import WithoutCaller  # seldom wanted

        return WithoutCaller(matcher, self._server, call)

    def _levels(self) -> Sequence[int]:
        if self._is_cut_down:
            return _POOREST_WITH_USER
        if self._asked_level is not None:
            return (self._asked_level,)
        levels = [level for level in _ENUM_LEVELS if self._fields <= _FIELDS_AT[level]]
        # What worked before comes first; the others stay, since rights can change.
        return sorted(levels, key=lambda level: level != self._server._granted)

    @property
    def _filter(self) -> str | None:
        """What the server is asked to filter by, as it may or may not do."""
        return None if self._client is None else self._client.filter

    def _first_page(
        self, call: NativeCall | Call
    ) -> tuple[Iterator[SessionPage], SessionPage | None]:
        """The cursor at the first level that is granted, and the page it has brought.

        No page where a filter matches nothing, which servers answer with a status.
        """
        cursor: Iterator[SessionPage] = iter(())
        server = self._server

        def ask(level: int) -> tuple[int, SessionPage | None]:
            nonlocal cursor
            # The user is not filtered by the server, and the client where one spelling is sure
            # only: how the server spells them is not known, and asked otherwise it might show
            # nothing.
            cursor = _netsession.SessionCursor(
                call.backend,
                server._unc_name,
                self._filter,
                None,
                level,
                self._preferred_length,
            )
            try:
                return level, next(cursor)
            except SessionNotFound:
                return level, None

        level, page = _first_granted(self._levels(), ask)
        debug("%s: level %d", self._server.name or "local machine", level)
        if self._asked_level is None:
            self._level = self._server._granted = level
        return cursor, page

    @property
    def addresses(self) -> tuple[str, ...]:
        """What the client's name resolves to, as far as the sessions read so far show it (str)."""
        clients = (client for matcher in self._matchers for client in matcher.clients)
        return tuple(dict.fromkeys(address for client in clients for address in client.taken))

    def _why_nothing(self) -> str | None:
        """What is known about why nothing matched."""
        clients = [client for matcher in self._matchers for client in matcher.clients]
        users = [user for matcher in self._matchers for user in matcher.users]
        parts = [
            f"the name {client.bare} could not be looked up ({client.lookup_failure})"
            for client in clients
            if client.lookup_failure is not None
        ]
        there = [client.typed for client in clients if client.met]
        if there and users and not any(user.met for user in users):
            named = ", ".join(user.typed for user in users)
            parts.append(f"there are sessions from {', '.join(there)}, but none of {named}")
        if self._seen and not all(matcher.idle_is_told for matcher in self._matchers):
            parts.append("the server says of every session that it is idle for 0 s, as Samba does")
        elsewhere = dict.fromkeys(name for user in users for name in user.elsewhere)
        if elsewhere:
            parts.append(f"there are sessions of {', '.join(list(elsewhere)[:5])}")
        return _joined(*parts) or None

    def __iter__(self) -> Iterator[Record]:
        return chain.from_iterable(self.pages())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The sessions as an Arrow stream, a record batch a page, for pyarrow, polars and others.

        The first page is fetched here, so that a refusal raises what iterating raises; the
        others when the consumer asks for them, where a failure becomes the consumer's error, with
        the exception's name and message. Types: see SessionPage.__arrow_c_array__.
        """
        pages = self.pages()
        first = next(pages, None)
        level = self.level if first is None else first.level
        return _netsession.arrow_stream(level, first, pages, requested_schema)

    def __arrow_c_schema__(self) -> object:
        """The Arrow schema of the level; asks the server where it is not known yet."""
        if self.level is None:
            next(self.pages(), None)
        return _netsession.arrow_schema(self.level)

    async def __aiter__(self) -> AsyncGenerator[Record, None]:
        from ._aio import NoThreadError, in_thread  # only where asyncio is already in use

        call = self._begin()
        pages = self._pages(call)

        async def next_page() -> SessionPage[Record] | None:
            try:
                return await in_thread(lambda: next(pages, None), call.call_off)
            except NoThreadError as error:
                detail = f"no thread could be started ({error}); nothing was asked"
                raise error_from_status(
                    _ERROR_NOT_ENOUGH_MEMORY, "NetSessionEnum", self._server.name, detail=detail
                ) from error

        while (page := await next_page()) is not None:
            records = iter(page)
            del page  # it goes when its last record is read, not when the next page has come
            for record in records:
                yield record

    def __repr__(self) -> str:
        level = "richest level" if self.level is None else f"level {self.level}"
        return f"<Sessions of {self._server.name or 'local machine'}, {level}>"


def _may_not_list(error: NetApiError) -> bool:
    """Whether listing is not granted or not offered; showing and ending sessions may be."""
    refused = isinstance(error, (AccessDenied, InvalidLevel, NotSupported))
    return refused and _was_called(error)


def _was_called(error: NetApiError) -> bool:
    """Whether it is the function that refused, not the logon or the way to it.

    Those refuse whatever is asked next; and each logon counts towards locking the account.
    """
    return not isinstance(error, LogonFailed) and error.step in (None, "call")


def _tell(error: BaseException, before: str) -> None:
    """Adds to what ended a delete half-way what had been done before."""
    if isinstance(error, NetApiError):
        error.detail = _joined(error.detail, before)
        error.maybe_done = True
    else:
        error.add_note(f"{before[0].upper()}{before[1:]}.")


def _joined(*parts: str | None) -> str:
    """What is known, as one detail of an error."""
    return "; ".join(part for part in parts if part)


class _LookUp:
    """Looks a query's client up, within the call of its latest listing.

    No method of the query, which would make a cycle of it: it holds the server, which is to be left
    as soon as nobody refers to it.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.call: NativeCall | Call | None = None

    def __call__(self, name: str) -> tuple[frozenset[str], str | None]:
        call = self.call or self._server._begin("NetSessionEnum")
        return self._server._resolve(name, call)


class _Pages(OfRecords[Record]):
    """The pages of one listing, each asked for when it is wanted.

    No generator, whose frame would keep a page while the next one is fetched; for the same reason
    no name here refers to a page for longer than it takes to pass it on.
    """

    def __init__(self, sessions: Sessions, call: NativeCall | Call) -> None:
        self._sessions = sessions
        self._call = call
        self._shapes: list[Callable[[SessionPage[Any]], SessionPage[Any]]] = []
        self._cursor: Iterator[SessionPage[Any]] | None = None  # None: nothing has been asked yet

    def then(self, shape: Callable[[SessionPage[Any]], SessionPage[Any]]) -> Self:
        """What is made of each page from here on."""
        self._shapes.append(shape)
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> SessionPage[Record]:
        page = self._fetch()
        for shape in self._shapes:
            page = shape(page)
        return page

    def _fetch(self) -> SessionPage[Any]:
        if self._cursor is None:
            page = self._start()
        else:
            self._call.renew()
            page = next(self._cursor)  # at its end StopIteration, which is ours too
        self._sessions._seen += len(page)
        return page

    def _start(self) -> SessionPage[Any]:
        self._cursor = iter(())  # what fails is over
        self._cursor, page = self._sessions._first_page(self._call)
        if page is None:
            raise StopIteration
        return page


def _fields_of(client: str | None, user: str | None, where: Where | None) -> frozenset[str]:
    """The fields that a query looks at to know which sessions are meant."""
    named = {"client_name"} if client is not None else set()
    if user is not None:
        named.add("user_name")
    return frozenset(named) if where is None else where.fields | named


def _check_fields(level: int, fields: frozenset[str]) -> None:
    """Refuses a level that lacks them; but users at level 0 are found at another level."""
    lacking = sorted(fields - _FIELDS_AT[level])
    if not lacking or (level == 0 and lacking == ["user_name"]):
        return
    others = [str(each) for each in _ENUM_LEVELS if fields <= _FIELDS_AT[each]]
    raise ValueError(
        f"level {level} has no {' and no '.join(lacking)}, which the conditions look at; "
        f"it needs level {', '.join(others[:-1])} or {others[-1]}"
    )


def _check_page_bytes(page_bytes: int | None) -> int:
    if page_bytes is None:
        return _EVERYTHING
    if isinstance(page_bytes, bool) or not isinstance(page_bytes, int):
        raise TypeError(f"page_bytes must be an int or None, not {type(page_bytes).__name__}")
    if not 0 < page_bytes <= _EVERYTHING:
        raise ValueError(f"page_bytes must be between 1 and {_EVERYTHING}, not {page_bytes}")
    return page_bytes


def _first_granted(levels: Sequence[int], ask: Callable[[int], T]) -> T:
    """What ``ask`` returns at the first level that the server grants.

    Where all are refused, the most useful error: that access was denied, which can be mended,
    before that a level is unknown.
    """
    refusals: list[NetApiError] = []
    try:
        for level in levels:
            try:
                return ask(level)
            except (AccessDenied, InvalidLevel) as error:
                if not _was_called(error):
                    raise
                debug("level %d is refused with status %d", level, error.status)
                refusals.append(error)
        raise next((error for error in refusals if isinstance(error, AccessDenied)), refusals[0])
    finally:
        refusals.clear()  # their tracebacks hold this frame, and with it the caller's page


def _first_spelling(spellings: list[str | None], ask: Callable[[str | None], T]) -> T:
    """What ``ask`` returns for the first spelling of a client that the server knows."""
    *others, last = spellings
    for spelling in others:
        try:
            return ask(spelling)
        except SessionNotFound:
            continue
    return ask(last)
