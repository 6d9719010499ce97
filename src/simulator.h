/* A simulated server: the session functions over a table in memory, with the documented
   behaviour ([MS-SRVS] 3.1.4.5 and 3.1.4.6). It is no server and proves nothing of one; tests
   and `--demo` run on it, and it builds into a stand-in netapi32.dll for the Windows tests.
   Needs no Python. */

#ifndef NETSESSION_SIMULATOR_H
#define NETSESSION_SIMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netapi.h"
#include "session_level.h"

typedef struct simulator simulator;

/* One session, every field of SESSION_INFO_502. Strings are NULL or terminated. */
typedef struct {
    const utf16_unit *strings[SESSION_FIELDS]; /* by field_id; only string fields are used */
    uint32_t dwords[SESSION_FIELDS];           /* by field_id; only DWORD fields are used */
} simulator_row;

typedef enum {
    SIMULATOR_ENUM,
    SIMULATOR_GET_INFO,
    SIMULATOR_DEL,
    SIMULATOR_FUNCTIONS, /* how many there are */
} simulator_function;

/* A simulator with `made_up` sessions, computed from their number when asked for and never
   stored, so that a million cost nothing. A reply holds at most `page_entries` entries, 0 for no
   limit of its own. NULL when out of memory. */
simulator *simulator_new(uint32_t made_up, uint32_t page_entries);
void simulator_free(simulator *sim);

/* Appends a copy of a session after those made up. False when out of memory or numbers, and once
   sessions have been deleted. */
bool simulator_add(simulator *sim, const simulator_row *row);

/* The sessions not deleted yet. */
uint32_t simulator_count(simulator *sim);

/* Refuse `level` with `status` (0: serve it again). */
void simulator_refuse_level(simulator *sim, const session_level *level, uint32_t status);

/* After `after` more calls of `function`, answer `times` calls with `status` only
   (UINT32_MAX: for ever). Such an answer leaves a buffer behind, for the caller to free. */
void simulator_fail(simulator *sim, simulator_function function, uint32_t status, uint32_t after,
                    uint32_t times);

/* Wait so long before every answer. */
void simulator_delay(simulator *sim, uint32_t milliseconds);

/* Hand out one prepared buffer again and again for the same question, so that measurements show
   the caller's cost and not the simulator's. */
void simulator_prepare(simulator *sim, bool on);

/* Misbehave: say ERROR_MORE_DATA for ever. With `moving` the resume handle moves all the same. */
void simulator_stick(simulator *sim, bool on, bool moving);

/* Buffers handed out and not freed yet, frees of what was never handed out, calls so far. */
size_t simulator_outstanding(simulator *sim);
size_t simulator_bad_frees(simulator *sim);
size_t simulator_calls(simulator *sim, simulator_function function);

/* The table of entry points; its context is `sim`. */
netapi simulator_netapi(simulator *sim);

#endif
