#include "netapi.h"

#include <stddef.h>

#ifndef _WIN32

const netapi *
netapi_windows(void)
{
    return NULL;
}

#else

#include <windows.h>

#include <lmcons.h>

#include <lmapibuf.h>
#include <lmshare.h>

#include "session_level.h"

/* Our structures are Windows' own, on both pointer widths: every size and offset is checked. */
#define SAME_SIZE(level) \
    _Static_assert(sizeof(session_info_##level) == sizeof(SESSION_INFO_##level), \
                   "SESSION_INFO_" #level)
#define SAME_OFFSET(level, member) \
    _Static_assert(offsetof(session_info_##level, member) \
                       == offsetof(SESSION_INFO_##level, sesi##level##_##member), \
                   "sesi" #level "_" #member)

_Static_assert(sizeof(WCHAR) == sizeof(utf16_unit), "WCHAR is a UTF-16 unit");
_Static_assert(sizeof(DWORD) == sizeof(uint32_t), "DWORD is 32 bits");
_Static_assert(MAX_PREFERRED_LENGTH == MAX_PREFERRED_LENGTH_ALL, "MAX_PREFERRED_LENGTH");
SAME_SIZE(0);
SAME_OFFSET(0, cname);
SAME_SIZE(1);
SAME_OFFSET(1, cname);
SAME_OFFSET(1, username);
SAME_OFFSET(1, num_opens);
SAME_OFFSET(1, time);
SAME_OFFSET(1, idle_time);
SAME_OFFSET(1, user_flags);
SAME_SIZE(2);
SAME_OFFSET(2, cname);
SAME_OFFSET(2, username);
SAME_OFFSET(2, num_opens);
SAME_OFFSET(2, time);
SAME_OFFSET(2, idle_time);
SAME_OFFSET(2, user_flags);
SAME_OFFSET(2, cltype_name);
SAME_SIZE(10);
SAME_OFFSET(10, cname);
SAME_OFFSET(10, username);
SAME_OFFSET(10, time);
SAME_OFFSET(10, idle_time);
SAME_SIZE(502);
SAME_OFFSET(502, cname);
SAME_OFFSET(502, username);
SAME_OFFSET(502, num_opens);
SAME_OFFSET(502, time);
SAME_OFFSET(502, idle_time);
SAME_OFFSET(502, user_flags);
SAME_OFFSET(502, cltype_name);
SAME_OFFSET(502, transport);

/* The prototypes take LMSTR though none of the functions writes to its names: the casts drop a
   const that the headers lack, and turn DWORD (unsigned long) into uint32_t. */

static uint32_t
windows_session_enum(void *context, const utf16_unit *server, const utf16_unit *client,
                     const utf16_unit *user, uint32_t level, unsigned char **buffer,
                     uint32_t preferred_length, uint32_t *entries_read, uint32_t *total_entries,
                     uint32_t *resume_handle)
{
    (void)context;
    return NetSessionEnum((LMSTR)server, (LMSTR)client, (LMSTR)user, level, buffer,
                          preferred_length, (LPDWORD)entries_read, (LPDWORD)total_entries,
                          (LPDWORD)resume_handle);
}

static uint32_t
windows_session_get_info(void *context, const utf16_unit *server, const utf16_unit *client,
                         const utf16_unit *user, uint32_t level, unsigned char **buffer)
{
    (void)context;
    return NetSessionGetInfo((LMSTR)server, (LMSTR)client, (LMSTR)user, level, buffer);
}

static uint32_t
windows_session_del(void *context, const utf16_unit *server, const utf16_unit *client,
                    const utf16_unit *user)
{
    (void)context;
    return NetSessionDel((LMSTR)server, (LMSTR)client, (LMSTR)user);
}

static uint32_t
windows_buffer_free(void *context, void *buffer)
{
    (void)context;
    return NetApiBufferFree(buffer);
}

static const netapi windows_netapi = {
    .context = NULL,
    .session_enum = windows_session_enum,
    .session_get_info = windows_session_get_info,
    .session_del = windows_session_del,
    .buffer_free = windows_buffer_free,
};

const netapi *
netapi_windows(void)
{
    return &windows_netapi;
}

#endif
