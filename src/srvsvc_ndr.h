/* NetrSessionEnum (opnum 12) and NetrSessionDel (opnum 13) of [MS-SRVS], marshalled and
   unmarshalled as NDR 2.0, little-endian ([C706] 14, [MS-RPCE] 2.2.5). Needs no Python, so that
   it can be fuzzed alone and run without the GIL. */

#ifndef NETSESSION_SRVSVC_NDR_H
#define NETSESSION_SRVSVC_NDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session_level.h"

enum {
    OPNUM_SESSION_ENUM = 12,
    OPNUM_SESSION_DEL = 13,
};

/* The arguments of NetrSessionEnum. A name is NULL where NULL is meant. */
typedef struct {
    const utf16_unit *server, *client, *user;
    uint32_t level;
    uint32_t preferred_length;
    uint32_t resume_handle;
    bool has_resume_handle; /* false: a NULL pointer is sent */
} srvsvc_enum_request;

/* Writes the request to `out` and returns its size in bytes. With NULL it only measures. */
size_t srvsvc_encode_enum(const srvsvc_enum_request *request, unsigned char *out);
size_t srvsvc_encode_del(const utf16_unit *server, const utf16_unit *client,
                         const utf16_unit *user, unsigned char *out);

/* Why a stub was refused. `problem` is NULL when memory ran out instead. */
typedef struct {
    const char *field; /* as [MS-SRVS] or the record names it */
    const char *problem;
    size_t offset; /* byte of the stub */
} srvsvc_error;

/* Unmarshals a reply. On success 0, and `reply->entries`, if not NULL, is an array that the
   caller frees with free(); its strings point into `stub`, which must outlive them and be
   aligned to 4 bytes. On failure -1 with `error` filled and nothing to free. */
int srvsvc_decode_enum(const unsigned char *stub, size_t size, session_enum_reply *reply,
                       srvsvc_error *error);
int srvsvc_decode_del(const unsigned char *stub, size_t size, uint32_t *status,
                      srvsvc_error *error);

#endif
