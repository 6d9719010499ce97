/* A stand-in netapi32.dll for the Windows tests: the simulator behind the real entry points, plus
   functions by which tests set it up and ask what happened. The extension and pywin32's win32net
   both call it, in one process, when it lies in System32 (of a Wine prefix of the tests' own, with
   WINEDLLOVERRIDES=netapi32=n). It is no part of the package. */

#include <stdbool.h>
#include <stdint.h>
#include <windows.h>

#include <lmcons.h>

#include <lmapibuf.h>
#include <lmshare.h>

#include "simulator.h"

/* Marks what tools/windows/stand_in.py puts into the DLL's definition file. Not dllexport: the
   prototypes of <lmshare.h> lack it, and on 32-bit x86 it would export NetSessionEnum@36. */
#define EXPORTED

/* Sessions there are before a test asks for others. */
#define DEFAULT_SESSIONS 100

/* The longest server name that is remembered, units with the terminator. */
#define SERVER_UNITS 256

/* One server for the process. Tests set it up between calls, never during one. */
static simulator *server;
static netapi entry;

/* What the last call was asked, where the simulator itself keeps no note of it. */
static struct {
    WCHAR server_name[SERVER_UNITS];
    bool server_given;
    DWORD preferred_length;
} last;

/* Misbehaviour that lies above the simulator: see the functions that set it. */
static bool silent;
static uint32_t overriding_status;

static void
note_server(const WCHAR *name)
{
    last.server_given = name != NULL;
    (void)lstrcpynW(last.server_name, name != NULL ? name : L"", SERVER_UNITS);
}

static DWORD
answered(uint32_t status)
{
    return overriding_status != 0 ? overriding_status : status;
}

/* --- the entry points, with the prototypes of <lmshare.h> and <lmapibuf.h> ----------------- */

EXPORTED NET_API_STATUS WINAPI
NetSessionEnum(LMSTR server_name, LMSTR client, LMSTR user, DWORD level, LPBYTE *buffer,
               DWORD preferred_length, LPDWORD entries_read, LPDWORD total_entries,
               LPDWORD resume_handle)
{
    note_server(server_name);
    last.preferred_length = preferred_length;
    if (silent) {
        return NET_SUCCESS;
    }
    return answered(entry.session_enum(entry.context, server_name, client, user, level, buffer,
                                       preferred_length, (uint32_t *)entries_read,
                                       (uint32_t *)total_entries, (uint32_t *)resume_handle));
}

EXPORTED NET_API_STATUS WINAPI
NetSessionGetInfo(LMSTR server_name, LMSTR client, LMSTR user, DWORD level, LPBYTE *buffer)
{
    note_server(server_name);
    if (silent) {
        return NET_SUCCESS;
    }
    return answered(
        entry.session_get_info(entry.context, server_name, client, user, level, buffer));
}

EXPORTED NET_API_STATUS WINAPI
NetSessionDel(LMSTR server_name, LMSTR client, LMSTR user)
{
    note_server(server_name);
    return answered(entry.session_del(entry.context, server_name, client, user));
}

EXPORTED NET_API_STATUS WINAPI
NetApiBufferFree(LPVOID buffer)
{
    return entry.buffer_free(entry.context, buffer);
}

/* --- for tests: setting up ------------------------------------------------------------------ */

/* A new server with `made_up` sessions and nothing set. Buffers of the old one are gone: whoever
   frees one afterwards shows in SimulatorBadFrees. False when out of memory. */
EXPORTED int
SimulatorReset(uint32_t made_up, uint32_t page_entries)
{
    simulator *made = simulator_new(0, made_up, page_entries);
    if (made == NULL) {
        return 0;
    }
    simulator_free(server);
    server = made;
    entry = simulator_netapi(server);
    silent = false;
    overriding_status = 0;
    ZeroMemory(&last, sizeof(last));
    return 1;
}

/* Appends a session. */
EXPORTED int
SimulatorAdd(const SESSION_INFO_502 *info)
{
    simulator_row row = {0};
    row.strings[FIELD_CLIENT_NAME] = info->sesi502_cname;
    row.strings[FIELD_USER_NAME] = info->sesi502_username;
    row.dwords[FIELD_NUM_OPENS] = info->sesi502_num_opens;
    row.dwords[FIELD_ACTIVE_TIME] = info->sesi502_time;
    row.dwords[FIELD_IDLE_TIME] = info->sesi502_idle_time;
    row.dwords[FIELD_USER_FLAGS] = info->sesi502_user_flags;
    row.strings[FIELD_CLIENT_TYPE] = info->sesi502_cltype_name;
    row.strings[FIELD_TRANSPORT] = info->sesi502_transport;
    return simulator_add(server, &row);
}

/* Ends the sessions of exactly this user from this client; how many they were. */
EXPORTED uint32_t
SimulatorEnd(const WCHAR *client, const WCHAR *user)
{
    uint32_t found = 0;
    (void)simulator_end(server, client, user, SIMULATOR_EVERY, &found);
    return found;
}

/* Moves the clock by which the sessions' times grow. */
EXPORTED void
SimulatorAdvance(uint32_t milliseconds)
{
    simulator_advance(server, milliseconds);
}

/* False where there is no such level. */
EXPORTED int
SimulatorRefuseLevel(uint32_t number, uint32_t status)
{
    const session_level *level = session_level_find(number);
    if (level == NULL) {
        return 0;
    }
    simulator_refuse_level(server, level, status);
    return 1;
}

/* `function`: 0 NetSessionEnum, 1 NetSessionGetInfo, 2 NetSessionDel. */
EXPORTED void
SimulatorFail(uint32_t function, uint32_t status, uint32_t after, uint32_t times)
{
    if (function < SIMULATOR_FUNCTIONS) {
        simulator_fail(server, (simulator_function)function, status, after, times);
    }
}

EXPORTED void
SimulatorDelay(uint32_t milliseconds)
{
    simulator_delay(server, milliseconds);
}

/* Answer nothing; ERROR_BAD_NETPATH after so long (UINT32_MAX: never). */
EXPORTED void
SimulatorHang(uint32_t milliseconds)
{
    simulator_hang(server, milliseconds);
}

/* Answer again; calls that hang fail now. This may be called during a call. */
EXPORTED void
SimulatorRelease(void)
{
    simulator_release(server);
}

EXPORTED void
SimulatorPrepare(int on)
{
    simulator_prepare(server, on != 0);
}

EXPORTED void
SimulatorStick(int on, int moving)
{
    simulator_stick(server, on != 0, moving != 0);
}

/* Say success and touch no output, as Wine's own NetSessionEnum does. */
EXPORTED void
SimulatorSilent(int on)
{
    silent = on != 0;
}

/* Do all that was asked, then answer `status` instead (0: no more): an error with a buffer. */
EXPORTED void
SimulatorOverrideStatus(uint32_t status)
{
    overriding_status = status;
}

/* --- for tests: asking ---------------------------------------------------------------------- */

EXPORTED uint32_t
SimulatorCount(void)
{
    return simulator_count(server);
}

/* Buffers handed out and not freed yet. */
EXPORTED uint32_t
SimulatorOutstanding(void)
{
    return (uint32_t)simulator_outstanding(server);
}

/* Frees of what was not handed out, or of what was freed before. */
EXPORTED uint32_t
SimulatorBadFrees(void)
{
    return (uint32_t)simulator_bad_frees(server);
}

EXPORTED uint32_t
SimulatorCalls(uint32_t function)
{
    return function < SIMULATOR_FUNCTIONS
             ? (uint32_t)simulator_calls(server, (simulator_function)function)
             : 0;
}

/* The server name of the last call; NULL where NULL was passed. */
EXPORTED const WCHAR *
SimulatorLastServer(void)
{
    return last.server_given ? last.server_name : NULL;
}

EXPORTED uint32_t
SimulatorLastPreferredLength(void)
{
    return last.preferred_length;
}

BOOL WINAPI
DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved)
{
    (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) {
        (void)DisableThreadLibraryCalls(instance);
        return SimulatorReset(DEFAULT_SESSIONS, 0) != 0;
    }
    return TRUE;
}
