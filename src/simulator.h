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

/* Which of a user's sessions from one client are meant. They are listed as they connected. */
typedef enum {
    SIMULATOR_EVERY,
    SIMULATOR_FIRST,
    SIMULATOR_LAST,
} simulator_which;

/* What becomes of a session's DWORD fields: those `given` get a new value. */
typedef struct {
    bool given[SESSION_FIELDS];      /* by field_id; only DWORD fields are used */
    uint32_t dwords[SESSION_FIELDS]; /* likewise */
} simulator_change;

/* A simulator with `made_up` sessions, those of the numbers from `first` on, computed when asked
   for and stored only once they change, so that a million cost nothing. A reply holds at most
   `page_entries` entries, 0 for no limit of its own. NULL when out of memory. */
simulator *simulator_new(uint32_t first, uint32_t made_up, uint32_t page_entries);
void simulator_free(simulator *sim);

/* Appends a copy of a session; its times grow from now on. False when out of memory or numbers. */
bool simulator_add(simulator *sim, const simulator_row *row);

/* Ends sessions of exactly this user from this client, regardless of case and of the client's two
   backslashes; a name that is NULL is an empty one here, and means no other. `*found` becomes how
   many. False when out of memory: nothing is done then. */
bool simulator_end(simulator *sim, const utf16_unit *client, const utf16_unit *user,
                   simulator_which which, uint32_t *found);

/* Changes them likewise. One whose idle time is not given was used just now: 0, unless unknown. */
bool simulator_change_sessions(simulator *sim, const utf16_unit *client, const utf16_unit *user,
                               simulator_which which, const simulator_change *change,
                               uint32_t *found);

/* Moves the clock by which the sessions' times grow; it does not move by itself. A time that is
   unknown, 0xFFFFFFFF, stays so, and none grows into that. */
void simulator_advance(simulator *sim, uint64_t milliseconds);

/* The sessions not deleted yet. */
uint32_t simulator_count(simulator *sim);

/* Refuse `level` with `status` (0: serve it again). */
void simulator_refuse_level(simulator *sim, const session_level *level, uint32_t status);

/* After `after` more calls of `function`, answer `times` calls with `status` only
   (UINT32_MAX: for ever). Such an answer leaves a buffer behind, for the caller to free. */
void simulator_fail(simulator *sim, simulator_function function, uint32_t status, uint32_t after,
                    uint32_t times);

/* Wait so long before every answer; no signal ends it sooner. */
void simulator_delay(simulator *sim, uint32_t milliseconds);

/* From now on answer nothing: each call gets ERROR_BAD_NETPATH after so long (UINT32_MAX: never),
   as from a host that is down. */
void simulator_hang(simulator *sim, uint32_t milliseconds);

/* Answer again; the calls that hang get ERROR_BAD_NETPATH now. */
void simulator_release(simulator *sim);

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
