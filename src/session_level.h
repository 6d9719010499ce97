/* The SESSION_INFO_x structures ([MS-SRVS] 2.2.4.11 to 15, lmshare.h) and the one table that
   describes them. Everything that knows a level's fields reads that table. Needs no Python. */

#ifndef NETSESSION_SESSION_LEVEL_H
#define NETSESSION_SESSION_LEVEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "utf16.h"

/* Native layout, as NetSessionEnum returns it; netapi.c asserts that lmshare.h agrees.
   Strings belong to whoever owns the buffer and may be NULL. */
typedef struct {
    const utf16_unit *cname;
} session_info_0;

typedef struct {
    const utf16_unit *cname;
    const utf16_unit *username;
    uint32_t num_opens;
    uint32_t time;
    uint32_t idle_time;
    uint32_t user_flags;
} session_info_1;

typedef struct {
    const utf16_unit *cname;
    const utf16_unit *username;
    uint32_t num_opens;
    uint32_t time;
    uint32_t idle_time;
    uint32_t user_flags;
    const utf16_unit *cltype_name;
} session_info_2;

typedef struct {
    const utf16_unit *cname;
    const utf16_unit *username;
    uint32_t time;
    uint32_t idle_time;
} session_info_10;

typedef struct {
    const utf16_unit *cname;
    const utf16_unit *username;
    uint32_t num_opens;
    uint32_t time;
    uint32_t idle_time;
    uint32_t user_flags;
    const utf16_unit *cltype_name;
    const utf16_unit *transport;
} session_info_502;

typedef enum {
    FIELD_STRING, /* LMSTR: pointer to UTF-16, may be NULL */
    FIELD_DWORD,
} field_kind;

/* The fields of all levels, in the order of SESSION_INFO_502. */
typedef enum {
    FIELD_CLIENT_NAME,
    FIELD_USER_NAME,
    FIELD_NUM_OPENS,
    FIELD_ACTIVE_TIME,
    FIELD_IDLE_TIME,
    FIELD_USER_FLAGS,
    FIELD_CLIENT_TYPE,
    FIELD_TRANSPORT,
    SESSION_FIELDS, /* how many there are */
} field_id;

typedef struct {
    field_id id;
    const char *name; /* the record's attribute and the key of pywin32's dict */
    field_kind kind;
    size_t offset; /* in the structure */
} session_field;

typedef struct {
    uint32_t number;         /* 0, 1, 2, 10, 502 */
    const char *record_name; /* the class in netsession.records */
    size_t size;             /* of the structure in memory, bytes */
    size_t wire_size;        /* of its fixed part in NDR20: four bytes a field */
    int field_count;
    session_field fields[SESSION_FIELDS];
} session_level;

#define SESSION_LEVELS 5

extern const session_level session_levels[SESSION_LEVELS];

/* The level's row of the table, or NULL where there is no such level. */
const session_level *session_level_find(uint32_t number);

/* The level's field of that id, or NULL where it lacks it. */
const session_field *session_level_field(const session_level *level, field_id id);

/* The index of a row in the table: what per-level state of other modules is kept by. */
static inline size_t
session_level_index(const session_level *level)
{
    return (size_t)(level - session_levels);
}

static inline const utf16_unit *
session_info_string(const unsigned char *entry, const session_field *field)
{
    return *(const utf16_unit *const *)(const void *)(entry + field->offset);
}

static inline uint32_t
session_info_dword(const unsigned char *entry, const session_field *field)
{
    return *(const uint32_t *)(const void *)(entry + field->offset);
}

/* One reply of NetSessionEnum, from whatever backend. */
typedef struct {
    const session_level *level; /* NULL where the reply has no container */
    unsigned char *entries;     /* SESSION_INFO_x array; who frees it depends on the backend */
    size_t count;
    uint32_t status;
    uint32_t total_entries;
    uint32_t resume_handle;
    bool has_resume_handle;
} session_enum_reply;

#endif
