/* Which columns Arrow tables of sessions have, and where the values of each lie. Needs no Python. */

#ifndef NETSESSION_ARROW_TABLE_H
#define NETSESSION_ARROW_TABLE_H

#include "session_level.h"

/* How a column's values lie in memory, and what they are in Arrow. */
typedef enum {
    ARROW_TEXT,      /* const utf16_unit *, null where NULL: utf8; a lone surrogate is U+FFFD */
    ARROW_UINT32,    /* uint32_t */
    ARROW_DURATION,  /* uint32_t: duration[s], null for 0xFFFFFFFF (the server did not know) */
    ARROW_TIMESTAMP, /* int64_t since 1970: timestamp[us, UTC] */
    ARROW_UINT16,    /* uint16_t */
} arrow_kind;

typedef struct {
    const char *name;
    arrow_kind kind;
    bool nullable;
    const unsigned char *first; /* the value of the first row; NULL: all rows are null */
    size_t step; /* from there to the next row's, bytes; 0: all rows have the same */
} arrow_field;

/* A fleet's columns beside those of the sessions: server, collected_at and level. */
#define ARROW_FLEET_EXTRA 3
#define ARROW_COLUMNS (SESSION_FIELDS + ARROW_FLEET_EXTRA)

typedef struct {
    const session_level *level; /* that the metadata tells; NULL: there is none */
    int column_count;
    arrow_field columns[ARROW_COLUMNS];
} arrow_table;

/* What a fleet's rows say beside the fields of their level. */
typedef struct {
    const utf16_unit *server;
    int64_t collected_at; /* microseconds since 1970, UTC */
    uint16_t level;
} fleet_origin;

/* The fields of a level in the order of the level table, with the values of its structures from
   `entries` on; NULL where there are none. `table` refers to them. */
void arrow_level_table(const session_level *level, const unsigned char *entries,
                       arrow_table *table);

/* The same columns whatever the level: server, collected_at, the fields of level 502, level. Those
   that `level` lacks are null in every row. `table` refers to `origin` too, which may be NULL
   where there are no rows. */
void arrow_fleet_table(const fleet_origin *origin, const session_level *level,
                       const unsigned char *entries, arrow_table *table);

#endif
