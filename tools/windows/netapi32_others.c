/* The other names that pywin32's modules import from netapi32.dll. They are in the stand-in so
   that win32net, win32security and win32wnet load, and answer that they are not supported. Each
   has its real function's number of arguments, which the callee takes off the stack on 32-bit x86.
   src/simulator_dll.c has those that do something. */

#define WIN32_LEAN_AND_MEAN /* without nb30.h, which declares Netbios */
#include <windows.h>

#define P(name) __attribute__((unused)) void *name
/* tools/windows/stand_in.py exports every name that stands in UNSUPPORTED_n(). */
#define UNSUPPORTED(name, ...) \
    DWORD WINAPI name(__VA_ARGS__) \
    { \
        return ERROR_NOT_SUPPORTED; \
    }

#define UNSUPPORTED_1(name) UNSUPPORTED(name, P(a))
#define UNSUPPORTED_2(name) UNSUPPORTED(name, P(a), P(b))
#define UNSUPPORTED_3(name) UNSUPPORTED(name, P(a), P(b), P(c))
#define UNSUPPORTED_4(name) UNSUPPORTED(name, P(a), P(b), P(c), P(d))
#define UNSUPPORTED_5(name) UNSUPPORTED(name, P(a), P(b), P(c), P(d), P(e))
#define UNSUPPORTED_6(name) UNSUPPORTED(name, P(a), P(b), P(c), P(d), P(e), P(f))
#define UNSUPPORTED_7(name) UNSUPPORTED(name, P(a), P(b), P(c), P(d), P(e), P(f), P(g))
#define UNSUPPORTED_8(name) UNSUPPORTED(name, P(a), P(b), P(c), P(d), P(e), P(f), P(g), P(h))
#define UNSUPPORTED_9(name) \
    UNSUPPORTED(name, P(a), P(b), P(c), P(d), P(e), P(f), P(g), P(h), P(i))

UNSUPPORTED_1(NetValidatePasswordPolicyFree)
UNSUPPORTED_1(Netbios)

UNSUPPORTED_2(NetFileClose)
UNSUPPORTED_2(NetGroupDel)
UNSUPPORTED_2(NetLocalGroupDel)
UNSUPPORTED_2(NetMessageNameAdd)
UNSUPPORTED_2(NetMessageNameDel)
UNSUPPORTED_2(NetServerComputerNameDel)
UNSUPPORTED_2(NetUserDel)

UNSUPPORTED_3(NetGetAnyDCName)
UNSUPPORTED_3(NetGetDCName)
UNSUPPORTED_3(NetGetJoinInformation)
UNSUPPORTED_3(NetGroupAddUser)
UNSUPPORTED_3(NetGroupDelUser)
UNSUPPORTED_3(NetServerComputerNameAdd)
UNSUPPORTED_3(NetServerGetInfo)
UNSUPPORTED_3(NetShareCheck)
UNSUPPORTED_3(NetShareDel)
UNSUPPORTED_3(NetUseDel)
UNSUPPORTED_3(NetUserModalsGet)
UNSUPPORTED_3(NetWkstaGetInfo)
UNSUPPORTED_3(NetWkstaTransportDel)

UNSUPPORTED_4(NetFileGetInfo)
UNSUPPORTED_4(NetGroupAdd)
UNSUPPORTED_4(NetGroupGetInfo)
UNSUPPORTED_4(NetLocalGroupAdd)
UNSUPPORTED_4(NetLocalGroupGetInfo)
UNSUPPORTED_4(NetServerSetInfo)
UNSUPPORTED_4(NetShareAdd)
UNSUPPORTED_4(NetShareGetInfo)
UNSUPPORTED_4(NetUseAdd)
UNSUPPORTED_4(NetUseGetInfo)
UNSUPPORTED_4(NetUserAdd)
UNSUPPORTED_4(NetUserChangePassword)
UNSUPPORTED_4(NetUserGetInfo)
UNSUPPORTED_4(NetUserModalsSet)
UNSUPPORTED_4(NetWkstaSetInfo)
UNSUPPORTED_4(NetWkstaTransportAdd)

UNSUPPORTED_5(NetGroupSetInfo)
UNSUPPORTED_5(NetGroupSetUsers)
UNSUPPORTED_5(NetLocalGroupAddMembers)
UNSUPPORTED_5(NetLocalGroupDelMembers)
UNSUPPORTED_5(NetLocalGroupSetInfo)
UNSUPPORTED_5(NetLocalGroupSetMembers)
UNSUPPORTED_5(NetMessageBufferSend)
UNSUPPORTED_5(NetShareSetInfo)
UNSUPPORTED_5(NetStatisticsGet)
UNSUPPORTED_5(NetUserSetInfo)
UNSUPPORTED_5(NetValidateName)
UNSUPPORTED_5(NetValidatePasswordPolicy)

UNSUPPORTED_6(DsGetDcNameW)

UNSUPPORTED_7(NetGroupEnum)
UNSUPPORTED_7(NetLocalGroupEnum)
UNSUPPORTED_7(NetMessageNameEnum)
UNSUPPORTED_7(NetServerDiskEnum)
UNSUPPORTED_7(NetShareEnum)
UNSUPPORTED_7(NetUseEnum)
UNSUPPORTED_7(NetUserGetGroups)
UNSUPPORTED_7(NetWkstaTransportEnum)
UNSUPPORTED_7(NetWkstaUserEnum)

UNSUPPORTED_8(NetGroupGetUsers)
UNSUPPORTED_8(NetLocalGroupGetMembers)
UNSUPPORTED_8(NetUserEnum)
UNSUPPORTED_8(NetUserGetLocalGroups)

UNSUPPORTED_9(NetFileEnum)
UNSUPPORTED_9(NetServerEnum)
