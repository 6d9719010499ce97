/* The entry points of netapi32.dll that this package uses, as one table of functions, so that
   the real library and the simulator are called the same way. */

#ifndef NETSESSION_NETAPI_H
#define NETSESSION_NETAPI_H

#include <stdint.h>

#include "utf16.h"

/* NET_API_STATUS values that the paging loop must tell apart, and that of a name that is too long
   ([MS-SRVS] 2.2.2.10). */
enum {
    NET_SUCCESS = 0,
    NET_INVALID_PARAMETER = 87,
    NET_MORE_DATA = 234,
    NET_BUF_TOO_SMALL = 2123,
};

#define MAX_PREFERRED_LENGTH_ALL 0xFFFFFFFFu /* MAX_PREFERRED_LENGTH of lmcons.h: everything */

/* Parameters as documented for NetSessionEnum, NetSessionGetInfo, NetSessionDel and
   NetApiBufferFree; `context` is what the table's maker put there. Names are NULL or terminated.
   Callers initialise every output, and free any buffer they are left with, whatever the status. */
typedef struct {
    void *context;
    uint32_t (*session_enum)(void *context, const utf16_unit *server, const utf16_unit *client,
                             const utf16_unit *user, uint32_t level, unsigned char **buffer,
                             uint32_t preferred_length, uint32_t *entries_read,
                             uint32_t *total_entries, uint32_t *resume_handle);
    uint32_t (*session_get_info)(void *context, const utf16_unit *server, const utf16_unit *client,
                                 const utf16_unit *user, uint32_t level, unsigned char **buffer);
    uint32_t (*session_del)(void *context, const utf16_unit *server, const utf16_unit *client,
                            const utf16_unit *user);
    uint32_t (*buffer_free)(void *context, void *buffer);
} netapi;

/* The name of the capsules that carry a `const netapi *` between our modules. The capsule keeps
   whatever its table needs alive. */
#define NETAPI_CAPSULE "netsession.netapi"

/* The real netapi32.dll, loaded by the first call; NULL where there is none, on Windows with
   GetLastError() set. */
const netapi *netapi_windows(void);

#endif
