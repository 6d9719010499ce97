#include "netapi.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#ifndef _WIN32

const netapi *
netapi_windows(void)
{
    return NULL;
}

#else

#include <windows.h>

#include <lmcons.h>

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

/* The functions, found in the library. Their prototypes are those of <lmshare.h> and <lmapibuf.h>
   in our types, which the assertions above compare, and with the const that the headers lack. */
static struct {
    uint32_t(WINAPI *session_enum)(const utf16_unit *server, const utf16_unit *client,
                                   const utf16_unit *user, uint32_t level, unsigned char **buffer,
                                   uint32_t preferred_length, uint32_t *entries_read,
                                   uint32_t *total_entries, uint32_t *resume_handle);
    uint32_t(WINAPI *session_get_info)(const utf16_unit *server, const utf16_unit *client,
                                       const utf16_unit *user, uint32_t level,
                                       unsigned char **buffer);
    uint32_t(WINAPI *session_del)(const utf16_unit *server, const utf16_unit *client,
                                  const utf16_unit *user);
    uint32_t(WINAPI *buffer_free)(void *buffer);
} found;

static INIT_ONCE loaded = INIT_ONCE_STATIC_INIT;

static uint32_t
windows_session_enum(void *context, const utf16_unit *server, const utf16_unit *client,
                     const utf16_unit *user, uint32_t level, unsigned char **buffer,
                     uint32_t preferred_length, uint32_t *entries_read, uint32_t *total_entries,
                     uint32_t *resume_handle)
{
    (void)context;
    return found.session_enum(server, client, user, level, buffer, preferred_length, entries_read,
                              total_entries, resume_handle);
}

static uint32_t
windows_session_get_info(void *context, const utf16_unit *server, const utf16_unit *client,
                         const utf16_unit *user, uint32_t level, unsigned char **buffer)
{
    (void)context;
    return found.session_get_info(server, client, user, level, buffer);
}

static uint32_t
windows_session_del(void *context, const utf16_unit *server, const utf16_unit *client,
                    const utf16_unit *user)
{
    (void)context;
    return found.session_del(server, client, user);
}

static uint32_t
windows_buffer_free(void *context, void *buffer)
{
    (void)context;
    return found.buffer_free(buffer);
}

static const netapi windows_netapi = {
    .context = NULL,
    .session_enum = windows_session_enum,
    .session_get_info = windows_session_get_info,
    .session_del = windows_session_del,
    .buffer_free = windows_buffer_free,
};

/* Loads the library by its full name, and what it loads in turn from System32 alone. In the import
   table it would be looked for beside this module, beside the program and in the folders that other
   packages have added, before System32: it is none of Windows' KnownDLLs. A bare name, wherever it
   is looked for, would find a netapi32.dll that somebody else has loaded already. */
static HMODULE
load_library(void)
{
    static const WCHAR name[] = L"\\netapi32.dll";
    WCHAR path[MAX_PATH + sizeof(name) / sizeof(name[0])];
    const UINT length = GetSystemDirectoryW(path, MAX_PATH);
    if (length == 0 || length >= MAX_PATH) {
        return NULL;
    }
    memcpy(path + length, name, sizeof(name));
    return LoadLibraryExW(path, NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
}

/* Puts the address of a function where the pointer to it is. */
static bool
find(HMODULE library, const char *name, void *pointer)
{
    const FARPROC address = GetProcAddress(library, name);
    memcpy(pointer, &address, sizeof(address));
    return address != NULL;
}

/* False, and GetLastError() says why, unless the library is there with all its functions. It stays
   loaded: buffers of pages are given back to it for as long as the process lives. */
static BOOL CALLBACK
find_functions(INIT_ONCE *once, void *parameter, void **context)
{
    (void)once;
    (void)parameter;
    (void)context;
    const HMODULE library = load_library();
    if (library == NULL) {
        return FALSE;
    }
    return find(library, "NetSessionEnum", &found.session_enum)
        && find(library, "NetSessionGetInfo", &found.session_get_info)
        && find(library, "NetSessionDel", &found.session_del)
        && find(library, "NetApiBufferFree", &found.buffer_free);
}

const netapi *
netapi_windows(void)
{
    return InitOnceExecuteOnce(&loaded, find_functions, NULL, NULL) ? &windows_netapi : NULL;
}

#endif
