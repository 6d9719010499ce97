#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L /* nanosleep, clock_gettime */
#endif

#include "simulator.h"

#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <errno.h>
#include <pthread.h>
#include <time.h>
#endif

#include "upcase.h"

/* Statuses of the session functions, [MS-SRVS] 2.2.2.10 */
enum {
    NET_NOT_ENOUGH_MEMORY = 8,
    NET_BAD_NETPATH = 53,
    NET_INVALID_LEVEL = 124,
    NET_USER_NOT_FOUND = 2221,
    NET_CLIENT_NAME_NOT_FOUND = 2312,
    NET_INVALID_COMPUTER = 2351,
};

/* [MS-SRVS] 3.1.4.5: names count at most 1,024 units with their terminator. */
#define MAX_NAME_UNITS 1024

/* --- lock and waiting ------------------------------------------------------------------- */

#define FOR_EVER UINT32_MAX

#ifdef _WIN32
typedef SRWLOCK sim_lock;
typedef CONDITION_VARIABLE sim_event;
typedef ULONGLONG sim_moment; /* milliseconds since the machine started */
static bool
lock_init(sim_lock *lock, sim_event *event)
{
    InitializeSRWLock(lock);
    InitializeConditionVariable(event);
    return true;
}
static void
lock_clear(sim_lock *lock, sim_event *event)
{
    (void)lock;
    (void)event;
}
static void
lock_take(sim_lock *lock)
{
    AcquireSRWLockExclusive(lock);
}
static void
lock_drop(sim_lock *lock)
{
    ReleaseSRWLockExclusive(lock);
}
static void
sleep_milliseconds(uint32_t milliseconds)
{
    Sleep(milliseconds);
}
static sim_moment
moment_in(uint32_t milliseconds)
{
    return GetTickCount64() + milliseconds;
}
/* Waits without the lock for the event, or until `end`: false once that has passed. */
static bool
event_wait(sim_event *event, sim_lock *lock, bool for_ever, sim_moment end)
{
    ULONGLONG now = GetTickCount64();
    DWORD left = INFINITE;
    if (!for_ever) {
        if (now >= end) {
            return false;
        }
        left = (DWORD)(end - now);
    }
    (void)SleepConditionVariableSRW(event, lock, left, 0);
    return true;
}
static void
event_tell(sim_event *event)
{
    WakeAllConditionVariable(event);
}
#else
#ifdef __APPLE__
#define EVENT_CLOCK CLOCK_REALTIME /* there is no pthread_condattr_setclock() */
#else
#define EVENT_CLOCK CLOCK_MONOTONIC
#endif
typedef pthread_mutex_t sim_lock;
typedef pthread_cond_t sim_event;
typedef struct timespec sim_moment;
static bool
event_init(sim_event *event)
{
#ifdef __APPLE__
    return pthread_cond_init(event, NULL) == 0;
#else
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool made = pthread_condattr_setclock(&attributes, EVENT_CLOCK) == 0
             && pthread_cond_init(event, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return made;
#endif
}
static bool
lock_init(sim_lock *lock, sim_event *event)
{
    if (pthread_mutex_init(lock, NULL) != 0) {
        return false;
    }
    if (!event_init(event)) {
        (void)pthread_mutex_destroy(lock);
        return false;
    }
    return true;
}
static void
lock_clear(sim_lock *lock, sim_event *event)
{
    (void)pthread_cond_destroy(event);
    (void)pthread_mutex_destroy(lock);
}
static void
lock_take(sim_lock *lock)
{
    (void)pthread_mutex_lock(lock);
}
static void
lock_drop(sim_lock *lock)
{
    (void)pthread_mutex_unlock(lock);
}
static void
sleep_milliseconds(uint32_t milliseconds)
{
    struct timespec wait = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000L};
    while (nanosleep(&wait, &wait) != 0 && errno == EINTR) {
        /* A signal: no function of netapi32.dll comes back for that. */
    }
}
static sim_moment
moment_in(uint32_t milliseconds)
{
    struct timespec moment = {0, 0};
    (void)clock_gettime(EVENT_CLOCK, &moment);
    moment.tv_sec += (time_t)(milliseconds / 1000);
    moment.tv_nsec += (long)(milliseconds % 1000) * 1000000L;
    if (moment.tv_nsec >= 1000000000L) {
        moment.tv_nsec -= 1000000000L;
        moment.tv_sec++;
    }
    return moment;
}
/* Waits without the lock for the event, or until `end`: false once that has passed. */
static bool
event_wait(sim_event *event, sim_lock *lock, bool for_ever, sim_moment end)
{
    if (for_ever) {
        return pthread_cond_wait(event, lock) == 0;
    }
    return pthread_cond_timedwait(event, lock, &end) == 0;
}
static void
event_tell(sim_event *event)
{
    (void)pthread_cond_broadcast(event);
}
#endif

/* --- state ------------------------------------------------------------------------------ */

/* Precedes every buffer that is handed out, so that each free can be checked. */
typedef struct block {
    struct block *next;
    size_t handed_out;                       /* how often; a prepared block more than once */
    bool prepared;                           /* kept for the next call with the same question */
    uint32_t level, start, preferred_length; /* the question */
    uint32_t entries_read, total_entries, resume; /* and the rest of its answer */
    uint32_t status;
} block;

/* The size of a block's head, rounded so that the structures after it are aligned. */
#define BLOCK_HEAD ((sizeof(block) + 15u) & ~(size_t)15u)

typedef struct {
    uint32_t status, after, times;
} failure;

/* A session that is not as it was made up. */
typedef struct {
    simulator_row row;                 /* owns its strings */
    uint64_t active_since, idle_since; /* what the clock showed when its times were those */
} stored;

struct simulator {
    sim_lock lock;   /* guards all that follows but for `event` */
    sim_event event; /* calls that hang are released */
    uint32_t first, made_up, added, page_entries;
    stored **changed;  /* one a session made up: NULL while as it was made up; NULL without any */
    stored **appended; /* one a session added */
    uint32_t appended_allocated;
    stored ended; /* what both have in the place of a session that is no more */
    uint32_t ended_count;
    uint64_t clock; /* milliseconds */
    uint32_t refused[SESSION_LEVELS];
    failure failures[SIMULATOR_FUNCTIONS];
    size_t calls[SIMULATOR_FUNCTIONS];
    uint32_t delay;
    bool hangs;
    uint32_t hang; /* for so long, milliseconds */
    size_t releases;
    bool prepare, stuck, stuck_moving;
    block *blocks;
    size_t bad_frees;
};

static size_t
units_length(const utf16_unit *units)
{
    size_t length = 0;
    while (units[length] != 0) {
        length++;
    }
    return length;
}

static size_t
units_size(const utf16_unit *units)
{
    return units == NULL ? 0 : (units_length(units) + 1) * sizeof(utf16_unit);
}

static uint32_t
session_total(const simulator *sim)
{
    return sim->made_up + sim->added;
}

/* --- sessions made up ------------------------------------------------------------------- */

#define U16(literal) ((const utf16_unit *)(u##literal))

/* Room for the names of one session made up. */
typedef struct {
    utf16_unit client[32], user[40];
} made_up_names;

static utf16_unit *
put_text(utf16_unit *out, const utf16_unit *text)
{
    size_t length = units_length(text);
    memcpy(out, text, (length + 1) * sizeof(utf16_unit));
    return out + length;
}

/* Digits of `number`, at least `width` of them. */
static utf16_unit *
put_number(utf16_unit *out, uint32_t number, uint32_t base, int width)
{
    char digits[12];
    int count = 0;
    while (number != 0 || count < width) {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    }
    while (count > 0) {
        *out++ = (utf16_unit)digits[--count];
    }
    *out = 0;
    return out;
}

/* A well-mixed number of 32 bits from an index: the same everywhere and always. */
static uint32_t
mix(uint32_t value)
{
    value ^= value >> 16;
    value *= 0x7FEB352Du;
    value ^= value >> 15;
    value *= 0x846CA68Bu;
    return value ^ (value >> 16);
}

static void
make_up_client(utf16_unit *out, uint32_t client)
{
    out = put_text(out, U16("\\\\"));
    switch (client % 8) {
    case 5:
    case 6:
        (void)put_number(put_text(out, U16("WS")), client, 10, 5);
        break;
    case 4:
        (void)put_text(put_number(put_text(out, U16("[2001:db8::")), client & 0xFFFF, 16, 1),
                       U16("]"));
        break;
    default:
        out = put_number(put_text(out, U16("10.")), (client >> 16) & 255, 10, 1);
        out = put_number(put_text(out, U16(".")), (client >> 8) & 255, 10, 1);
        (void)put_number(put_text(out, U16(".")), client & 255, 10, 1);
    }
}

static void
make_up_user(utf16_unit *out, uint32_t index)
{
    static const utf16_unit *const given[16] = {
        U16("alice"), U16("bob"),   U16("carol"),    U16("dave"),
        U16("erin"),  U16("frank"), U16("grace"),    U16("heidi"),
        U16("ivan"),  U16("judy"),  U16("karl"),     U16("lena"),
        U16("mike"),  U16("nina"),  U16("zo\u00EB"), U16("\u5C71\u7530"),
    };
    uint32_t person = mix(index) % 4096;
    if (index % 97 == 13) {
        (void)put_text(out, U16("")); /* anonymous */
    }
    else if (index % 101 == 42) {
        (void)put_text(out, U16("Guest"));
    }
    else if (index % 50 == 7) {
        (void)put_text(put_number(put_text(out, U16("WS")), index, 10, 5), U16("$"));
    }
    else {
        (void)put_number(put_text(put_text(out, given[person % 16]), U16(".")), person / 16, 10,
                         1);
    }
}

/* The session of that number. Every fourth one comes from the client of the one before, as on a
   terminal server. tests/made_up.py says the same in Python. */
static void
make_up(uint32_t index, made_up_names *names, simulator_row *row)
{
    uint32_t client = index % 4 == 3 ? index - 1 : index;
    uint32_t random = mix(index + 0x9E3779B9u);
    bool anonymous = index % 97 == 13;
    bool guest = !anonymous && index % 101 == 42;

    make_up_client(names->client, client);
    make_up_user(names->user, index);
    memset(row, 0, sizeof(*row)); /* whoever copies it copies what is no string of it too */
    row->strings[FIELD_CLIENT_NAME] = names->client;
    row->strings[FIELD_USER_NAME] = names->user;
    row->strings[FIELD_CLIENT_TYPE]
        = index % 20 == 19 ? U16("Windows 2002 Service Pack 2") : U16("");
    row->strings[FIELD_TRANSPORT] = client % 8 == 5 || client % 8 == 6
                                      ? U16("\\Device\\NetBT_Tcpip_{2C9725F4-151A-11DC}")
                                      : U16("\\Device\\NetbiosSmb");
    row->dwords[FIELD_NUM_OPENS] = random % 40;
    row->dwords[FIELD_ACTIVE_TIME] = (random >> 3) % 864000; /* up to ten days */
    row->dwords[FIELD_IDLE_TIME] = (random >> 7) % (row->dwords[FIELD_ACTIVE_TIME] + 1);
    row->dwords[FIELD_USER_FLAGS] = guest ? 1 : 0;
    if (index % 1000 == 999) {
        row->dwords[FIELD_ACTIVE_TIME] = UINT32_MAX; /* as Samba says of a fresh session */
        row->dwords[FIELD_IDLE_TIME] = 0;
    }
}

/* --- sessions stored -------------------------------------------------------------------- */

/* Where session `index` is, or would be, stored; NULL where none has been and it is made up. */
static stored **
place_of(const simulator *sim, uint32_t index)
{
    if (index >= sim->made_up) {
        return &sim->appended[index - sim->made_up];
    }
    return sim->changed == NULL ? NULL : &sim->changed[index];
}

static bool
has_ended(const simulator *sim, uint32_t index)
{
    stored **place = place_of(sim, index);
    return place != NULL && *place == &sim->ended;
}

/* A time that was `seconds` when the clock showed `since`. */
static uint32_t
aged(const simulator *sim, uint32_t seconds, uint64_t since)
{
    const uint32_t longest = UINT32_MAX - 1; /* beyond is: unknown */
    uint64_t passed = (sim->clock - since) / 1000;
    if (seconds == UINT32_MAX || passed == 0) {
        return seconds;
    }
    return passed > longest - seconds ? longest : seconds + (uint32_t)passed;
}

/* Fills `row` with session `index`; made-up names live in `names`, which must outlive it. */
static void
get_row(const simulator *sim, uint32_t index, made_up_names *names, simulator_row *row)
{
    stored **place = place_of(sim, index);
    uint64_t active_since = 0, idle_since = 0;
    if (place != NULL && *place != NULL) {
        *row = (*place)->row;
        active_since = (*place)->active_since;
        idle_since = (*place)->idle_since;
    }
    else {
        make_up(sim->first + index, names, row);
    }
    row->dwords[FIELD_ACTIVE_TIME] = aged(sim, row->dwords[FIELD_ACTIVE_TIME], active_since);
    row->dwords[FIELD_IDLE_TIME] = aged(sim, row->dwords[FIELD_IDLE_TIME], idle_since);
}

static void
row_clear(simulator_row *row)
{
    for (int field = 0; field < SESSION_FIELDS; field++) {
        free((void *)(uintptr_t)row->strings[field]);
    }
}

static bool
row_copy(simulator_row *to, const simulator_row *from)
{
    *to = *from;
    memset(to->strings, 0, sizeof(to->strings));
    for (int field = 0; field < SESSION_FIELDS; field++) {
        size_t size = units_size(from->strings[field]);
        if (size == 0) {
            continue;
        }
        void *copy = malloc(size);
        if (copy == NULL) {
            row_clear(to);
            return false;
        }
        memcpy(copy, from->strings[field], size);
        to->strings[field] = copy;
    }
    return true;
}

/* A copy of `row`, whose times were those when the clock showed `since`; NULL when out of memory.
 */
static stored *
stored_new(const simulator_row *row, uint64_t since)
{
    stored *made = malloc(sizeof(*made));
    if (made != NULL && !row_copy(&made->row, row)) {
        free(made);
        return NULL;
    }
    if (made != NULL) {
        made->active_since = since;
        made->idle_since = since;
    }
    return made;
}

static void
stored_free(const simulator *sim, stored *session)
{
    if (session != NULL && session != &sim->ended) {
        row_clear(&session->row);
        free(session);
    }
}

/* Room for what becomes of the sessions made up. False when out of memory. */
static bool
prepare_to_change(simulator *sim)
{
    if (sim->changed == NULL && sim->made_up != 0) {
        sim->changed = calloc(sim->made_up, sizeof(*sim->changed));
        return sim->changed != NULL;
    }
    return true;
}

/* Ends session `index`, after prepare_to_change(). */
static void
end_session(simulator *sim, uint32_t index)
{
    stored **place = place_of(sim, index);
    stored_free(sim, *place);
    *place = &sim->ended;
    sim->ended_count++;
}

/* Session `index` as one that can be changed, after prepare_to_change(); NULL when out of memory.
 */
static stored *
own_session(simulator *sim, uint32_t index)
{
    stored **place = place_of(sim, index);
    if (*place == NULL) {
        made_up_names names;
        simulator_row row;
        make_up(sim->first + index, &names, &row);
        *place = stored_new(&row, 0); /* they were there when the clock began */
    }
    return *place;
}

static bool
make_room(simulator *sim)
{
    if (session_total(sim) == UINT32_MAX) {
        return false;
    }
    if (sim->added < sim->appended_allocated) {
        return true;
    }
    if (sim->appended_allocated > UINT32_MAX / 4) {
        return false;
    }
    uint32_t allocated = 2 * sim->appended_allocated + 8;
    stored **appended = realloc(sim->appended, (size_t)allocated * sizeof(stored *));
    if (appended == NULL) {
        return false;
    }
    sim->appended = appended;
    sim->appended_allocated = allocated;
    return true;
}

/* --- making and telling ------------------------------------------------------------------ */

simulator *
simulator_new(uint32_t first, uint32_t made_up, uint32_t page_entries)
{
    simulator *sim = calloc(1, sizeof(*sim));
    if (sim == NULL || !lock_init(&sim->lock, &sim->event)) {
        free(sim);
        return NULL;
    }
    sim->first = first;
    sim->made_up = made_up;
    sim->page_entries = page_entries;
    return sim;
}

void
simulator_free(simulator *sim)
{
    if (sim == NULL) {
        return;
    }
    for (uint32_t i = 0; i < sim->added; i++) {
        stored_free(sim, sim->appended[i]);
    }
    for (uint32_t i = 0; sim->changed != NULL && i < sim->made_up; i++) {
        stored_free(sim, sim->changed[i]);
    }
    while (sim->blocks != NULL) {
        block *next = sim->blocks->next;
        free(sim->blocks);
        sim->blocks = next;
    }
    free(sim->appended);
    free(sim->changed);
    lock_clear(&sim->lock, &sim->event);
    free(sim);
}

bool
simulator_add(simulator *sim, const simulator_row *row)
{
    bool added = false;
    lock_take(&sim->lock);
    if (make_room(sim)) {
        stored *session = stored_new(row, sim->clock);
        if (session != NULL) {
            sim->appended[sim->added++] = session;
            added = true;
        }
    }
    lock_drop(&sim->lock);
    return added;
}

uint32_t
simulator_count(simulator *sim)
{
    lock_take(&sim->lock);
    uint32_t count = session_total(sim) - sim->ended_count;
    lock_drop(&sim->lock);
    return count;
}

void
simulator_refuse_level(simulator *sim, const session_level *level, uint32_t status)
{
    lock_take(&sim->lock);
    sim->refused[session_level_index(level)] = status;
    lock_drop(&sim->lock);
}

void
simulator_fail(simulator *sim, simulator_function function, uint32_t status, uint32_t after,
               uint32_t times)
{
    lock_take(&sim->lock);
    sim->failures[function] = (failure){status, after, times};
    lock_drop(&sim->lock);
}

void
simulator_delay(simulator *sim, uint32_t milliseconds)
{
    lock_take(&sim->lock);
    sim->delay = milliseconds;
    lock_drop(&sim->lock);
}

void
simulator_hang(simulator *sim, uint32_t milliseconds)
{
    lock_take(&sim->lock);
    sim->hangs = true;
    sim->hang = milliseconds;
    lock_drop(&sim->lock);
}

void
simulator_release(simulator *sim)
{
    lock_take(&sim->lock);
    sim->hangs = false;
    sim->releases++;
    event_tell(&sim->event);
    lock_drop(&sim->lock);
}

void
simulator_advance(simulator *sim, uint64_t milliseconds)
{
    lock_take(&sim->lock);
    bool fits = milliseconds <= UINT64_MAX - sim->clock;
    sim->clock = fits ? sim->clock + milliseconds : UINT64_MAX;
    lock_drop(&sim->lock);
}

uint64_t
simulator_clock(simulator *sim)
{
    lock_take(&sim->lock);
    uint64_t clock = sim->clock;
    lock_drop(&sim->lock);
    return clock;
}

void
simulator_prepare(simulator *sim, bool on)
{
    lock_take(&sim->lock);
    sim->prepare = on;
    lock_drop(&sim->lock);
}

void
simulator_stick(simulator *sim, bool on, bool moving)
{
    lock_take(&sim->lock);
    sim->stuck = on;
    sim->stuck_moving = moving;
    lock_drop(&sim->lock);
}

size_t
simulator_outstanding(simulator *sim)
{
    size_t outstanding = 0;
    lock_take(&sim->lock);
    for (const block *at = sim->blocks; at != NULL; at = at->next) {
        outstanding += at->handed_out;
    }
    lock_drop(&sim->lock);
    return outstanding;
}

size_t
simulator_bad_frees(simulator *sim)
{
    lock_take(&sim->lock);
    size_t bad_frees = sim->bad_frees;
    lock_drop(&sim->lock);
    return bad_frees;
}

size_t
simulator_calls(simulator *sim, simulator_function function)
{
    lock_take(&sim->lock);
    size_t calls = sim->calls[function];
    lock_drop(&sim->lock);
    return calls;
}

/* --- what every function does first ------------------------------------------------------ */

/* Waits as a call to a host that is down does, without the lock meanwhile. */
static void
hang_call(simulator *sim)
{
    bool for_ever = sim->hang == FOR_EVER;
    sim_moment end = moment_in(sim->hang);
    size_t releases = sim->releases;
    while (releases == sim->releases && event_wait(&sim->event, &sim->lock, for_ever, end)) {
        /* It may return for no reason. */
    }
}

/* Counts the call, waits, takes the lock; a status that a test asked for, or 0. */
static uint32_t
begin_call(simulator *sim, simulator_function function)
{
    lock_take(&sim->lock);
    uint32_t delay = sim->delay;
    sim->calls[function]++;
    if (sim->hangs) {
        hang_call(sim);
        return NET_BAD_NETPATH;
    }
    if (delay != 0) {
        lock_drop(&sim->lock);
        sleep_milliseconds(delay);
        lock_take(&sim->lock);
    }
    failure *fail = &sim->failures[function];
    if (fail->times == 0) {
        return NET_SUCCESS;
    }
    if (fail->after > 0) {
        fail->after--;
        return NET_SUCCESS;
    }
    if (fail->times != UINT32_MAX) {
        fail->times--;
    }
    return fail->status;
}

static bool
is_given(const utf16_unit *name)
{
    return name != NULL && name[0] != 0; /* NULL and "" both mean: any */
}

static bool
has_unc_prefix(const utf16_unit *name)
{
    return name[0] == '\\' && name[1] == '\\';
}

static bool
is_too_long(const utf16_unit *name)
{
    return name != NULL && units_length(name) >= MAX_NAME_UNITS;
}

/* The checks of [MS-SRVS] 3.1.4.5 and 3.1.4.6; a client name without its two backslashes is
   answered by Enum and GetInfo with 2351, by Del with 2312. */
static uint32_t
check_names(const utf16_unit *client, const utf16_unit *user, uint32_t status_without_prefix)
{
    if (is_too_long(client) || is_too_long(user)) {
        return NET_INVALID_PARAMETER;
    }
    if (is_given(client) && !has_unc_prefix(client)) {
        return status_without_prefix;
    }
    return NET_SUCCESS;
}

/* --- matching ---------------------------------------------------------------------------- */

/* Regardless of case as Windows has it; the name of a session that has none matches nothing. */
static bool
same_name(const utf16_unit *left, const utf16_unit *right)
{
    return left != NULL && upcase_same(left, right, UPCASE_WINDOWS);
}

static const utf16_unit *
without_prefix(const utf16_unit *name)
{
    return name != NULL && has_unc_prefix(name) ? name + 2 : name;
}

static bool
client_matches(const simulator_row *row, const utf16_unit *client)
{
    return !is_given(client)
        || same_name(without_prefix(row->strings[FIELD_CLIENT_NAME]), without_prefix(client));
}

static bool
user_matches(const simulator_row *row, const utf16_unit *user)
{
    return !is_given(user) || same_name(row->strings[FIELD_USER_NAME], user);
}

/* The next session from `index` on that is there and matches both filters; the total when there
   is none. Fills `row` and `names` with it. */
static uint32_t
next_match(const simulator *sim, uint32_t index, const utf16_unit *client, const utf16_unit *user,
           made_up_names *names, simulator_row *row)
{
    uint32_t total = session_total(sim);
    for (; index < total; index++) {
        if (has_ended(sim, index)) {
            continue;
        }
        get_row(sim, index, names, row);
        if (client_matches(row, client) && user_matches(row, user)) {
            break;
        }
    }
    return index;
}

static uint32_t
count_matches(const simulator *sim, uint32_t index, const utf16_unit *client,
              const utf16_unit *user)
{
    made_up_names names;
    simulator_row row;
    uint32_t count = 0;
    if (sim->ended_count == 0 && !is_given(client) && !is_given(user)) {
        return session_total(sim) - index;
    }
    while ((index = next_match(sim, index, client, user, &names, &row)) < session_total(sim)) {
        count++;
        index++;
    }
    return count;
}

/* Why nothing matches: no session from that client, or none of that user. */
static uint32_t
status_of_no_match(const simulator *sim, const utf16_unit *client, const utf16_unit *user)
{
    if (is_given(client) && count_matches(sim, 0, client, NULL) == 0) {
        return NET_CLIENT_NAME_NOT_FOUND;
    }
    return is_given(user) ? NET_USER_NOT_FOUND : NET_SUCCESS;
}

/* --- buffers ----------------------------------------------------------------------------- */

static size_t
row_size(const session_level *level, const simulator_row *row)
{
    size_t size = level->size;
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        if (field->kind == FIELD_STRING) {
            size += units_size(row->strings[field->id]);
        }
    }
    return size;
}

/* Writes a session as a structure at `entry`, its strings from `strings` on; where they end. */
static unsigned char *
write_row(const session_level *level, const simulator_row *row, unsigned char *entry,
          unsigned char *strings)
{
    for (int i = 0; i < level->field_count; i++) {
        const session_field *field = &level->fields[i];
        if (field->kind == FIELD_DWORD) {
            memcpy(entry + field->offset, &row->dwords[field->id], sizeof(uint32_t));
            continue;
        }
        const utf16_unit *text = row->strings[field->id];
        size_t size = units_size(text);
        if (size != 0) {
            memcpy(strings, text, size);
            text = (const utf16_unit *)(const void *)strings;
        }
        memcpy(entry + field->offset, &text, sizeof(text));
        strings += size;
    }
    return strings;
}

static unsigned char *
block_data(block *at)
{
    return (unsigned char *)at + BLOCK_HEAD;
}

static block *
hand_out(simulator *sim, size_t size)
{
    block *made = malloc(BLOCK_HEAD + (size != 0 ? size : 1));
    if (made != NULL) {
        memset(made, 0, sizeof(*made));
        made->handed_out = 1;
        made->next = sim->blocks;
        sim->blocks = made;
    }
    return made;
}

/* What a failure that a test asked for leaves in the buffer pointer: something to free, since
   callers must free whatever they are left with. */
static unsigned char *
leftover(simulator *sim)
{
    block *made = hand_out(sim, 0);
    return made == NULL ? NULL : block_data(made);
}

static uint32_t
sim_buffer_free(void *context, void *buffer)
{
    simulator *sim = context;
    uint32_t status = NET_SUCCESS;
    if (buffer == NULL) {
        return NET_SUCCESS; /* as NetApiBufferFree does */
    }
    lock_take(&sim->lock);
    block **link = &sim->blocks;
    while (*link != NULL && block_data(*link) != buffer) {
        link = &(*link)->next;
    }
    block *found = *link;
    if (found == NULL || found->handed_out == 0) {
        sim->bad_frees++;
        status = NET_INVALID_PARAMETER;
    }
    else if (--found->handed_out == 0 && !found->prepared) {
        *link = found->next;
        free(found);
    }
    lock_drop(&sim->lock);
    return status;
}

/* --- NetSessionEnum ---------------------------------------------------------------------- */

/* The sessions that one reply holds. */
typedef struct {
    uint32_t first; /* where to look for the first of them */
    uint32_t count;
    uint32_t resume; /* where the next reply starts */
    size_t size;     /* of their structures and strings, bytes */
    bool more;
} sim_page;

/* Fills a page from `start` on: as many sessions as the preferred maximum length, which counts
   structures and strings, and the simulator's own limit allow. No session is ever cut. */
static sim_page
measure_page(const simulator *sim, const session_level *level, uint32_t start,
             const utf16_unit *client, const utf16_unit *user, uint32_t preferred_length)
{
    made_up_names names;
    simulator_row row;
    sim_page page = {.first = start, .resume = start};
    uint32_t index = start;
    while ((index = next_match(sim, index, client, user, &names, &row)) < session_total(sim)) {
        size_t size = page.size + row_size(level, &row);
        bool full = sim->page_entries != 0 && page.count == sim->page_entries;
        if (full || (preferred_length != MAX_PREFERRED_LENGTH_ALL && size > preferred_length)) {
            page.more = true;
            return page;
        }
        page.size = size;
        page.count++;
        page.resume = ++index;
    }
    page.resume = session_total(sim);
    return page;
}

static block *
write_page(simulator *sim, const session_level *level, const sim_page *page,
           const utf16_unit *client, const utf16_unit *user)
{
    made_up_names names;
    simulator_row row;
    block *made = hand_out(sim, page->size);
    if (made == NULL) {
        return NULL;
    }
    unsigned char *entry = block_data(made);
    unsigned char *strings = entry + page->count * level->size;
    uint32_t index = page->first;
    for (uint32_t i = 0; i < page->count; i++) {
        index = next_match(sim, index, client, user, &names, &row) + 1;
        strings = write_row(level, &row, entry, strings);
        entry += level->size;
    }
    return made;
}

static block *
find_prepared(simulator *sim, uint32_t level, uint32_t start, uint32_t preferred_length)
{
    for (block *at = sim->blocks; at != NULL; at = at->next) {
        if (at->prepared && at->level == level && at->start == start
            && at->preferred_length == preferred_length) {
            return at;
        }
    }
    return NULL;
}

/* One reply of NetSessionEnum as a block; NULL with `status` set where there is none. */
static block *
answer_enum(simulator *sim, const session_level *level, const utf16_unit *client,
            const utf16_unit *user, uint32_t start, uint32_t preferred_length, uint32_t *status)
{
    bool prepare = sim->prepare && !is_given(client) && !is_given(user);
    block *made = NULL;
    if (prepare && (made = find_prepared(sim, level->number, start, preferred_length)) != NULL) {
        made->handed_out++;
        *status = made->status;
        return made;
    }
    uint32_t total = count_matches(sim, start, client, user);
    if (total == 0 && (*status = status_of_no_match(sim, client, user)) != NET_SUCCESS
        && count_matches(sim, 0, client, user) == 0) {
        return NULL;
    }
    sim_page page = measure_page(sim, level, start, client, user, preferred_length);
    if (page.count == 0 && page.more) {
        *status = NET_BUF_TOO_SMALL; /* not even one fits, [MS-SRVS] 2.2.2.10 */
        return NULL;
    }
    made = write_page(sim, level, &page, client, user);
    if (made == NULL) {
        *status = NET_NOT_ENOUGH_MEMORY;
        return NULL;
    }
    *status = page.more ? NET_MORE_DATA : NET_SUCCESS;
    made->prepared = prepare;
    made->level = level->number;
    made->start = start;
    made->preferred_length = preferred_length;
    made->entries_read = page.count;
    made->total_entries = total;
    made->resume = page.resume;
    made->status = *status;
    return made;
}

static uint32_t
enum_checked(simulator *sim, const utf16_unit *client, const utf16_unit *user, uint32_t number,
             unsigned char **buffer, uint32_t preferred_length, uint32_t *entries_read,
             uint32_t *total_entries, uint32_t *resume_handle)
{
    const session_level *level = session_level_find(number);
    if (level == NULL) {
        return NET_INVALID_LEVEL;
    }
    if (sim->refused[session_level_index(level)] != NET_SUCCESS) {
        return sim->refused[session_level_index(level)];
    }
    uint32_t status = check_names(client, user, NET_INVALID_COMPUTER);
    if (status != NET_SUCCESS) {
        return status;
    }
    uint32_t start = resume_handle == NULL ? 0 : *resume_handle;
    if (sim->stuck) {
        /* "More", for ever, and nothing with it. */
        if (resume_handle != NULL && sim->stuck_moving) {
            *resume_handle = start + 1;
        }
        return NET_MORE_DATA;
    }
    if (start >= session_total(sim) && start != 0) {
        return NET_SUCCESS; /* [MS-SRVS] 3.1.4.5: a handle past the end is an empty success */
    }
    block *made = answer_enum(sim, level, client, user, start, preferred_length, &status);
    if (made != NULL) {
        *buffer = block_data(made);
        *entries_read = made->entries_read;
        *total_entries = made->total_entries;
        if (resume_handle != NULL) {
            *resume_handle = made->resume;
        }
    }
    return status;
}

static uint32_t
sim_session_enum(void *context, const utf16_unit *server, const utf16_unit *client,
                 const utf16_unit *user, uint32_t level, unsigned char **buffer,
                 uint32_t preferred_length, uint32_t *entries_read, uint32_t *total_entries,
                 uint32_t *resume_handle)
{
    simulator *sim = context;
    (void)server;
    *buffer = NULL;
    *entries_read = 0;
    *total_entries = 0;
    uint32_t status = begin_call(sim, SIMULATOR_ENUM);
    if (status == NET_SUCCESS) {
        status = enum_checked(sim, client, user, level, buffer, preferred_length, entries_read,
                              total_entries, resume_handle);
    }
    else {
        *buffer = leftover(sim);
    }
    lock_drop(&sim->lock);
    return status;
}

/* --- NetSessionGetInfo ------------------------------------------------------------------- */

static uint32_t
get_info_checked(simulator *sim, const utf16_unit *client, const utf16_unit *user, uint32_t number,
                 unsigned char **buffer)
{
    const session_level *level = session_level_find(number);
    if (level == NULL || number == 502) {
        return NET_INVALID_LEVEL; /* 502 is documented for Enum only */
    }
    if (sim->refused[session_level_index(level)] != NET_SUCCESS) {
        return sim->refused[session_level_index(level)];
    }
    if (client == NULL || user == NULL) {
        return NET_INVALID_PARAMETER;
    }
    uint32_t status = check_names(client, user, NET_INVALID_COMPUTER);
    if (status != NET_SUCCESS) {
        return status;
    }
    made_up_names names;
    simulator_row row;
    uint32_t index = next_match(sim, 0, client, user, &names, &row);
    if (index == session_total(sim)) {
        status = status_of_no_match(sim, client, user);
        return status != NET_SUCCESS ? status : NET_CLIENT_NAME_NOT_FOUND;
    }
    block *made = hand_out(sim, row_size(level, &row));
    if (made == NULL) {
        return NET_NOT_ENOUGH_MEMORY;
    }
    (void)write_row(level, &row, block_data(made), block_data(made) + level->size);
    *buffer = block_data(made);
    return NET_SUCCESS;
}

static uint32_t
sim_session_get_info(void *context, const utf16_unit *server, const utf16_unit *client,
                     const utf16_unit *user, uint32_t level, unsigned char **buffer)
{
    simulator *sim = context;
    (void)server;
    *buffer = NULL;
    uint32_t status = begin_call(sim, SIMULATOR_GET_INFO);
    if (status == NET_SUCCESS) {
        status = get_info_checked(sim, client, user, level, buffer);
    }
    else {
        *buffer = leftover(sim);
    }
    lock_drop(&sim->lock);
    return status;
}

/* --- NetSessionDel ----------------------------------------------------------------------- */

static uint32_t
del_checked(simulator *sim, const utf16_unit *client, const utf16_unit *user)
{
    if (!is_given(client) && !is_given(user)) {
        return NET_INVALID_PARAMETER; /* [MS-SRVS] 3.1.4.6 leaves the choice: 87 or 2312 */
    }
    uint32_t status = check_names(client, user, NET_CLIENT_NAME_NOT_FOUND);
    if (status != NET_SUCCESS) {
        return status;
    }
    if (!prepare_to_change(sim)) {
        return NET_NOT_ENOUGH_MEMORY;
    }
    made_up_names names;
    simulator_row row;
    uint32_t index = 0, found = 0;
    while ((index = next_match(sim, index, client, user, &names, &row)) < session_total(sim)) {
        end_session(sim, index++);
        found++;
    }
    return found == 0 ? NET_CLIENT_NAME_NOT_FOUND : NET_SUCCESS;
}

static uint32_t
sim_session_del(void *context, const utf16_unit *server, const utf16_unit *client,
                const utf16_unit *user)
{
    simulator *sim = context;
    (void)server;
    uint32_t status = begin_call(sim, SIMULATOR_DEL);
    if (status == NET_SUCCESS) {
        status = del_checked(sim, client, user);
    }
    lock_drop(&sim->lock);
    return status;
}

/* --- what a test does to sessions -------------------------------------------------------- */

/* Exactly that name; no name and an empty one are the same. */
static bool
is_named(const utf16_unit *name, const utf16_unit *wanted)
{
    static const utf16_unit none[] = {0};
    return same_name(name == NULL ? none : name, wanted == NULL ? none : wanted);
}

/* The next session of exactly that user and client from `index` on; the total when there is none.
 */
static uint32_t
next_of_pair(const simulator *sim, uint32_t index, const utf16_unit *client,
             const utf16_unit *user)
{
    made_up_names names;
    simulator_row row;
    while ((index = next_match(sim, index, NULL, NULL, &names, &row)) < session_total(sim)) {
        if (is_named(without_prefix(row.strings[FIELD_CLIENT_NAME]), without_prefix(client))
            && is_named(row.strings[FIELD_USER_NAME], user)) {
            break;
        }
        index++;
    }
    return index;
}

/* Applies `act` to those that are meant. It returns false when out of memory, which ends it. */
static bool
each_of_pair(simulator *sim, const utf16_unit *client, const utf16_unit *user,
             simulator_which which,
             bool (*act)(simulator *sim, uint32_t index, const simulator_change *change),
             const simulator_change *change, uint32_t *found)
{
    uint32_t total = session_total(sim), last = total;
    *found = 0;
    if (!prepare_to_change(sim)) {
        return false;
    }
    for (uint32_t i = 0; (i = next_of_pair(sim, i, client, user)) < total; i++) {
        last = i;
        if (which == SIMULATOR_LAST) {
            continue;
        }
        if (!act(sim, i, change)) {
            return false;
        }
        ++*found;
        if (which == SIMULATOR_FIRST) {
            return true;
        }
    }
    if (which == SIMULATOR_LAST && last < total) {
        *found = 1;
        return act(sim, last, change);
    }
    return true;
}

static bool
end_it(simulator *sim, uint32_t index, const simulator_change *change)
{
    (void)change;
    end_session(sim, index);
    return true;
}

static bool
change_it(simulator *sim, uint32_t index, const simulator_change *change)
{
    stored *session = own_session(sim, index);
    if (session == NULL) {
        return false;
    }
    uint32_t *dwords = session->row.dwords;
    for (int field = 0; field < SESSION_FIELDS; field++) {
        if (change->given[field]) {
            dwords[field] = change->dwords[field];
        }
    }
    if (change->given[FIELD_ACTIVE_TIME]) {
        session->active_since = sim->clock;
    }
    if (!change->given[FIELD_IDLE_TIME] && dwords[FIELD_IDLE_TIME] != UINT32_MAX) {
        dwords[FIELD_IDLE_TIME] = 0;
    }
    session->idle_since = sim->clock;
    return true;
}

bool
simulator_end(simulator *sim, const utf16_unit *client, const utf16_unit *user,
              simulator_which which, uint32_t *found)
{
    lock_take(&sim->lock);
    bool done = each_of_pair(sim, client, user, which, end_it, NULL, found);
    lock_drop(&sim->lock);
    return done;
}

bool
simulator_change_sessions(simulator *sim, const utf16_unit *client, const utf16_unit *user,
                          simulator_which which, const simulator_change *change, uint32_t *found)
{
    lock_take(&sim->lock);
    bool done = each_of_pair(sim, client, user, which, change_it, change, found);
    lock_drop(&sim->lock);
    return done;
}

netapi
simulator_netapi(simulator *sim)
{
    return (netapi){
        .context = sim,
        .session_enum = sim_session_enum,
        .session_get_info = sim_session_get_info,
        .session_del = sim_session_del,
        .buffer_free = sim_buffer_free,
    };
}
