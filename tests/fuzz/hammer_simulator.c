/* Threads on one simulator (src/simulator.c), for ThreadSanitizer: each lists, looks up, deletes
   and turns every knob. It exits with 0 when every buffer went back and none twice. */

#include <pthread.h>
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
        simulator_prepare(sim, i % 3 == 0);
        simulator_refuse_level(sim, &session_levels[1], i % 5 == 0 ? 5 : 0);
        simulator_fail(sim, SIMULATOR_ENUM, 53, i % 7, 1);
        simulator_delay(sim, i % 50 == 0 ? 1 : 0);
        (void)simulator_count(sim);
        (void)simulator_outstanding(sim);
        (void)simulator_calls(sim, SIMULATOR_ENUM);
        if (i == ROUNDS / 2) { /* later: once something was deleted none can be added */
            (void)api.session_del(api.context, NULL, NULL, user);
        }
    }
    return NULL;
}

int
main(void)
{
    pthread_t threads[THREADS];
    simulator *sim = simulator_new(0, 50, 7);
    if (sim == NULL) {
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
    size_t outstanding = simulator_outstanding(sim), bad_frees = simulator_bad_frees(sim);
    simulator_free(sim);
    (void)printf("%zu outstanding, %zu bad frees\n", outstanding, bad_frees);
    return outstanding == 0 && bad_frees == 0 ? 0 : 1;
}
