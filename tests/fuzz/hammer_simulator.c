/* Threads on one simulator (src/simulator.c), for ThreadSanitizer: each lists, looks up, deletes,
   connects, changes and ends sessions, and turns every knob. It exits with 0 when every buffer went
   back and none twice, and all who hung came back. */

#define _POSIX_C_SOURCE 200809L /* sched_yield */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "simulator.h"

enum { THREADS = 8, ROUNDS = 200 };

static void
list(const netapi *api, uint32_t level)
{
    uint32_t resume = 0, status;
    do {
        unsigned char *buffer = NULL;
        uint32_t entries = 0, total = 0;
        status = api->session_enum(api->context, NULL, NULL, NULL, level, &buffer,
                                   MAX_PREFERRED_LENGTH_ALL, &entries, &total, &resume);
        const session_level *row = session_level_find(level);
        for (uint32_t i = 0; i < entries; i++) {
            const utf16_unit *name = session_info_string(buffer + i * row->size, &row->fields[0]);
            if (name == NULL || name[0] == 0) {
                abort();
            }
        }
        (void)api->buffer_free(api->context, buffer);
    } while (status == NET_MORE_DATA);
}

/* What a test does to sessions while others ask. */
static void
script(simulator *sim, uint32_t i)
{
    static const utf16_unit client[] = {'\\', '\\', 'w', 's', 0}, user[] = {'b', 'o', 'b', 0};
    static const simulator_which each[] = {SIMULATOR_EVERY, SIMULATOR_FIRST, SIMULATOR_LAST};
    const simulator_row row = {.strings = {client, user}};
    const simulator_change change = {.given = {[FIELD_NUM_OPENS] = true},
                                     .dwords = {[FIELD_NUM_OPENS] = i}};
    uint32_t found = 0;
    for (int k = 0; k < 3; k++) {
        (void)simulator_add(sim, &row);
    }
    (void)simulator_change_sessions(sim, client + 2, user, each[i % 3], &change, &found);
    (void)simulator_end(sim, client, user, each[(i + 1) % 3], &found);
    simulator_advance(sim, 700);
    if (i % 20 == 0) {
        simulator_hang(sim, i % 40 == 0 ? 1 : UINT32_MAX);
    }
}

static atomic_bool over;

/* All others may hang for ever at once: somebody must not. */
static void *
keep_releasing(void *sim)
{
    while (!atomic_load(&over)) {
        simulator_release(sim);
        (void)sched_yield();
    }
    return NULL;
}

static void *
hammer(void *argument)
{
    static const utf16_unit client[] = {'\\', '\\', '1', '0', '.', '0', '.', '0', '.', '0', 0};
    static const utf16_unit user[] = {'a', 'l', 'i', 'c', 'e', '.', '0', 0};
    simulator *sim = argument;
    const netapi api = simulator_netapi(sim);
    const simulator_row row = {.strings = {client, user}};
    for (uint32_t i = 0; i < ROUNDS; i++) {
        unsigned char *buffer = NULL;
        list(&api, session_levels[i % SESSION_LEVELS].number);
        (void)api.session_get_info(api.context, NULL, client, user, 10, &buffer);
        (void)api.buffer_free(api.context, buffer);
        (void)simulator_add(sim, &row);
        script(sim, i);
        simulator_prepare(sim, i % 3 == 0);
        simulator_refuse_level(sim, &session_levels[1], i % 5 == 0 ? 5 : 0);
        simulator_fail(sim, SIMULATOR_ENUM, 53, i % 7, 1);
        simulator_delay(sim, i % 50 == 0 ? 1 : 0);
        (void)simulator_count(sim);
        (void)simulator_outstanding(sim);
        (void)simulator_calls(sim, SIMULATOR_ENUM);
        if (i % 10 == 9) {
            (void)api.session_del(api.context, NULL, NULL, user);
        }
    }
    return NULL;
}

int
main(void)
{
    pthread_t threads[THREADS], releaser;
    simulator *sim = simulator_new(0, 50, 7);
    if (sim == NULL || pthread_create(&releaser, NULL, keep_releasing, sim) != 0) {
        return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, hammer, sim) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    atomic_store(&over, true);
    (void)pthread_join(releaser, NULL);
    size_t outstanding = simulator_outstanding(sim), bad_frees = simulator_bad_frees(sim);
    simulator_free(sim);
    (void)printf("%zu outstanding, %zu bad frees\n", outstanding, bad_frees);
    return outstanding == 0 && bad_frees == 0 ? 0 : 1;
}
