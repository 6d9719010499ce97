r"""What to do about a status, by how far the call had got. One sentence each, or two.

A table apart, since only a failed call needs it. The sentences name the library's arguments as
``timeout=``, ``port=``; the command spells them as options (``cli.wording``).
"""

from __future__ import annotations

_CALL = "call"
_DELETE = "NetSessionDel"
_ERROR_ACCESS_DENIED = 5


def advice(status: int, step: str | None, function: str) -> str | None:
    """What to do about ``status`` at ``step`` (None: not known) of ``function``, or None."""
    if step is not None and step != _CALL:
        at_step = _AT_STEP.get(step, {})
        return at_step.get(status) or _GENERAL.get(status) or _OTHERWISE.get(step)
    if status == _ERROR_ACCESS_DENIED and function == _DELETE:
        return f"{_NO_MATCH}. {_NO_GROUP}"
    return _OF_THE_CALL.get(status) or _GENERAL.get(status)


_NO_GROUP = (
    "The server wants the caller to be a member of its Administrators or Server Operators group "
    "(Windows before Server 2019 may grant levels 0 and 10 to any user; Samba wants "
    "BUILTIN\\Administrators to list, and root or Domain Admins to delete). "
    "Use an account that is, or ask the server's administrator"
)
_NO_MATCH = (
    "This is also Samba's answer where no such session is there: list the sessions to see whether "
    "one matches"
)
_NOT_FROM_HERE = (
    "The server does not let this user or this machine use IPC$, so that nothing could be asked. "
    'Its administrator can allow that (Windows: "Access this computer from the network"; Samba: '
    "hosts allow, hosts deny, valid users, invalid users, and server smb encrypt)"
)
_NOT_THIS_WAY = (
    "The server took part in the logon and then refused it. Often it demands encryption, which the "
    "SMB version agreed on does not have (SMB 3 has it), or its policy keeps this account or this "
    "machine off the network"
)
_NO_PIPE = (
    "The account may use IPC$ but not its srvsvc pipe: the server, or a firewall or filter in it, "
    "closes that pipe to it. Use an administrator's account, or ask the server's administrator"
)
_NO_INTERFACE = (
    "The pipe is open to this account, but the session functions behind it are not. Use an "
    "administrator's account, or ask the server's administrator"
)
_CREDENTIALS = "Check the user name (DOMAIN\\user or user@realm) and the password or ticket"
_ACCOUNT = "Ask the server's administrator about this account"
_NOT_HERE = (
    "The account may not log on to that server over the network; use another, or ask the server's "
    "administrator"
)
_NOT_NOW = "The account may not log on at this hour; use another, or ask the server's administrator"
_TRUST_ACCOUNT = "This is a machine's or a domain's account, not a user's; use a user's account"
_DOMAIN = (
    "The password may be right: the server cannot ask a domain controller about it. Ask the "
    "domain's administrator, or use an account of the server itself (SERVER\\user)"
)
_TRUST = (
    "The password may be right: the trust between the server and the domain, or between two "
    "domains, is broken. The domain's administrator has to join the server anew or repair the "
    "trust; until then use an account of the server itself (SERVER\\user)"
)
_CLOCKS = (
    "Set the clocks of this machine, of the server and of the domain controller to the same time "
    "(Kerberos allows five minutes)"
)
_USE_KERBEROS = (
    "The server, or its domain, takes no NTLM: log on with Kerberos, which wants a ticket (kinit), "
    "pip install 'netsession[kerberos]', and the server called by its full DNS name"
)
_USE_NAME = (
    "Call the server by its full DNS name, as Kerberos knows it, not by an address or an alias; or "
    "give username= and password="
)
_KERBEROS = (
    "Get a new ticket with kinit and call the server by its full DNS name; if that does not help, "
    "the domain's administrator finds more in the log of the domain controller"
)
_LOGON_METHOD = (
    "The server and this machine found no way to log on that both take. Try the other one: a user "
    "name and password instead of a ticket, or the other way round"
)
_UNREACHABLE = (
    "Check the name, the port (445 unless told otherwise by port=), the network and any firewall, "
    "and that the server shares files over SMB"
)
_NO_SMB = (
    "No SMB 2 server there: check the name and port= (445 is SMB's), and that the server shares "
    "files over SMB 2 or 3"
)
_NO_WORD = (
    "No SMB 2 server there, or one that is too busy or refuses this machine: check the name and "
    "port= (445 is SMB's)"
)
_LOGON_REFUSED = (
    "The server refused the logon; its log says why. Asking again may count towards locking the "
    "account"
)
_SMB_1 = (
    "SMB 1 is not spoken here; let that server speak SMB 2 or 3 (Samba: server max protocol), or "
    "replace it"
)
_HOST_REFUSED = (
    "Nobody can log on from here until the server's administrator allows this machine (Samba: "
    "hosts allow, hosts deny; elsewhere a list of hosts or a firewall)"
)
_GOES_DOWN = "The server is shutting down or starting; try again later"
_LOST = "The connection to the server broke; try again"
_RESOURCES = "The server or this machine is short of resources; try again later"
_TIME = "Raise timeout=, or check the network to the server"
_NO_FUNCTION = "This server does not implement the function"
_NOT_OFFERED = "The server does not offer the session functions at this name and port"
_SERVERS_FAULT = "The server failed within; its log says more. Try again, or ask its administrator"
_OUR_FAULT = "The server could not read the request; please report this as a bug of netsession"
_GONE = "The pipe to the server was closed; try again"

#: Where the step makes the difference.
_AT_STEP: dict[str, dict[int, str]] = {
    "connect": {
        1460: (
            "Nothing answers at that address and port, not even to refuse. Check the name, port= "
            "and any firewall on the way. Raise timeout= if the way is slow"
        ),
    },
    "negotiate": {
        5: _HOST_REFUSED,
        50: "The server and netsession share no version of SMB (netsession: 2.0.2 to 3.1.1)",
        58: _NO_SMB,
        64: _NO_WORD,
        65: _HOST_REFUSED,
        384: _SMB_1,
        1225: _HOST_REFUSED,
        1460: (
            "The port takes connections, but nothing there says a word of SMB. Check port= and "
            "whether the server is well. Raise timeout= if it is slow"
        ),
        1764: "Leave encrypt= out, or enable SMB 3 encryption on the server",
    },
    "logon": {
        1: _LOGON_METHOD,
        5: _NOT_THIS_WAY,
        31: _LOGON_REFUSED,
        50: _LOGON_METHOD,
        65: _NOT_THIS_WAY,
        87: _LOGON_METHOD,
        1460: (
            "The server had not finished the logon within the time; it may be waiting for a domain "
            "controller. Raise timeout="
        ),
        1764: _LOGON_METHOD,
    },
    "share": {
        2: "The server has no IPC$ share, so it offers no session functions",
        5: _NOT_FROM_HERE,
        65: _NOT_FROM_HERE,
        67: "The server has no IPC$ share under this name; call it by its own name or address",
        1314: _NOT_FROM_HERE,
    },
    "pipe": {
        5: _NO_PIPE,
        65: _NO_PIPE,
        1314: _NO_PIPE,
    },
    "bind": {
        5: _NO_INTERFACE,
        65: _NO_INTERFACE,
        1314: _NO_INTERFACE,
    },
}

#: At a step, where nothing is known of the status.
_OTHERWISE: dict[str, str] = {
    "connect": _UNREACHABLE,
    "negotiate": "The server did not agree on a version of SMB; its log says why",
    "logon": _LOGON_REFUSED,
    "share": "The server refused its IPC$ share; its log says why",
    "pipe": "The server did not open its srvsvc pipe; its log says why",
    "bind": "The server refused the srvsvc interface; its log says why",
}

#: Of the call itself, and natively, where nobody knows the step.
_OF_THE_CALL: dict[int, str] = {
    5: _NO_GROUP,
    65: _NO_GROUP,
    87: "An argument was refused: names may hold at most 1,023 UTF-16 units",
    1314: _NO_GROUP,
}

#: At whatever step.
_GENERAL: dict[int, str] = {
    **dict.fromkeys((1, 120, 588), _NO_FUNCTION),
    2: "The server has no srvsvc pipe: it does not offer the session functions",
    **dict.fromkeys((3, 55, 66, 1168, 2142, 2470), _NOT_OFFERED),
    **dict.fromkeys((4, 8, 14, 54, 56, 68, 69, 71, 112, 1130, 1450, 1455, 1721), _RESOURCES),
    **dict.fromkeys((1723, 1816), _RESOURCES),
    **dict.fromkeys((6, 38, 109, 230, 232, 233, 535, 536), _GONE),
    **dict.fromkeys((24, 1305, 1306, 1784), _OUR_FAULT),
    31: _SERVERS_FAULT,
    50: "This server does not offer the session functions (a Samba AD DC on ntvfs is one such)",
    **dict.fromkeys((51, 53, 1203, 1214, 1222, 1225, 1231, 1232), _UNREACHABLE),
    **dict.fromkeys((1233, 1234, 1256, 1702, 1707, 1715, 1722, 2103), _UNREACHABLE),
    52: "Two machines have this name; call the server by its address",
    58: _NO_SMB,
    **dict.fromkeys((59, 64, 240, 995, 1226, 1229, 1235, 1236, 1237, 1726, 1820), _LOST),
    67: "The server refused its IPC$ share; check that remote administration is allowed there",
    70: "Sharing is paused on that server; continue its Server service",
    86: _CREDENTIALS,
    **dict.fromkeys((121, 1460), _TIME),
    **dict.fromkeys((122, 1727, 1728, 1766, 1818), _SERVERS_FAULT),
    123: "Write the server as a name or an address, such as fs01, fs01.corp.example or 10.0.0.1",
    124: "Use level=None to get the richest level that the server grants (Samba grants 0 and 1)",
    **dict.fromkeys((161, 183, 206, 267, 681), _NOT_OFFERED),
    231: "All instances of the srvsvc pipe are busy; try again",
    32: "The srvsvc pipe is in exclusive use; try again",
    384: _SMB_1,
    **dict.fromkeys((568, 1311, 1341, 1355, 1792, 1908), _DOMAIN),
    **dict.fromkeys((569, 581, 628, 1352, 1353, 1354, 1351, 1358, 1383), _DOMAIN),
    **dict.fromkeys((608, 1008, 1312, 1313, *range(1346, 1350), 1362, 1363, 1364), _LOGON_METHOD),
    **dict.fromkeys((1365, 1366, 1367, 1368, 1384, 1386, 1390), _LOGON_METHOD),
    **dict.fromkeys((1394, 1747, 1748, 1821), _LOGON_METHOD),
    **dict.fromkeys((641, 1115, 1255), _GOES_DOWN),
    740: _NO_GROUP,
    776: _OUR_FAULT,
    998: _SERVERS_FAULT,
    1201: "The server's distributed file system is not available; call the file server itself",
    1210: "Call the server by its name or address, with nothing else around it",
    1219: (
        "Windows holds another connection to this server under another user; disconnect it "
        "(net use /delete) or give username= and password="
    ),
    **dict.fromkeys(
        (1220, 1238), "The server has as many connections as it takes; try again later"
    ),
    **dict.fromkeys((1239, 1328), _NOT_NOW),
    **dict.fromkeys(
        (1240, 1329),
        "The account may not log on from this machine; use another, or ask its administrator",
    ),
    1260: "The server's policy forbids this account or this machine; ask its administrator",
    1263: _KERBEROS,
    1265: (
        "Something between weakened the logon, or the domain controller cannot be reached over "
        "Kerberos; try again from another network, or ask the domain's administrator"
    ),
    1315: _CREDENTIALS,
    1317: _CREDENTIALS,
    **dict.fromkeys((1324, 1325, 1326), _CREDENTIALS),
    1327: (
        "The account has a restriction, such as an empty password, which may not be used over the "
        "network, or a policy of its domain; use another, or ask the server's administrator"
    ),
    1330: "The password has expired; change it first",
    1331: "The account is disabled; its administrator can enable it",
    1359: _SERVERS_FAULT,
    1371: _ACCOUNT,
    **dict.fromkeys((1380, 1385), _NOT_HERE),
    1395: "The server has given out all its licences; try again later",
    1396: _USE_NAME,
    1397: (
        "The server could not prove who it is; call it by its full DNS name, and ask the domain's "
        "administrator if that does not help"
    ),
    1398: _CLOCKS,
    1399: "A local account is wanted there: use an account of the server itself (SERVER\\user)",
    1717: "The server has the pipe but not the srvsvc interface",
    1730: "The server does not take the transfer syntax NDR, which every Windows and Samba speaks",
    1745: "The server's srvsvc interface lacks this call",
    1753: _NOT_OFFERED,
    1764: "The server cannot do what was asked of the connection; leave encrypt= out, if given",
    1783: _OUR_FAULT,
    **dict.fromkeys((1786, 1787, 1788, 1789, 1790, 1810), _TRUST),
    1793: "The account has expired; its administrator can extend it",
    **dict.fromkeys((1807, 1808, 1809), _TRUST_ACCOUNT),
    1825: _CREDENTIALS,
    1907: "The password must be changed before the first logon",
    1909: "The account is locked; wait, or have its administrator unlock it, before trying again",
    1935: "Users of the account's domain may not log on to that server; ask its administrator",
    1937: _USE_KERBEROS,
    2114: "Start the Server service (LanmanServer) on that machine",
    2123: "Raise page_bytes, or leave it out",
    2202: _CREDENTIALS,
    2221: "No session of that user; list the sessions without user= to see the names in use",
    2312: (
        "No session from that client, or none of that user; list the sessions without client= and "
        "user= to see the names in use"
    ),
    2351: "Give the client as its computer name or address, as listed by the server",
    8636: "Write the user as user@realm or DOMAIN\\user, as the domain knows it",
    0x80090305: (
        "Install it with pip install 'netsession[kerberos]' (on Debian that compiles, and needs "
        "gcc, python3-dev and libkrb5-dev), or give username= and password="
    ),
    0x8009030E: "Get a ticket with kinit, or give username= and password=",
    0x80090311: (
        "Check the realm in krb5.conf, DNS and the network to the domain controllers, or give "
        "username= and password="
    ),
    0x80090317: "Get a new ticket with kinit, or give username= and password=",
    **dict.fromkeys(range(0x80090333, 0x80090362), _KERBEROS),
    0x8009033E: "The account may log on with a smart card only; use another",
}
